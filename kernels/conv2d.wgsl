// y[b,o,p] = sum over i, ky, kx of w[o,i,ky,kx] x[b, i, STRIDE p + (ky,kx) - PAD], zero outside the image
//
// x [B,Ci,H,W], w [Co,Ci,KH,KW], y [B,Co,H',W'].
// Direct form, blocked in registers: an invocation computes 4 neighbouring pixels of a row for 8 output channels
// (8 vec4 accumulators), so that 4 pixels and 8 weights feed 32 multiply-adds. The weights are the same for the
// whole workgroup and should come from the cache.
// Workgroup: 64 blocks of 4 pixels. Grid: x, y = blocks of the batch (linear, folded); z = ceil(Co / 8).
// Deterministic: one invocation sums each output, in ascending order of (i, ky, kx).

struct Params {
    blocks: u32,
    row_blocks: u32,
    in_channels: u32,
    height: u32,
    width: u32,
    out_channels: u32,
    out_height: u32,
    out_width: u32,
}

override KH: u32 = 3u;
override KW: u32 = 3u;
override STRIDE: u32 = 1u;
override PAD: u32 = 1u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> w: array<f32>;
@group(0) @binding(3)
var<storage, read_write> y: array<f32>;

fn pixel(row: u32, ix: i32) -> f32 {
    // Loads in a branch would wait for each other.
    let near = clamp(ix, 0, i32(params.width) - 1);
    return select(0.0, x[row + u32(near)], ix == near);
}

fn store(channel: u32, b: u32, oy: u32, ox: u32, sum: vec4<f32>) {
    if channel >= params.out_channels {
        return;
    }
    let row = ((b * params.out_channels + channel) * params.out_height + oy) * params.out_width;
    let count = min(4u, params.out_width - ox);
    for (var j = 0u; j < count; j += 1u) {
        y[row + ox + j] = sum[j];
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = (group.y * groups.x + group.x) * 64u + lane;
    if block >= params.blocks {
        return;
    }
    let ox = (block % params.row_blocks) * 4u;
    let line = block / params.row_blocks;
    let oy = line % params.out_height;
    let b = line / params.out_height;
    let o = group.z * 8u;

    // Channels past the last one read the last one's weights and are not stored.
    let taps = params.in_channels * KH * KW;
    let last = params.out_channels - 1u;
    let w0 = o * taps;
    let w1 = min(o + 1u, last) * taps;
    let w2 = min(o + 2u, last) * taps;
    let w3 = min(o + 3u, last) * taps;
    let w4 = min(o + 4u, last) * taps;
    let w5 = min(o + 5u, last) * taps;
    let w6 = min(o + 6u, last) * taps;
    let w7 = min(o + 7u, last) * taps;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();

    for (var i = 0u; i < params.in_channels; i += 1u) {
        for (var ky = 0u; ky < KH; ky += 1u) {
            let iy = i32(oy * STRIDE + ky) - i32(PAD);
            if iy < 0 || iy >= i32(params.height) {
                continue;
            }
            let row = ((b * params.in_channels + i) * params.height + u32(iy)) * params.width;
            for (var kx = 0u; kx < KW; kx += 1u) {
                let ix = i32(ox * STRIDE + kx) - i32(PAD);
                let step = i32(STRIDE);
                let v = vec4<f32>(pixel(row, ix), pixel(row, ix + step), pixel(row, ix + 2 * step), pixel(row, ix + 3 * step));
                let tap = (i * KH + ky) * KW + kx;
                s0 += w[w0 + tap] * v;
                s1 += w[w1 + tap] * v;
                s2 += w[w2 + tap] * v;
                s3 += w[w3 + tap] * v;
                s4 += w[w4 + tap] * v;
                s5 += w[w5 + tap] * v;
                s6 += w[w6 + tap] * v;
                s7 += w[w7 + tap] * v;
            }
        }
    }

    store(o, b, oy, ox, s0);
    store(o + 1u, b, oy, ox, s1);
    store(o + 2u, b, oy, ox, s2);
    store(o + 3u, b, oy, ox, s3);
    store(o + 4u, b, oy, ox, s4);
    store(o + 5u, b, oy, ox, s5);
    store(o + 6u, b, oy, ox, s6);
    store(o + 7u, b, oy, ox, s7);
}
