// dw[o,i,ky,kx] = sum over b, p of dy[b,o,p] x[b, i, p + (ky,kx) - PAD], zero outside the image; 3x3 with stride 1 only
//
// x [B,IN_CHANNELS,IN_HEIGHT,IN_WIDTH], dy [B,OUT_CHANNELS,HEIGHT,WIDTH], dw [splits, OUT_CHANNELS, IN_CHANNELS, 3, 3];
// with more than one split `sum_rows` or `sum_parts` adds them up.
// With X_FOLDED x is computed from the map that `x` is: normalised, and with RECTIFY then max(x, 0). With DY_FOLDED dy is the
// gradient of a normalisation, computed from that of its result, which `dy` then is, and from what is normalised, `before`.
// coefficients [..,4], those of x from params.x_first on and those of dy from params.dy_first on, see
// shared/folded_norm.wgsl.
// By matrix units: x and dy are rounded to f16, products and sums are f32. A pixel beyond 65504 overflows; dy is kept SCALE
// times as large, as in conv2d_grad_input_matrix.wgsl.
// TILE positions, see shared/matrix_map.wgsl, are brought to workgroup memory at a time, UNIT channels of x and OUT_UNITS times
// UNIT of dy, which is zero at positions that are no outputs. A subgroup holds the 9 taps of UNIT x UNIT weights and takes
// UNIT positions at a time: 9 products [outputs, positions] [positions, inputs].
// Workgroup: LANES invocations, four subgroups of the largest size: OUT_UNITS units of output channels x parts, which share
// the positions. Grid: x = ceil(IN_CHANNELS / UNIT), y = ceil(OUT_CHANNELS / (OUT_UNITS UNIT)), z = splits.
// Deterministic: the sums of UNIT positions, in the order of the device, are added in ascending order; then parts, then splits.

enable f16;
enable wgpu_cooperative_matrix;

//#import folded_norm
//#import folded_operands
//#import matrix_unit_{UNIT}
//#import matrix_map

struct Params {
    // Positions of the batch, and tiles of one split.
    positions: u32,
    chunk: u32,
    // The coefficients of channel 0 of x and of dy.
    x_first: u32,
    dy_first: u32,
}

override OUT_UNITS: u32 = 1u;
override TILE: u32 = 128u;
override PAD: u32 = 1u;
override SCALE: f32 = 1048576.0;
override IN_CHANNELS: u32 = 16u;
override IN_HEIGHT: u32 = 28u;
override IN_WIDTH: u32 = 28u;
override OUT_CHANNELS: u32 = 16u;
override HEIGHT: u32 = 28u;
override WIDTH: u32 = 28u;
// The subgroups' sums, rows SUMS_PITCH apart.
override SUMS_PITCH: u32 = 20u;
override SUMS_LEN: u32 = 1280u;

const SUBGROUPS: u32 = 4u;

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

var<workgroup> sh_sums: array<f32, SUMS_LEN>;

// Maps are not written here.
fn keep(e: u32, i: u32, value: f32) {
}

