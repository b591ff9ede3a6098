// y[r,c,p] = (1 + w) image[s,c,p] + o, (w, o) = beta[r,c], with s the row's partner
//
// image [S,C,H,W], beta [R,2C] as [R,C,2], index [R] u32 (selected rows only), y [R,C,H,W].
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

//#import rows

struct Params {
    n: u32,
    pixels: u32,
    channels: u32,
    shared_rows: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> image: array<f32>;
@group(0) @binding(2)
var<storage, read> beta: array<f32>;
@group(0) @binding(3)
var<storage, read> index: array<u32>;
@group(0) @binding(4)
var<storage, read_write> y: array<f32>;

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
    let plane = at / params.pixels;
    let p = at - plane * params.pixels;
    let r = plane / params.channels;
    let c = plane - r * params.channels;
    let x = image[(shared_row(r, params.shared_rows) * params.channels + c) * params.pixels + p];
    y[at] = (1.0 + beta[2u * plane]) * x + beta[2u * plane + 1u];
}
