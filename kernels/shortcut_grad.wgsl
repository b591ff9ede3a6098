// dx[b, c, s i, s j] = dy[b, c + (C2 - C)/2, i, j]; zero at the pixels that `shortcut` skips
//
// dy [B,C2,H',W'] with H' = ceil(H / s), W' = ceil(W / s); dx [B,C,H,W].
// One invocation an element of dx, 256 a workgroup, linear grid folded to two dimensions.
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
var<storage, read> dy: array<f32>;
@group(0) @binding(2)
var<storage, read_write> dx: array<f32>;

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
    let i = (at / params.width) % params.height;
    let plane = at / (params.width * params.height);
    let b = plane / params.channels;
    let c = plane % params.channels + (params.out_channels - params.channels) / 2u;
    var value = 0.0;
    if i % params.stride == 0u && j % params.stride == 0u {
        let row = (b * params.out_channels + c) * params.out_height + i / params.stride;
        value = dy[row * params.out_width + j / params.stride];
    }
    dx[at] = value;
}
