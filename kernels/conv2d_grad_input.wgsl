// dx[b,i,q] = sum over o, ky, kx of w[o,i,ky,kx] dy[b, o, (q + PAD - (ky,kx)) / STRIDE], where that is a pixel of dy
//
// With RESIDUAL a residual is added, with MASKED the result is then zero where the mask is not positive.
//
// dy [B,Co,H',W'], w [Co,Ci,KH,KW]; residual, mask, dx [B,Ci,H,W].
// The mirror of conv2d: an invocation computes 4 pixels of a row for 8 input channels (8 vec4 accumulators). The pixels are
// STRIDE apart: then the same taps, every STRIDE-th, meet neighbouring pixels of dy at all four.
// Workgroup: 64 blocks of 4 pixels. Grid: x, y = blocks of the batch (linear, folded); z = ceil(Ci / 8).
// Deterministic: one invocation sums each output, in ascending order of (o, ky, kx). A gather, no atomics.

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

override RESIDUAL: bool = false;
override MASKED: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> dy: array<f32>;
@group(0) @binding(2)
var<storage, read> w: array<f32>;
@group(0) @binding(3)
var<storage, read> residual: array<f32>;
@group(0) @binding(4)
var<storage, read> mask: array<f32>;
@group(0) @binding(5)
var<storage, read_write> dx: array<f32>;

fn gradient(row: u32, ox: i32) -> f32 {
    // Loads in a branch would wait for each other.
    let near = clamp(ox, 0, i32(params.out_width) - 1);
    return select(0.0, dy[row + u32(near)], ox == near);
}

fn store(channel: u32, b: u32, iy: u32, ix: u32, sum: vec4<f32>) {
    if channel >= params.in_channels {
        return;
    }
    let row = ((b * params.in_channels + channel) * params.height + iy) * params.width;
    for (var j = 0u; j < 4u; j += 1u) {
        let i = row + ix + j * STRIDE;
        if ix + j * STRIDE < params.width {
            var value = sum[j];
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
    let in_row = block % params.row_blocks;
    let ix = in_row % STRIDE + in_row / STRIDE * 4u * STRIDE;
    let line = block / params.row_blocks;
    let iy = line % params.height;
    let b = line / params.height;
    let i = group.z * 8u;

    // Channels past the last one read the last one's weights and are not stored.
    let window = KH * KW;
    let last = params.in_channels - 1u;
    let w0 = i * window;
    let w1 = min(i + 1u, last) * window;
    let w2 = min(i + 2u, last) * window;
    let w3 = min(i + 3u, last) * window;
    let w4 = min(i + 4u, last) * window;
    let w5 = min(i + 5u, last) * window;
    let w6 = min(i + 6u, last) * window;
    let w7 = min(i + 7u, last) * window;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();

    for (var o = 0u; o < params.out_channels; o += 1u) {
        for (var ky = (iy + PAD) % STRIDE; ky < KH; ky += STRIDE) {
            if ky > iy + PAD || (iy + PAD - ky) / STRIDE >= params.out_height {
                continue;
            }
            let oy = (iy + PAD - ky) / STRIDE;
            let row = ((b * params.out_channels + o) * params.out_height + oy) * params.out_width;
            for (var kx = (ix + PAD) % STRIDE; kx < KW; kx += STRIDE) {
                // A multiple of STRIDE, perhaps below zero.
                let ox = (i32(ix + PAD) - i32(kx)) / i32(STRIDE);
                let v = vec4<f32>(gradient(row, ox), gradient(row, ox + 1), gradient(row, ox + 2), gradient(row, ox + 3));
                let tap = o * params.in_channels * window + ky * KW + kx;
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

    store(i, b, iy, ix, s0);
    store(i + 1u, b, iy, ix, s1);
    store(i + 2u, b, iy, ix, s2);
    store(i + 3u, b, iy, ix, s3);
    store(i + 4u, b, iy, ix, s4);
    store(i + 5u, b, iy, ix, s5);
    store(i + 6u, b, iy, ix, s6);
    store(i + 7u, b, iy, ix, s7);
}
