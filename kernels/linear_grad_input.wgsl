// dx[r] = w[s]^T dy[r], with s the row's partner; with RESIDUAL plus a residual, with MASKED then zero where the mask is not
// positive
//
// dy [R,O], w [S,O,I], index [R] u32 (selected rows only); residual, mask, dx [R,I].
// Workgroup: 64 elements of dx x 4 parts of the outputs, four of which are loaded together. Linear grid folded to two
// dimensions.
// Deterministic: one invocation sums each part, by place modulo four in ascending order, then these four; the parts are added
// in a fixed order.

//#import rows

struct Params {
    n: u32,
    inputs: u32,
    outputs: u32,
    shared_rows: u32,
}

override RESIDUAL: bool = false;
override MASKED: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> dy: array<f32>;
@group(0) @binding(2)
var<storage, read> w: array<f32>;
@group(0) @binding(3)
var<storage, read> index: array<u32>;
@group(0) @binding(4)
var<storage, read> residual: array<f32>;
@group(0) @binding(5)
var<storage, read> mask: array<f32>;
@group(0) @binding(6)
var<storage, read_write> dx: array<f32>;

const PARTS: u32 = 4u;
const NEXT: vec4<u32> = vec4<u32>(0u, 1u, 2u, 3u);

var<workgroup> sh_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // Past the end the last element is computed once more.
    let own = (group.y * groups.x + group.x) * 64u + lane % 64u;
    let at = min(own, params.n - 1u);
    let r = at / params.inputs;
    let i = at - r * params.inputs;
    let first = shared_row(r, params.shared_rows) * params.outputs;
    let part = lane / 64u;
    let chunk = (params.outputs + PARTS - 1u) / PARTS;
    let end = min((part + 1u) * chunk, params.outputs);
    var sums = vec4<f32>();
    for (var o = part * chunk; o < end; o += 4u) {
        let next = min(o + NEXT, vec4<u32>(end - 1u));
        let to = (first + next) * params.inputs + i;
        let of_dy = r * params.outputs + next;
        let weights = vec4<f32>(w[to.x], w[to.y], w[to.z], w[to.w]);
        let gradients = vec4<f32>(dy[of_dy.x], dy[of_dy.y], dy[of_dy.z], dy[of_dy.w]);
        sums += select(vec4<f32>(), weights * gradients, o + NEXT < vec4<u32>(end));
    }
    sh_sums[lane] = (sums.x + sums.y) + (sums.z + sums.w);
    workgroupBarrier();
    if part > 0u || own >= params.n {
        return;
    }
    var sum = (sh_sums[lane] + sh_sums[lane + 64u]) + (sh_sums[lane + 128u] + sh_sums[lane + 192u]);
    if RESIDUAL {
        sum += residual[at];
    }
    if MASKED {
        sum = select(0.0, sum, mask[at] > 0.0);
    }
    dx[at] = sum;
}
