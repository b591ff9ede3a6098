// dx[b,c] = dy[b,c] / (H W) at every pixel; with MASKED zero where the mask is not positive
//
// dy [B,C]; mask, dx [B,C,H,W]. One invocation an element of dx, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    pixels: u32,
}

override MASKED: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> dy: array<f32>;
@group(0) @binding(2)
var<storage, read> mask: array<f32>;
@group(0) @binding(3)
var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + lane;
    if i >= params.n {
        return;
    }
    var value = dy[i / params.pixels] / f32(params.pixels);
    if MASKED {
        value = select(0.0, value, mask[i] > 0.0);
    }
    dx[i] = value;
}
