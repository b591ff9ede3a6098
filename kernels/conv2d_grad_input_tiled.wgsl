// dx[b,i,q] = sum over o, ky, kx of w[o,i,ky,kx] dy[b, o, q + PAD' - (ky,kx)], zero outside; 3x3 with stride 1 only
//
// With RESIDUAL a residual is added, with MASKED the result is then zero where the mask is not positive.
//
// dy [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH], w [SOURCES,CHANNELS,3,3]; residual, mask, dx [B,CHANNELS,HEIGHT,WIDTH].
// The variant of conv2d_grad_input that shares rows and weights in workgroup memory: a convolution of dy with the filters
// turned by half a turn and PAD = 2 - PAD', see shared/conv_tile.wgsl. An invocation computes 4 neighbouring pixels of a row
// for 8 or 4 channels.
// Workgroup: LANES, 32 blocks of 4 pixels x groups of channels. Grid: x, y = tiles of 32 blocks (linear, folded); z =
// groups of channels.
// Deterministic: one invocation sums each output, in ascending order of (o, -ky, -kx). A gather, no atomics.

//#import conv_tile

struct Params {
    // Blocks of 4 pixels of the batch.
    blocks: u32,
}

override RESIDUAL: bool = false;
override MASKED: bool = false;

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
var<storage, read_write> dx: array<f32>;

fn weight(s: u32, c: u32, tap: u32) -> f32 {
    return w[(s * CHANNELS + c) * 9u + 8u - tap];
}

fn store(channel: u32, at: Place, sums: vec4<f32>, j: u32) {
    for (var c = 0u; c < 4u; c += 1u) {
        if channel + c < CHANNELS {
            let i = ((at.b * CHANNELS + channel + c) * HEIGHT + at.y) * WIDTH + at.x + j;
            var value = sums[c];
            if RESIDUAL {
                value += residual[i];
            }
            if MASKED {
                value = select(0.0, value, mask[i] > 0.0);
            }
            dx[i] = value;
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
