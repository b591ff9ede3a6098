// grid[r,p] = base[p] + sum over control points g of matrix[g,p] (x, y), (x, y) = beta[r,g]
//
// matrix [G,H,W], base [H,W,2] (x, y), beta [R,2G] as [R,G,2], grid [R,H,W,2].
// One invocation a pixel of a row, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each element, in ascending order of the control points.

struct Params {
    n: u32,
    pixels: u32,
    controls: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> matrix: array<f32>;
@group(0) @binding(2)
var<storage, read> base: array<f32>;
@group(0) @binding(3)
var<storage, read> beta: array<f32>;
@group(0) @binding(4)
var<storage, read_write> grid: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + lane;
    if at >= params.n {
        return;
    }
    let r = at / params.pixels;
    let p = at - r * params.pixels;
    var moved = vec2<f32>();
    for (var g = 0u; g < params.controls; g += 1u) {
        let b = 2u * (r * params.controls + g);
        moved += matrix[g * params.pixels + p] * vec2<f32>(beta[b], beta[b + 1u]);
    }
    grid[2u * at] = base[2u * p] + moved.x;
    grid[2u * at + 1u] = base[2u * p + 1u] + moved.y;
}
