// dbeta[r] = sum over pixels of (g_x, g_y, -(g_x x + g_y y)) (u, v, 1)^T / w with g = dgrid[r,i,j], (x, y) = grid[r,i,j]
//
// beta [R,9], rows of H one after the other; dgrid [R,H,W,2]; dbeta [R,9].
// Workgroup: 64 invocations for one row. Grid: rows (linear, folded).
// Deterministic: strided partial sums and a tree of fixed shape.

//#import homography
//#import workgroup_sum

struct Params {
    rows: u32,
    height: u32,
    width: u32,
}

const WG_SIZE: u32 = 64u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> beta: array<f32>;
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
    let r = group.y * groups.x + group.x;
    if r >= params.rows {
        return;
    }
    let pixels = params.height * params.width;
    var offsets: array<f32, 9>;
    for (var k = 0u; k < 9u; k += 1u) {
        offsets[k] = beta[9u * r + k];
    }
    // Sums of d(x, y, w) times u, v and 1.
    var by_u = vec3<f32>();
    var by_v = vec3<f32>();
    var by_1 = vec3<f32>();
    for (var p = lane; p < pixels; p += WG_SIZE) {
        let i = p / params.width;
        let j = p - i * params.width;
        let u = f32(2u * j + 1u) / f32(params.width) - 1.0;
        let v = f32(2u * i + 1u) / f32(params.height) - 1.0;
        let point = homography(offsets, u, v);
        let at = 2u * (r * pixels + p);
        let g = vec2<f32>(dgrid[at], dgrid[at + 1u]) * point.scale;
        let d = vec3<f32>(g, -(g.x * point.x + g.y * point.y) * point.slope);
        by_u += d * u;
        by_v += d * v;
        by_1 += d;
    }
    for (var k = 0u; k < 3u; k += 1u) {
        let sum_u = workgroup_sum(lane, by_u[k]);
        let sum_v = workgroup_sum(lane, by_v[k]);
        let sum_1 = workgroup_sum(lane, by_1[k]);
        if lane == 0u {
            dbeta[9u * r + 3u * k] = sum_u;
            dbeta[9u * r + 3u * k + 1u] = sum_v;
            dbeta[9u * r + 3u * k + 2u] = sum_1;
        }
    }
}
