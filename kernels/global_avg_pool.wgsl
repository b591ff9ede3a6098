// y[b,c] = mean of x[b,c] over its pixels
//
// x [B,C,H,W], y [B,C]. One invocation a plane, 64 a workgroup, linear grid folded to two dimensions: the planes that
// reach this kernel are small (7x7 or 8x8), so that lanes of a workgroup should share their cache lines.
// Deterministic: the pixels are summed in order.

struct Params {
    planes: u32,
    pixels: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = (group.y * groups.x + group.x) * 64u + lane;
    if plane >= params.planes {
        return;
    }
    var sum = 0.0;
    for (var p = 0u; p < params.pixels; p += 1u) {
        sum += x[plane * params.pixels + p];
    }
    y[plane] = sum / f32(params.pixels);
}
