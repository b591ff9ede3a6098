// y[r,c,i] = the largest (alpha > 0) or smallest (alpha < 0) x(i+q) over the window positions q with a_q > 1/2, over the
// centre if there are none; with alpha = 0 the mean sum a_q x(i+q) / sum a_q. x = image[s,c], with s the row's partner,
// and 0 outside
//
// image [S,C,H,W], p [R,1+K^2] = (alpha, a), index [R] u32 (selected rows only), y [R,C,H,W].
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation computes each element, in the order of the window.

//#import rows

// Extent of the window, odd.
override KERNEL: u32 = 3u;

struct Params {
    n: u32,
    channels: u32,
    height: u32,
    width: u32,
    shared_rows: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> image: array<f32>;
@group(0) @binding(2)
var<storage, read> p: array<f32>;
@group(0) @binding(3)
var<storage, read> index: array<u32>;
@group(0) @binding(4)
var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + lane;
    if at >= params.n {
        return;
    }
    let j = at % params.width;
    let line = at / params.width;
    let i = line % params.height;
    let plane = line / params.height;
    let r = plane / params.channels;
    let c = plane - r * params.channels;
    let source = (shared_row(r, params.shared_rows) * params.channels + c) * params.height;
    var weight = r * (1u + KERNEL * KERNEL);
    let alpha = p[weight];
    var best = image[(source + i) * params.width + j];
    var found = false;
    var numerator = 0.0;
    var denominator = 0.0;
    for (var di = 0u; di < KERNEL; di += 1u) {
        // Above the image the difference wraps round to a large number.
        let row = i + di - KERNEL / 2u;
        for (var dj = 0u; dj < KERNEL; dj += 1u) {
            weight += 1u;
            let column = j + dj - KERNEL / 2u;
            let a = p[weight];
            var value = 0.0;
            if row < params.height && column < params.width {
                value = image[(source + row) * params.width + column];
            }
            numerator += a * value;
            denominator += a;
            if a > 0.5 && (!found || (alpha > 0.0 && value > best) || (alpha < 0.0 && value < best)) {
                best = value;
                found = true;
            }
        }
    }
    if alpha == 0.0 {
        best = numerator / denominator;
    }
    y[at] = best;
}
