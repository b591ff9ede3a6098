// y[b,c] = mean of x[b,c] over its pixels
//
// x [B,C,H,W], y [B,C]. One invocation a plane, 64 a workgroup, linear grid folded to two dimensions: the planes that
// reach this kernel are small (7x7 or 8x8), so that lanes of a workgroup should share their cache lines.
// Deterministic: the pixels are summed by their position modulo four, two at a time in order, then these four.

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

fn four(plane: u32, p: u32) -> vec4<f32> {
    let next = p + vec4<u32>(0u, 1u, 2u, 3u);
    let at = plane * params.pixels + min(next, vec4<u32>(params.pixels - 1u));
    return select(vec4<f32>(), vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]), next < vec4<u32>(params.pixels));
}

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
    var sums = vec4<f32>();
    // Eight pixels are loaded together; past the end the last is, in vain.
    for (var p = 0u; p < params.pixels; p += 8u) {
        sums += four(plane, p) + four(plane, p + 4u);
    }
    y[plane] = ((sums.x + sums.y) + (sums.z + sums.w)) / f32(params.pixels);
}
