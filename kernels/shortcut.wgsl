// y[b, c + (C2 - C)/2, i, j] = x[b, c, s i, s j]; the other channels are zero (option A of He et al. 2016)
//
// x [B,C,H,W], y [B,C2,H',W'] with H' = ceil(H / s), W' = ceil(W / s).
// One invocation an element of y, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    channels: u32,
    height: u32,
    width: u32,
    out_channels: u32,
    out_height: u32,
    out_width: u32,
    stride: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
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
    let j = at % params.out_width;
    let i = (at / params.out_width) % params.out_height;
    let plane = at / (params.out_width * params.out_height);
    let b = plane / params.out_channels;
    let before = (params.out_channels - params.channels) / 2u;
    let c = i32(plane % params.out_channels) - i32(before);
    var value = 0.0;
    if c >= 0 && c < i32(params.channels) {
        let row = (b * params.channels + u32(c)) * params.height + i * params.stride;
        value = x[row * params.width + j * params.stride];
    }
    y[at] = value;
}
