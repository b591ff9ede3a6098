// y[b,o,p] = sum over i, ky, kx of w[o,i,ky,kx] x[b, i, STRIDE p + (ky,kx) - PAD], zero outside the image; 3x3 only
//
// x [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH], w [CHANNELS,SOURCES,3,3], y [B,CHANNELS,HEIGHT,WIDTH].
// The variant of conv2d that shares rows and weights in workgroup memory, see shared/conv_tile.wgsl: an invocation computes
// 4 neighbouring pixels of a row for 8 or 4 channels. A source channel and a row of taps take 2 loads of pixels and 6 (3)
// of weights for 96 (48) multiply-adds, all from workgroup memory.
// Workgroup: LANES, 32 blocks of 4 pixels x groups of channels. Grid: x, y = tiles of 32 blocks (linear, folded); z =
// groups of channels.
// Deterministic: one invocation sums each output, in ascending order of (i, ky, kx).

//#import conv_tile

struct Params {
    // Blocks of 4 pixels of the batch.
    blocks: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> source: array<f32>;
@group(0) @binding(2)
var<storage, read> w: array<f32>;
@group(0) @binding(3)
var<storage, read_write> y: array<f32>;

fn weight(s: u32, c: u32, tap: u32) -> f32 {
    return w[(c * SOURCES + s) * 9u + tap];
}

fn store(channel: u32, at: Place, sums: vec4<f32>, j: u32) {
    for (var c = 0u; c < 4u; c += 1u) {
        if channel + c < CHANNELS {
            y[((at.b * CHANNELS + channel + c) * HEIGHT + at.y) * WIDTH + at.x + j] = sums[c];
        }
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.y * groups.x + group.x;
    if tile * TILE >= params.blocks {
        return;
    }
    var sums = convolve_tile(tile, group.z, lane, params.blocks);
    let block = tile * TILE + lane % TILE;
    if block >= params.blocks {
        return;
    }
    let at = place(block);
    let channel = first_channel(group.z, lane);
    for (var j = 0u; j < min(4u, WIDTH - at.x); j += 1u) {
        store(channel, at, sums.low[j], j);
        if WIDE {
            store(channel + 4u, at, sums.high[j], j);
        }
    }
}
