// dw[o,i,ky,kx] = sum over b, p of dy[b,o,p] x[b, i, STRIDE p + (ky,kx) - PAD], zero outside the image; 3x3 only
//
// x [B,IN_CHANNELS,IN_HEIGHT,IN_WIDTH], dy [B,OUT_CHANNELS,HEIGHT,WIDTH], dw [splits, OUT_CHANNELS, IN_CHANNELS, 3, 3];
// with more than one split `sum_rows` or `sum_parts` adds them up.
// With X_FOLDED x is computed from the map that `x` is: normalised, and with RECTIFY then max(x, 0). With DY_FOLDED dy is the
// gradient of a normalisation, computed from that of its result, which `dy` then is, and from what is normalised, `before`.
// coefficients [..,4], those of x from params.x_first on and those of dy from params.dy_first on, see
// shared/folded_norm.wgsl.
// The variant of conv2d_grad_weight that keeps a window in registers: an invocation computes the 9 taps of one input channel
// for 4 output channels from bands of rows in workgroup memory, see shared/weight_tile.wgsl.
// Workgroup: IN_TILE input channels x QUADS quads of output channels x PARTS, which take every PARTS-th row of a band. Grid:
// x = ceil(IN_CHANNELS / IN_TILE), y = ceil(OUT_CHANNELS / (4 QUADS)), z = splits.
// Deterministic: every sum runs over its pixels in ascending order; parts, then splits are added in ascending order.

//#import folded_norm
//#import folded_operands
//#import weight_tile

alias Element = f32;

struct Params {
    // Bands of the batch, and of one split.
    bands: u32,
    chunk: u32,
    // The coefficients of channel 0 of x and of dy.
    x_first: u32,
    dy_first: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> dy: array<f32>;
@group(0) @binding(3)
var<storage, read> before: array<f32>;
@group(0) @binding(4)
var<storage, read> coefficients: array<vec4<f32>>;
@group(0) @binding(5)
var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let begin = group.z * params.chunk;
    weight_tile(group, lane, begin, min(begin + params.chunk, params.bands));
}
