// dimage[r,c,q] = sum over pixels p of dy[r,c,p] times the bilinear weight of source pixel q in grid[r,p]
//
// grid [R,H,W,2] (x, y), dy [R,C,H,W], dimage [R,C,Hs,Ws].
// A scatter: any pixel may reach any source pixel. A workgroup owns a band of 1920 source pixels of one (row, channel)
// and scans all its pixels, adding in workgroup memory with integer atomics. The sums are in fixed point over two
// words. With S = sum of |dy| rounded up to a power of two no sum exceeds S, so the high word counts units of S / 2^30;
// the low word counts units 2^low_bits smaller and takes what rounding to the high word leaves over.
// Workgroup: 256 invocations. Grid: (row, channel, band), band fastest (linear, folded).
// Deterministic: integer addition is associative, so that the order of the atomics does not matter, and S is a tree
// sum of fixed shape.

//#import bilinear
//#import workgroup_sum

struct Params {
    planes: u32,
    bands: u32,
    channels: u32,
    pixels: u32,
    source_height: u32,
    source_width: u32,
    // Chosen so that one low word can take the rounding of every pixel of the row: 2^(low_bits - 1) 4 H W < 2^31.
    low_bits: u32,
}

const WG_SIZE: u32 = 256u;
const BAND: u32 = 1920u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> grid: array<f32>;
@group(0) @binding(2)
var<storage, read> dy: array<f32>;
@group(0) @binding(3)
var<storage, read_write> dimage: array<f32>;

var<workgroup> sh_high: array<atomic<i32>, 1920>;
var<workgroup> sh_low: array<atomic<i32>, 1920>;

fn power_of_two(exponent: u32) -> f32 {
    return bitcast<f32>(exponent << 23u);
}

// Adds value, given in units of the high word, to source pixel q if it lies in the band.
fn deposit(q: u32, first: u32, value: f32, low_scale: f32) {
    if q < first || q >= first + BAND || value == 0.0 {
        return;
    }
    let high = round(value);
    atomicAdd(&sh_high[q - first], i32(high));
    // The difference is exact: value and its rounding agree in their leading bits.
    atomicAdd(&sh_low[q - first], i32(round((value - high) * low_scale)));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group.y * groups.x + group.x;
    if item >= params.planes * params.bands {
        return;
    }
    let plane = item / params.bands;
    let first = (item - plane * params.bands) * BAND;
    let r = plane / params.channels;

    for (var q = lane; q < BAND; q += WG_SIZE) {
        atomicStore(&sh_high[q], 0);
        atomicStore(&sh_low[q], 0);
    }
    var magnitude = 0.0;
    for (var p = lane; p < params.pixels; p += WG_SIZE) {
        magnitude += abs(dy[plane * params.pixels + p]);
    }
    // Its barriers also publish the zeros above.
    let total = workgroup_sum(lane, magnitude);
    // total < 2^(e - 126), so that total * 2^(156 - e) < 2^30. Totals below 2^-96 keep the scale of 2^-96: what they
    // lose is far below the smallest normal number. Totals that are not finite are handed on at the end.
    let e = max((bitcast<u32>(total) >> 23u) & 255u, 30u);
    let scale = power_of_two(283u - e);
    let unit = power_of_two(e - 29u);
    let low_scale = f32(1u << params.low_bits);

    for (var p = lane; p < params.pixels; p += WG_SIZE) {
        let at = r * params.pixels + p;
        let h = bilinear_axis(grid[2u * at], params.source_width);
        let v = bilinear_axis(grid[2u * at + 1u], params.source_height);
        let g = dy[plane * params.pixels + p] * scale;
        let upper = v.lower * params.source_width;
        let lower = v.upper * params.source_width;
        let g_upper = g * (1.0 - v.fraction) * v.has_lower;
        let g_lower = g * v.fraction * v.has_upper;
        deposit(upper + h.lower, first, g_upper * (1.0 - h.fraction) * h.has_lower, low_scale);
        deposit(upper + h.upper, first, g_upper * h.fraction * h.has_upper, low_scale);
        deposit(lower + h.lower, first, g_lower * (1.0 - h.fraction) * h.has_lower, low_scale);
        deposit(lower + h.upper, first, g_lower * h.fraction * h.has_upper, low_scale);
    }
    workgroupBarrier();

    let source = params.source_height * params.source_width;
    let count = min(BAND, source - first);
    let finite = ((bitcast<u32>(total) >> 23u) & 255u) != 255u;
    for (var q = lane; q < count; q += WG_SIZE) {
        let sum = (f32(atomicLoad(&sh_high[q])) + f32(atomicLoad(&sh_low[q])) / low_scale) * unit;
        dimage[plane * source + first + q] = select(total, sum, finite);
    }
}
