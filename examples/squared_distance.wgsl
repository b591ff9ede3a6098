// d[b,j] = 1/n sum over elements of weights (x[b] - t[s])^2, as kernels/squared_distance.wgsl, where layouts and grid are
// described; here every lane adds up four sums that do not wait for each other.

//#import rows
//#import workgroup_sum

struct Params {
    rows: u32,
    per_image: u32,
    item: u32,
    shared_rows: u32,
}

override WEIGHTED: bool = false;

const WG_SIZE: u32 = 64u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> t: array<f32>;
@group(0) @binding(3)
var<storage, read> weights: array<f32>;
@group(0) @binding(4)
var<storage, read> index: array<u32>;
@group(0) @binding(5)
var<storage, read_write> d: array<f32>;

// What element `i` adds to the distance.
fn element(image: u32, target_row: u32, i: u32) -> f32 {
    if i >= params.item {
        return 0.0;
    }
    let e = x[image + i] - t[target_row + i];
    if WEIGHTED {
        return weights[i] * e * e;
    }
    return e * e;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let r = group.y * groups.x + group.x;
    if r >= params.rows {
        return;
    }
    let image = r / params.per_image * params.item;
    let target_row = shared_row(r, params.shared_rows) * params.item;
    var sum = vec4<f32>();
    for (var i = lane; i < params.item; i += 4u * WG_SIZE) {
        sum += vec4<f32>(
            element(image, target_row, i),
            element(image, target_row, i + WG_SIZE),
            element(image, target_row, i + 2u * WG_SIZE),
            element(image, target_row, i + 3u * WG_SIZE),
        );
    }
    let total = workgroup_sum(lane, (sum.x + sum.y) + (sum.z + sum.w));
    if lane == 0u {
        d[r] = total / f32(params.item);
    }
}
