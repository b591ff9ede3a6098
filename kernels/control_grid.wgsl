// grid[r,p] = base[p] + sum over control points g of matrix[g,p] (x, y), (x, y) = beta[r,g]
//
// matrix [G,H,W], base [H,W,2] (x, y), beta [R,2G] as [R,G,2], grid [R,H,W,2].
// One invocation a pixel of a row, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each element, four control points at a time in ascending order.

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
    for (var g = 0u; g < params.controls; g += 4u) {
        // Four are loaded together; past the end the last is, in vain.
        let next = min(g + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.controls - 1u));
        let at_matrix = next * params.pixels + p;
        let b = 2u * (r * params.controls + next);
        let loaded = vec4<f32>(matrix[at_matrix.x], matrix[at_matrix.y], matrix[at_matrix.z], matrix[at_matrix.w]);
        let xs = vec4<f32>(beta[b.x], beta[b.y], beta[b.z], beta[b.w]);
        let ys = vec4<f32>(beta[b.x + 1u], beta[b.y + 1u], beta[b.z + 1u], beta[b.w + 1u]);
        let weights = select(vec4<f32>(), loaded, g + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.controls));
        moved += vec2<f32>(dot(weights, xs), dot(weights, ys));
    }
    grid[2u * at] = base[2u * p] + moved.x;
    grid[2u * at + 1u] = base[2u * p + 1u] + moved.y;
}
