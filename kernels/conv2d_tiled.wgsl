// y[b,o,p] = sum over i, ky, kx of w[o,i,ky,kx] x[b, i, STRIDE p + (ky,kx) - PAD], zero outside the image; 3x3 only
// With FOLDED x is computed from the map that `source` is: normalised, with RESIDUAL plus a residual, and with RECTIFY then
// max(x, 0). With WRITES it is written as well, map [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH].
// With SUMS mean and sum of squared deviations of each channel of y in each tile, parts [2,CHANNELS,tiles], and the pixels of
// a tile, [tiles], which batch_norm_stats.wgsl merges.
//
// x [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH], w [CHANNELS,SOURCES,3,3], y [B,CHANNELS,HEIGHT,WIDTH]; coefficients
// [..,4] from params.first on, see shared/folded_norm.wgsl.
// The variant of conv2d that shares rows and weights in workgroup memory, see shared/conv_tile.wgsl: an invocation computes
// 4 neighbouring pixels of a row for 8 or 4 channels. A source channel and a row of taps take 2 loads of pixels (3 with
// stride 2) and 6 (3) of weights for 96 (48) multiply-adds, all from workgroup memory.
// Workgroup: LANES, 32 blocks of 4 pixels x groups of channels. Grid: x, y = tiles of 32 blocks (linear, folded); z =
// groups of channels.
// Deterministic: one invocation sums each output, in ascending order of (i, ky, kx); parts by a tree of
// fixed shape.

//#import conv_stage
//#import conv_tile
//#import folded_channels
//#import folded_norm
//#import folded_source

alias Element = f32;

struct Params {
    // Blocks of 4 pixels of the batch.
    blocks: u32,
    // The coefficients of source channel 0.
    first: u32,
}

const CENTRED: bool = true;

// Whether the source is written as it is loaded.
override WRITES: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> source: array<f32>;
@group(0) @binding(2)
var<storage, read> w: array<f32>;
@group(0) @binding(3)
var<storage, read> residual: array<f32>;
@group(0) @binding(4)
var<storage, read> coefficients: array<vec4<f32>>;
@group(0) @binding(5)
var<storage, read_write> y: array<f32>;
@group(0) @binding(6)
var<storage, read_write> map: array<f32>;
@group(0) @binding(7)
var<storage, read_write> parts: array<f32>;

fn keep(i: u32, value: f32) {
    map[i] = value;
}

fn packed(v: vec4<f32>) -> vec4<f32> {
    return v;
}

fn weight(s: u32, c: u32, tap: u32) -> f32 {
    return w[(c * SOURCES + s) * 9u + tap];
}

fn results(i: vec4<u32>, c: u32, sums: vec4<f32>) -> Results {
    return Results(sums, vec4<f32>());
}

fn store(i: u32, value: f32) {
    y[i] = value;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    convolve_tile(group.y * groups.x + group.x, group.z, lane, params.blocks);
}
