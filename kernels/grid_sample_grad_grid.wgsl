// dgrid[r,p] = sum over channels of dy[r,c,p] d image[s,c] / d grid: along x the difference of the right and left
// neighbours weighted by the rows, times half the width; along y alike; zero where the position was clamped
//
// image [S,C,Hs,Ws], grid [R,H,W,2] (x, y), dy [R,C,H,W], index [R] u32 (selected rows only), dgrid [R,H,W,2].
// One invocation a pixel of a row, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each element, in ascending order of the channels.

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
var<storage, read> dy: array<f32>;
@group(0) @binding(4)
var<storage, read> index: array<u32>;
@group(0) @binding(5)
var<storage, read_write> dgrid: array<f32>;

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
    let first = shared_row(r, params.shared_rows) * params.channels;
    var dx = 0.0;
    var dv = 0.0;
    for (var c = 0u; c < params.channels; c += 1u) {
        let plane = (first + c) * params.source_height * params.source_width;
        let upper = plane + v.lower * params.source_width;
        let lower = plane + v.upper * params.source_width;
        let p00 = image[upper + h.lower] * v.has_lower * h.has_lower;
        let p01 = image[upper + h.upper] * v.has_lower * h.has_upper;
        let p10 = image[lower + h.lower] * v.has_upper * h.has_lower;
        let p11 = image[lower + h.upper] * v.has_upper * h.has_upper;
        let g = dy[(r * params.channels + c) * params.pixels + p];
        dx += g * ((p01 - p00) * (1.0 - v.fraction) + (p11 - p10) * v.fraction);
        dv += g * ((p10 - p00) * (1.0 - h.fraction) + (p11 - p01) * h.fraction);
    }
    dgrid[2u * at] = dx * h.slope;
    dgrid[2u * at + 1u] = dv * v.slope;
}
