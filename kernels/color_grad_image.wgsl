// dimage[r,c,p] = (1 + w) dy[r,c,p], (w, o) = beta[r,c]
//
// beta [R,2C] as [R,C,2], dy [R,C,H,W], dimage [R,C,H,W], one image a row.
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    pixels: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> beta: array<f32>;
@group(0) @binding(2)
var<storage, read> dy: array<f32>;
@group(0) @binding(3)
var<storage, read_write> dimage: array<f32>;

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
    dimage[at] = (1.0 + beta[2u * (at / params.pixels)]) * dy[at];
}
