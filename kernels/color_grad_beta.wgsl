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
    for (var p = lane; p < params.pixels; p += WG_SIZE) {
        let g = dy[plane * params.pixels + p];
        dw += g * image[source + p];
        offset += g;
    }
    let sum_w = workgroup_sum(lane, dw);
    let sum_o = workgroup_sum(lane, offset);
    if lane == 0u {
        dbeta[2u * plane] = sum_w;
        dbeta[2u * plane + 1u] = sum_o;
    }
}