fn elements(map: u32, i: vec4<u32>, c: vec4<u32>) -> vec4<f32> {
    if map == 0u {
        return inputs(i, c);
    }
    return gradients(i, c) * SCALE;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    // Any further subgroups repeat what others do.
    let own = subgroup % SUBGROUPS;
    let parts = SUBGROUPS / OUT_UNITS;
    let part = own / OUT_UNITS;
    let inputs = Source(0u, IN_CHANNELS, IN_HEIGHT, IN_WIDTH, PAD);
    let outputs = Source(1u, OUT_CHANNELS, HEIGHT, WIDTH, 0u);
    // Where dy begins in sh_map, and this subgroup's share of it.
    let dy_rows = TILE + step_to(8u);
    let own_rows = dy_rows + own % OUT_UNITS * TILE;

    var s0: Sums;
    var s1: Sums;
    var s2: Sums;
    var s3: Sums;
    var s4: Sums;
    var s5: Sums;
    var s6: Sums;
    var s7: Sums;
    var s8: Sums;
    let begin = group.z * params.chunk * TILE;
    let end = min(begin + params.chunk * TILE, params.positions);
    for (var first = begin; first < end; first += TILE) {
        bring(inputs, group.x * UNIT, first, dy_rows, params.positions, 0u, lane);
        for (var u = 0u; u < OUT_UNITS; u += 1u) {
            let channel = (group.y * OUT_UNITS + u) * UNIT;
            bring(outputs, channel, first, TILE, params.positions, dy_rows + u * TILE, lane);
        }
        workgroupBarrier();
        for (var k = 0u; k < TILE; k += UNIT * parts) {
            let at = k + part * UNIT;
            let g = coopLoad<Left>(&sh_map[(own_rows + at) * PITCH], PITCH);
            s0 = coopMultiplyAdd(g, coopLoadT<Right>(&sh_map[(at + step_to(0u)) * PITCH], PITCH), s0);
            s1 = coopMultiplyAdd(g, coopLoadT<Right>(&sh_map[(at + step_to(1u)) * PITCH], PITCH), s1);
            s2 = coopMultiplyAdd(g, coopLoadT<Right>(&sh_map[(at + step_to(2u)) * PITCH], PITCH), s2);
            s3 = coopMultiplyAdd(g, coopLoadT<Right>(&sh_map[(at + step_to(3u)) * PITCH], PITCH), s3);
            s4 = coopMultiplyAdd(g, coopLoadT<Right>(&sh_map[(at + step_to(4u)) * PITCH], PITCH), s4);
            s5 = coopMultiplyAdd(g, coopLoadT<Right>(&sh_map[(at + step_to(5u)) * PITCH], PITCH), s5);
            s6 = coopMultiplyAdd(g, coopLoadT<Right>(&sh_map[(at + step_to(6u)) * PITCH], PITCH), s6);
            s7 = coopMultiplyAdd(g, coopLoadT<Right>(&sh_map[(at + step_to(7u)) * PITCH], PITCH), s7);
            s8 = coopMultiplyAdd(g, coopLoadT<Right>(&sh_map[(at + step_to(8u)) * PITCH], PITCH), s8);
        }
        // The next tile overwrites what other subgroups may still be reading.
        workgroupBarrier();
    }

    let mine = own * UNIT * SUMS_PITCH;
    coopStoreT(s0, &sh_sums[mine], SUMS_PITCH);
    store_tap(0u, group, lane);
    coopStoreT(s1, &sh_sums[mine], SUMS_PITCH);
    store_tap(1u, group, lane);
    coopStoreT(s2, &sh_sums[mine], SUMS_PITCH);
    store_tap(2u, group, lane);
    coopStoreT(s3, &sh_sums[mine], SUMS_PITCH);
    store_tap(3u, group, lane);
    coopStoreT(s4, &sh_sums[mine], SUMS_PITCH);
    store_tap(4u, group, lane);
    coopStoreT(s5, &sh_sums[mine], SUMS_PITCH);
    store_tap(5u, group, lane);
    coopStoreT(s6, &sh_sums[mine], SUMS_PITCH);
    store_tap(6u, group, lane);
    coopStoreT(s7, &sh_sums[mine], SUMS_PITCH);
    store_tap(7u, group, lane);
    coopStoreT(s8, &sh_sums[mine], SUMS_PITCH);
    store_tap(8u, group, lane);
}

// Adds the parts of one tap and stores it. In uniform control flow; sh_sums is free again afterwards.
fn store_tap(tap: u32, group: vec3<u32>, lane: u32) {
    workgroupBarrier();
    for (var e = lane; e < OUT_UNITS * UNIT * UNIT; e += LANES) {
        let i = group.x * UNIT + e % UNIT;
        let row = e / UNIT;
        var sum = 0.0;
        for (var part = 0u; part < SUBGROUPS / OUT_UNITS; part += 1u) {
            sum += sh_sums[(part * OUT_UNITS * UNIT + row) * SUMS_PITCH + e % UNIT];
        }
        let o = group.y * OUT_UNITS * UNIT + row;
        if o < OUT_CHANNELS && i < IN_CHANNELS {
            dw[((group.z * OUT_CHANNELS + o) * IN_CHANNELS + i) * 9u + tap] = sum * (1.0 / SCALE);
        }
    }
    workgroupBarrier();
}
