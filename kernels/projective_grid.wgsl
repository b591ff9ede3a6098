// grid[r,i,j] = (x, y) / w, (x, y, w) = H (u, v, 1), H = identity + beta[r], u = (2j + 1)/W - 1, v = (2i + 1)/H - 1
//
// beta [R,9], rows of H one after the other; grid [R,H,W,2], (x, y).
// One invocation a pixel, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

//#import homography

struct Params {
    n: u32,
    height: u32,
    width: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> beta: array<f32>;
@group(0) @binding(2)
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
    let j = at % params.width;
    let line = at / params.width;
    let i = line % params.height;
    let u = f32(2u * j + 1u) / f32(params.width) - 1.0;
    let v = f32(2u * i + 1u) / f32(params.height) - 1.0;
    var offsets: array<f32, 9>;
    for (var k = 0u; k < 9u; k += 1u) {
        offsets[k] = beta[line / params.height * 9u + k];
    }
    let point = homography(offsets, u, v);
    grid[2u * at] = point.x;
    grid[2u * at + 1u] = point.y;
}
