// dbeta[r] = sum over pixels of dgrid[r,i,j] (u, v, 1)^T, u = (2j + 1)/W - 1, v = (2i + 1)/H - 1
//
// dgrid [R,H,W,2]; dbeta [R,6], rows of theta one after the other.
// Workgroup: 64 invocations for one row. Grid: rows (linear, folded).
// Deterministic: strided partial sums and a tree of fixed shape.

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
var<storage, read> dgrid: array<f32>;
@group(0) @binding(2)
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
    // Sums of dgrid u, dgrid v and dgrid, (x, y) each.
    var by_u = vec2<f32>();
    var by_v = vec2<f32>();
    var by_1 = vec2<f32>();
    for (var p = lane; p < pixels; p += 4u * WG_SIZE) {
        // Four are loaded together; past the end the last is, in vain.
        let next = p + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
        let near = min(next, vec4<u32>(pixels - 1u));
        let i = near / params.width;
        let j = near - i * params.width;
        let u = vec4<f32>(2u * j + 1u) / f32(params.width) - 1.0;
        let v = vec4<f32>(2u * i + 1u) / f32(params.height) - 1.0;
        let at = 2u * (r * pixels + near);
        let there = next < vec4<u32>(pixels);
        let xs = select(vec4<f32>(), vec4<f32>(dgrid[at.x], dgrid[at.y], dgrid[at.z], dgrid[at.w]), there);
        let ys = select(vec4<f32>(), vec4<f32>(dgrid[at.x + 1u], dgrid[at.y + 1u], dgrid[at.z + 1u], dgrid[at.w + 1u]), there);
        by_u += vec2<f32>(dot(xs, u), dot(ys, u));
        by_v += vec2<f32>(dot(xs, v), dot(ys, v));
        by_1 += vec2<f32>(dot(xs, vec4<f32>(1.0)), dot(ys, vec4<f32>(1.0)));
    }
    let x_u = workgroup_sum(lane, by_u.x);
    let x_v = workgroup_sum(lane, by_v.x);
    let x_1 = workgroup_sum(lane, by_1.x);
    let y_u = workgroup_sum(lane, by_u.y);
    let y_v = workgroup_sum(lane, by_v.y);
    let y_1 = workgroup_sum(lane, by_1.y);
    if lane == 0u {
        dbeta[6u * r] = x_u;
        dbeta[6u * r + 1u] = x_v;
        dbeta[6u * r + 2u] = x_1;
        dbeta[6u * r + 3u] = y_u;
        dbeta[6u * r + 4u] = y_v;
        dbeta[6u * r + 5u] = y_1;
    }
}
