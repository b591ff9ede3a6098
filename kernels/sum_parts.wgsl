// y_k[i] = sum over p of x_k[p,i], for up to seven tensors k: as the second stage of as many weight gradients
//
// x_k [P_k, n_k], partial sums; y_k [n_k], parts of one buffer.
// Workgroup: 16 neighbouring elements of one tensor x 16 slices, each of which takes every 16th part, four loaded together.
// Grid: the workgroups of all tensors, one after the other (linear, folded).
// Deterministic: one invocation sums each slice, by place modulo four in ascending order, then these four; the slices are added
// in ascending order.

struct Params {
    // All workgroups, and the first of each tensor but the first; those that are not there begin at the end.
    groups: u32,
    begin1: u32,
    begin2: u32,
    begin3: u32,
    begin4: u32,
    begin5: u32,
    begin6: u32,
    // Of each tensor its elements, its parts, and where in y it is.
    length0: u32,
    parts0: u32,
    first0: u32,
    length1: u32,
    parts1: u32,
    first1: u32,
    length2: u32,
    parts2: u32,
    first2: u32,
    length3: u32,
    parts3: u32,
    first3: u32,
    length4: u32,
    parts4: u32,
    first4: u32,
    length5: u32,
    parts5: u32,
    first5: u32,
    length6: u32,
    parts6: u32,
    first6: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x0: array<f32>;
@group(0) @binding(2)
var<storage, read> x1: array<f32>;
@group(0) @binding(3)
var<storage, read> x2: array<f32>;
@group(0) @binding(4)
var<storage, read> x3: array<f32>;
@group(0) @binding(5)
var<storage, read> x4: array<f32>;
@group(0) @binding(6)
var<storage, read> x5: array<f32>;
@group(0) @binding(7)
var<storage, read> x6: array<f32>;
@group(0) @binding(8)
var<storage, read_write> y: array<f32>;

const SLICES: u32 = 16u;
const ELEMENTS: u32 = 16u;

var<workgroup> sh_sums: array<f32, 256>;

// A tensor: its first workgroup, its elements and parts, and where in y it is.
struct Tensor {
    begin: u32,
    length: u32,
    parts: u32,
    first: u32,
}

fn tensor(k: u32) -> Tensor {
    switch k {
        case 0u: { return Tensor(0u, params.length0, params.parts0, params.first0); }
        case 1u: { return Tensor(params.begin1, params.length1, params.parts1, params.first1); }
        case 2u: { return Tensor(params.begin2, params.length2, params.parts2, params.first2); }
        case 3u: { return Tensor(params.begin3, params.length3, params.parts3, params.first3); }
        case 4u: { return Tensor(params.begin4, params.length4, params.parts4, params.first4); }
        case 5u: { return Tensor(params.begin5, params.length5, params.parts5, params.first5); }
        default: { return Tensor(params.begin6, params.length6, params.parts6, params.first6); }
    }
}

// Elements i of partial sums k.
fn partial_sums(k: u32, i: vec4<u32>) -> vec4<f32> {
    switch k {
        case 0u: { return vec4<f32>(x0[i.x], x0[i.y], x0[i.z], x0[i.w]); }
        case 1u: { return vec4<f32>(x1[i.x], x1[i.y], x1[i.z], x1[i.w]); }
        case 2u: { return vec4<f32>(x2[i.x], x2[i.y], x2[i.z], x2[i.w]); }
        case 3u: { return vec4<f32>(x3[i.x], x3[i.y], x3[i.z], x3[i.w]); }
        case 4u: { return vec4<f32>(x4[i.x], x4[i.y], x4[i.z], x4[i.w]); }
        case 5u: { return vec4<f32>(x5[i.x], x5[i.y], x5[i.z], x5[i.w]); }
        default: { return vec4<f32>(x6[i.x], x6[i.y], x6[i.z], x6[i.w]); }
    }
}

// Four of every 16th part from p on at element i; past the end the last is loaded, in vain.
fn four(k: u32, of_tensor: Tensor, p: u32, i: u32) -> vec4<f32> {
    let next = p + SLICES * vec4<u32>(0u, 1u, 2u, 3u);
    let values = partial_sums(k, min(next, vec4<u32>(of_tensor.parts - 1u)) * of_tensor.length + i);
    return select(vec4<f32>(), values, next < vec4<u32>(of_tensor.parts));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group.y * groups.x + group.x;
    if item >= params.groups {
        return;
    }
    let k = u32(item >= params.begin1)
        + u32(item >= params.begin2)
        + u32(item >= params.begin3)
        + u32(item >= params.begin4)
        + u32(item >= params.begin5)
        + u32(item >= params.begin6);
    let own = tensor(k);
    let i = (item - own.begin) * ELEMENTS + lane % ELEMENTS;
    let near = min(i, own.length - 1u);
    let slice = lane / ELEMENTS;
    var sums = vec4<f32>();
    for (var p = slice; p < own.parts; p += 4u * SLICES) {
        sums += four(k, own, p, near);
    }
    var sum = (sums.x + sums.y) + (sums.z + sums.w);
    sh_sums[lane] = sum;
    workgroupBarrier();
    if slice > 0u || i >= own.length {
        return;
    }
    for (var other = 1u; other < SLICES; other += 1u) {
        sum += sh_sums[other * ELEMENTS + lane];
    }
    y[own.first + i] = sum;
}
