// dx[b,i,q] = sum over o, ky, kx of w[o,i,ky,kx] dy[b, o, q + PAD' - (ky,kx)], zero outside; 3x3 with stride 1 only
//
// With RESIDUAL a residual is added, with MASKED the result is then zero where the mask is not positive.
// With FOLDED dy is the gradient of a normalisation, computed from that of its result, which `source` then is, and from what
// is normalised, `before`; with MASK_FOLDED the mask is the map that `mask` is, normalised.
// With SUMS, where the mask is folded: the sums of dx xhat and dx for each channel in each tile, parts [2,CHANNELS,tiles],
// which batch_norm_grad_params.wgsl adds up.
//
// dy [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH], w [SOURCES,CHANNELS,3,3]; residual, mask, dx [B,CHANNELS,HEIGHT,WIDTH];
// coefficients [..,4], those of dy from params.first on and those of the mask from params.mask_first on, see
// shared/folded_norm.wgsl.
// conv2d_grad_input_tiled with dy in workgroup memory as f16, half the bytes that its invocations load there; weights, products
// and sums are f32. Gradients of a mean over a batch are too small for f16, so they are kept SCALE times as large, a power
// of two; one beyond 65504 / SCALE overflows. An invocation computes 4 pixels for 8 or 4 channels, see
// shared/conv_tile.wgsl.
// Workgroup: LANES, 32 blocks of 4 pixels x groups of channels. Grid: x, y = tiles of 32 blocks (linear, folded); z =
// groups of channels.
// Deterministic: one invocation sums each output, in ascending order of (o, -ky, -kx); parts by a tree
// of fixed shape. A gather, no atomics.

enable f16;

//#import conv_stage
//#import conv_tile
//#import folded_channels
//#import folded_gradient
//#import folded_norm

alias Element = f16;

struct Params {
    // Blocks of 4 pixels of the batch.
    blocks: u32,
    // The coefficients of source channel 0, and of channel 0 of the mask.
    first: u32,
    mask_first: u32,
}

const CENTRED: bool = false;
const WRITES: bool = false;

// The power of two below the positions of dy, times 16.
override SCALE: f32 = 1048576.0;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> source: array<f32>;
@group(0) @binding(2)
var<storage, read> w: array<f32>;
@group(0) @binding(3)
var<storage, read> residual: array<f32>;
@group(0) @binding(4)
var<storage, read> mask: array<f32>;
@group(0) @binding(5)
var<storage, read> before: array<f32>;
@group(0) @binding(6)
var<storage, read> coefficients: array<vec4<f32>>;
@group(0) @binding(7)
var<storage, read_write> dx: array<f32>;
@group(0) @binding(8)
var<storage, read_write> parts: array<f32>;

// The source is not written here.
fn keep(i: u32, value: f32) {
}

fn packed(v: vec4<f32>) -> vec4<f16> {
    return vec4<f16>(v * SCALE);
}

fn weight(s: u32, c: u32, tap: u32) -> f32 {
    return w[(s * CHANNELS + c) * 9u + 8u - tap];
}

fn results(i: vec4<u32>, c: u32, sums: vec4<f32>) -> Results {
    let of_masks = alike(mask_coefficients_of(c));
    return Results(finished(i, of_masks, sums * (1.0 / SCALE)), standard(i, of_masks));
}

fn store(i: u32, value: f32) {
    dx[i] = value;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    convolve_tile(group.y * groups.x + group.x, group.z, lane, params.blocks);
}
