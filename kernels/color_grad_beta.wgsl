// dbeta[r,c] = (sum over pixels of dy[r,c] image[s,c], sum of dy[r,c]), with s the row's partner
//
// image [S,C,H,W], dy [R,C,H,W], index [R] u32 (selected rows only), dbeta [R,2C] as [R,C,2].
// Workgroup: 64 invocations for one channel of a row. Grid: (row, channel), channel fastest (linear, folded).
// Deterministic: strided partial sums and a tree of fixed shape.

//#import rows
//#import workgroup_sum

struct Params {
    planes: u32,
    pixels: u32,
    channels: u32,
    shared_rows: u32,
}

const WG_SIZE: u32 = 64u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> image: array<f32>;
@group(0) @binding(2)
var<storage, read> dy: array<f32>;
@group(0) @binding(3)
var<storage, read> index: array<u32>;
@group(0) @binding(4)
var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = group.y * groups.x + group.x;
    if plane >= params.planes {
        return;
    }
    let r = plane / params.channels;
    let c = plane - r * params.channels;
    let source = (shared_row(r, params.shared_rows) * params.channels + c) * params.pixels;
    var dw = 0.0;
    var offset = 0.0;
    for (var p = lane; p < params.pixels; p += 4u * WG_SIZE) {
        // Four are loaded together; past the end the last is, in vain.
        let next = p + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
        let near = min(next, vec4<u32>(params.pixels - 1u));
        let there = next < vec4<u32>(params.pixels);
        let of_dy = plane * params.pixels + near;
        let of_image = source + near;
        let g = select(vec4<f32>(), vec4<f32>(dy[of_dy.x], dy[of_dy.y], dy[of_dy.z], dy[of_dy.w]), there);
        let x = vec4<f32>(image[of_image.x], image[of_image.y], image[of_image.z], image[of_image.w]);
        dw += dot(select(vec4<f32>(), g * x, there), vec4<f32>(1.0));
        offset += dot(g, vec4<f32>(1.0));
    }
    let sum_w = workgroup_sum(lane, dw);
    let sum_o = workgroup_sum(lane, offset);
    if lane == 0u {
        dbeta[2u * plane] = sum_w;
        dbeta[2u * plane + 1u] = sum_o;
    }
}
