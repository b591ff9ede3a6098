// dx[b,i,q] = sum over o, ky, kx of w[o,i,ky,kx] dy[b, o, (q + PAD - (ky,kx)) / STRIDE], where that is a pixel of dy
//
// With RESIDUAL a residual is added, with MASKED the result is then zero where the mask is not positive.
//
// dy [B,Co,H',W'], w [Co,Ci,KH,KW]; residual, mask, dx [B,Ci,H,W].
// The mirror of conv2d: an invocation computes 4 pixels of a row for 8 input channels (8 vec4 accumulators). The pixels are
// STRIDE apart: then the same taps, every STRIDE-th, meet neighbouring pixels of dy at all four.
// Workgroup: 64 blocks of 4 pixels. Grid: x, y = blocks of the batch (linear, folded); z = ceil(Ci / 8).
// Deterministic: one invocation sums each output, two output channels at a time in ascending order, then by (ky, kx). A gather,
// no atomics.

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

fn gradients(row: u32, ox: i32) -> vec4<f32> {
    return vec4<f32>(gradient(row, ox), gradient(row, ox + 1), gradient(row, ox + 2), gradient(row, ox + 3));
}

// Four pixels of a channel, the last of it or of the row past the end: their elements.
fn elements(channel: u32, b: u32, iy: u32, ix: u32) -> vec4<u32> {
    let row = ((b * params.in_channels + min(channel, params.in_channels - 1u)) * params.height + iy) * params.width;
    return row + min(ix + STRIDE * vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.width - 1u));
}

// The gradient there.
fn finished(i: vec4<u32>, sum: vec4<f32>) -> vec4<f32> {
    var values = sum;
    if RESIDUAL {
        values += vec4<f32>(residual[i.x], residual[i.y], residual[i.z], residual[i.w]);
    }
    if MASKED {
        let masks = vec4<f32>(mask[i.x], mask[i.y], mask[i.z], mask[i.w]);
        values = select(vec4<f32>(), values, masks > vec4<f32>());
    }
    return values;
}

fn store(channel: u32, ix: u32, i: vec4<u32>, values: vec4<f32>) {
    // With a stride a narrow row has blocks that begin past its end.
    if channel >= params.in_channels || ix >= params.width {
        return;
    }
    dx[i.x] = values.x;
    if ix + STRIDE < params.width { dx[i.y] = values.y; }
    if ix + 2u * STRIDE < params.width { dx[i.z] = values.z; }
    if ix + 3u * STRIDE < params.width { dx[i.w] = values.w; }
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

    let plane = params.out_height * params.out_width;
    for (var o = 0u; o < params.out_channels; o += 2u) {
        // Two output channels are loaded together; of an odd number the last once more, in vain.
        let next = min(o + 1u, params.out_channels - 1u) - o;
        for (var ky = (iy + PAD) % STRIDE; ky < KH; ky += STRIDE) {
            if ky > iy + PAD || (iy + PAD - ky) / STRIDE >= params.out_height {
                continue;
            }
            let oy = (iy + PAD - ky) / STRIDE;
            let row = ((b * params.out_channels + o) * params.out_height + oy) * params.out_width;
            for (var kx = (ix + PAD) % STRIDE; kx < KW; kx += STRIDE) {
                // A multiple of STRIDE, perhaps below zero.
                let ox = (i32(ix + PAD) - i32(kx)) / i32(STRIDE);
                let v = gradients(row, ox);
                let u = select(vec4<f32>(), gradients(row + next * plane, ox), next == 1u);
                let tap = o * params.in_channels * window + ky * KW + kx;
                let then = tap + next * params.in_channels * window;
                s0 += w[w0 + tap] * v + w[w0 + then] * u;
                s1 += w[w1 + tap] * v + w[w1 + then] * u;
                s2 += w[w2 + tap] * v + w[w2 + then] * u;
                s3 += w[w3 + tap] * v + w[w3 + then] * u;
                s4 += w[w4 + tap] * v + w[w4 + then] * u;
                s5 += w[w5 + tap] * v + w[w5 + then] * u;
                s6 += w[w6 + tap] * v + w[w6 + then] * u;
                s7 += w[w7 + tap] * v + w[w7 + then] * u;
            }
        }
    }

    // Everything is loaded before anything is stored.
    let e0 = elements(i, b, iy, ix);
    let e1 = elements(i + 1u, b, iy, ix);
    let e2 = elements(i + 2u, b, iy, ix);
    let e3 = elements(i + 3u, b, iy, ix);
    let e4 = elements(i + 4u, b, iy, ix);
    let e5 = elements(i + 5u, b, iy, ix);
    let e6 = elements(i + 6u, b, iy, ix);
    let e7 = elements(i + 7u, b, iy, ix);
    s0 = finished(e0, s0);
    s1 = finished(e1, s1);
    s2 = finished(e2, s2);
    s3 = finished(e3, s3);
    s4 = finished(e4, s4);
    s5 = finished(e5, s5);
    s6 = finished(e6, s6);
    s7 = finished(e7, s7);
    store(i, ix, e0, s0);
    store(i + 1u, ix, e1, s1);
    store(i + 2u, ix, e2, s2);
    store(i + 3u, ix, e3, s3);
    store(i + 4u, ix, e4, s4);
    store(i + 5u, ix, e5, s5);
    store(i + 6u, ix, e6, s6);
    store(i + 7u, ix, e7, s7);
}
