// dbeta[r,g] = sum over pixels of matrix[g,p] dgrid[r,p]
//
// matrix [G,H,W], dgrid [R,H,W,2] (x, y), dbeta [R,2G] as [R,G,2].
// Workgroup: 64 invocations for one control point of a row. Grid: (row, control point), point fastest (linear, folded).
// Deterministic: strided partial sums and a tree of fixed shape.

//#import workgroup_sum

struct Params {
    // Rows times control points.
    sums: u32,
    pixels: u32,
    controls: u32,
}

const WG_SIZE: u32 = 64u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> matrix: array<f32>;
@group(0) @binding(2)
var<storage, read> dgrid: array<f32>;
@group(0) @binding(3)
var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group.y * groups.x + group.x;
    if item >= params.sums {
        return;
    }
    let r = item / params.controls;
    let g = item - r * params.controls;
    var xs = vec4<f32>();
    var ys = vec4<f32>();
    for (var p = lane; p < params.pixels; p += 4u * WG_SIZE) {
        // Four are loaded together; past the end the last is, in vain.
        let next = p + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
        let near = min(next, vec4<u32>(params.pixels - 1u));
        let m = g * params.pixels + near;
        let at = 2u * (r * params.pixels + near);
        let loaded = vec4<f32>(matrix[m.x], matrix[m.y], matrix[m.z], matrix[m.w]);
        let dxs = vec4<f32>(dgrid[at.x], dgrid[at.y], dgrid[at.z], dgrid[at.w]);
        let dys = vec4<f32>(dgrid[at.x + 1u], dgrid[at.y + 1u], dgrid[at.z + 1u], dgrid[at.w + 1u]);
        let there = next < vec4<u32>(params.pixels);
        xs += select(vec4<f32>(), loaded * dxs, there);
        ys += select(vec4<f32>(), loaded * dys, there);
    }
    let x = workgroup_sum(lane, (xs.x + xs.y) + (xs.z + xs.w));
    let y = workgroup_sum(lane, (ys.x + ys.y) + (ys.z + ys.w));
    if lane == 0u {
        dbeta[2u * item] = x;
        dbeta[2u * item + 1u] = y;
    }
}
