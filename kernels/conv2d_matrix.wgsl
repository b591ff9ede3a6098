// y[b,o,p] = sum over i, ky, kx of w[o,i,ky,kx] x[b, i, p + (ky,kx) - PAD], zero outside the image; 3x3 with stride 1 only
// With FOLDED x is computed from the map that `source` is: normalised, with RESIDUAL plus a residual, and with RECTIFY then
// max(x, 0). With WRITES it is written as well, map [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH].
// With SUMS mean and sum of squared deviations of each channel of y in each tile, parts [2,CHANNELS,tiles], and the pixels of
// a tile, [tiles], which batch_norm_stats.wgsl merges.
//
// x [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH], w [CHANNELS,SOURCES,3,3], y [B,CHANNELS,HEIGHT,WIDTH]; coefficients
// [..,4] from params.first on, see shared/folded_norm.wgsl.
// By matrix units: pixels and weights are rounded to f16, products and sums are f32. A pixel beyond 65504 overflows.
// Workgroup: LANES invocations, four subgroups of the largest size; a tile as in shared/matrix_tile.wgsl. Grid: x, y = tiles
// of positions (linear, folded); z = groups of channels.
// Deterministic: the sums of UNIT source channels, in the order of the device, are added in ascending order of (i, ky, kx).

enable f16;
enable wgpu_cooperative_matrix;

//#import folded_channels
//#import folded_norm
//#import folded_source
//#import matrix_unit_{UNIT}
//#import matrix_map
//#import matrix_tile

struct Params {
    // Positions of the batch.
    positions: u32,
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

// Whether this workgroup writes the source at its positions.
var<private> writes: bool;

fn elements(which: u32, i: vec4<u32>, c: vec4<u32>) -> vec4<f32> {
    return computed(loaded(i), of_channels(c));
}

fn keep(e: u32, i: u32, value: f32) {
    // Those further on are of the next tile.
    if writes && e < 2u * SUBGROUPS * UNIT {
        map[i] = value;
    }
}

fn weight(s: u32, c: u32, tap: u32) -> f32 {
    return w[(c * SOURCES + s) * 9u + tap];
}

fn results(i: vec4<u32>, c: vec4<u32>, sums: vec4<f32>) -> vec4<f32> {
    return sums;
}

fn store(i: u32, value: f32) {
    y[i] = value;
}

// Not wanted here.
fn xhat(i: vec4<u32>, c: u32) -> vec4<f32> {
    return vec4<f32>();
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    writes = WRITES && group.z == 0u;
    convolve_tile(group.y * groups.x + group.x, group.z, lane, subgroup, params.positions);
}
