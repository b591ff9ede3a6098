// y[r,c,p] = image[s,c] at grid[r,p], bilinear between the four neighbours, with s the row's partner
//
// image [S,C,Hs,Ws], grid [R,H,W,2] (x, y), index [R] u32 (selected rows only), y [R,C,H,W].
// One invocation a pixel of a row, for all its channels, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

//#import rows
//#import bilinear

struct Params {
    n: u32,
    pixels: u32,
    channels: u32,
    source_height: u32,
    source_width: u32,
    shared_rows: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> image: array<f32>;
@group(0) @binding(2)
var<storage, read> grid: array<f32>;
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
    let r = at / params.pixels;
    let p = at - r * params.pixels;
    let h = bilinear_axis(grid[2u * at], params.source_width);
    let v = bilinear_axis(grid[2u * at + 1u], params.source_height);
    let w00 = (1.0 - v.fraction) * (1.0 - h.fraction) * v.has_lower * h.has_lower;
    let w01 = (1.0 - v.fraction) * h.fraction * v.has_lower * h.has_upper;
    let w10 = v.fraction * (1.0 - h.fraction) * v.has_upper * h.has_lower;
    let w11 = v.fraction * h.fraction * v.has_upper * h.has_upper;
    let first = shared_row(r, params.shared_rows) * params.channels;
    for (var c = 0u; c < params.channels; c += 1u) {
        let plane = (first + c) * params.source_height * params.source_width;
        let upper = plane + v.lower * params.source_width;
        let lower = plane + v.upper * params.source_width;
        y[(r * params.channels + c) * params.pixels + p] =
            w00 * image[upper + h.lower] + w01 * image[upper + h.upper]
            + w10 * image[lower + h.lower] + w11 * image[lower + h.upper];
    }
}
