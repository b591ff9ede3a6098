// dw[o,n] = sum over k of dy[o,k] x[n,k], with n = (i, ky, kx) a weight of a filter, k = (b, oy, ox) a pixel of the
// output, and x[n,k] = x[b, i, STRIDE (oy,ox) + (ky,kx) - PAD], zero outside the image
//
// x [B,Ci,H,W], dy [B,Co,H',W'], dw [splits, Co, Ci KH KW]; with more than one split `sum_rows` or `sum_parts` adds them up.
// An implicit matrix product. A workgroup computes a tile of 16 output channels x 64 weights over the pixels of one
// split, 16 pixels at a time through workgroup memory (strides 17 and 65, so that neither the stores along k nor the
// loads along m and n meet in a bank). Each of the 64 invocations holds 4 x 4 sums: channels m + 4 i, weights n + 16 j.
// Grid: x = ceil(Ci KH KW / 64), y = ceil(Co / 16), z = splits.
// Deterministic: every sum runs over its pixels in ascending order, and the splits are added in ascending order.

struct Params {
    in_channels: u32,
    height: u32,
    width: u32,
    out_channels: u32,
    out_height: u32,
    out_width: u32,
    // Pixels of all images, B H' W', and of one split.
    pixels: u32,
    chunk: u32,
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
var<storage, read> dy: array<f32>;
@group(0) @binding(3)
var<storage, read_write> dw: array<f32>;

const DEPTH: u32 = 16u;
const DY_STRIDE: u32 = 17u;
const X_STRIDE: u32 = 65u;
const NEXT: vec4<u32> = vec4<u32>(0u, 1u, 2u, 3u);

var<workgroup> sh_dy: array<f32, 272>;
var<workgroup> sh_x: array<f32, 1040>;

fn store(split: u32, o: u32, n: u32, sum: vec4<f32>) {
    let taps = params.in_channels * KH * KW;
    if o >= params.out_channels {
        return;
    }
    let row = (split * params.out_channels + o) * taps;
    for (var j = 0u; j < 4u; j += 1u) {
        if n + 16u * j < taps {
            dw[row + n + 16u * j] = sum[j];
        }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let taps = params.in_channels * KH * KW;
    let plane = params.out_height * params.out_width;
    let first_n = group.x * 64u;
    let first_o = group.y * 16u;
    let begin = group.z * params.chunk;
    let end = min(begin + params.chunk, params.pixels);
    // As a loader: pixel `low`, rows `high`, `high` + 4, ... As a computer: weights `low` + 16 j, channels `high` + 4 i.
    let low = lane % 16u;
    let high = lane / 16u;

    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var start = begin; start < end; start += DEPTH) {
        let k = min(start + low, end - 1u);
        let valid = start + low < end;
        let b = k / plane;
        let p = k - b * plane;
        let oy = p / params.out_width;
        let ox = p - oy * params.out_width;
        // What is not there is loaded from nearby, and then zero or not stored: loads in a branch would wait for each other.
        let o = min(first_o + high + 4u * NEXT, vec4<u32>(params.out_channels - 1u));
        let at = (b * params.out_channels + o) * plane + p;
        let gradients = select(vec4<f32>(), vec4<f32>(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), valid);
        for (var j = 0u; j < 16u; j += 4u) {
            let n = high + 4u * (j + NEXT);
            let tap = min(first_n + n, vec4<u32>(taps - 1u));
            let i = tap / (KH * KW);
            let within = tap - i * (KH * KW);
            let top = vec4<i32>(oy * STRIDE + within / KW) - i32(PAD);
            let left = vec4<i32>(ox * STRIDE + within % KW) - i32(PAD);
            let near_top = clamp(top, vec4<i32>(0), vec4<i32>(i32(params.height) - 1));
            let near_left = clamp(left, vec4<i32>(0), vec4<i32>(i32(params.width) - 1));
            let row = (b * params.in_channels + i) * params.height + vec4<u32>(near_top);
            let from_x = row * params.width + vec4<u32>(near_left);
            let loaded = vec4<f32>(x[from_x.x], x[from_x.y], x[from_x.z], x[from_x.w]);
            let values = select(vec4<f32>(), loaded, (top == near_top) & (left == near_left));
            let to = low * X_STRIDE + n;
            sh_x[to.x] = values.x;
            sh_x[to.y] = values.y;
            sh_x[to.z] = values.z;
            sh_x[to.w] = values.w;
        }
        let to = low * DY_STRIDE + high;
        sh_dy[to] = gradients.x;
        sh_dy[to + 4u] = gradients.y;
        sh_dy[to + 8u] = gradients.z;
        sh_dy[to + 12u] = gradients.w;
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d += 1u) {
            let at = d * X_STRIDE + low;
            let v = vec4<f32>(sh_x[at], sh_x[at + 16u], sh_x[at + 32u], sh_x[at + 48u]);
            let row = d * DY_STRIDE + high;
            s0 += sh_dy[row] * v;
            s1 += sh_dy[row + 4u] * v;
            s2 += sh_dy[row + 8u] * v;
            s3 += sh_dy[row + 12u] * v;
        }
        // The next tile overwrites what other lanes may still be reading.
        workgroupBarrier();
    }

    store(group.z, first_o + high, first_n + low, s0);
    store(group.z, first_o + high + 4u, first_n + low, s1);
    store(group.z, first_o + high + 8u, first_n + low, s2);
    store(group.z, first_o + high + 12u, first_n + low, s3);
}
