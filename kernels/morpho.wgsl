// y[r,c,i] = sum over the window q of a_q x(i+q) e(i+q) / sum of a_q e(i+q), x = image[s,c], with s the row's partner;
// inverse = 1 / the second sum. Outside the image x = 0 and e = 1
//
// image [S,C,H,W], p [R,1+K^2] = (alpha, a), e [R,C,H,W], index [R] u32 (selected rows only); y, inverse [R,C,H,W].
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each element, in the order of the window.

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
var<storage, read> e: array<f32>;
@group(0) @binding(4)
var<storage, read> index: array<u32>;
@group(0) @binding(5)
var<storage, read_write> y: array<f32>;
@group(0) @binding(6)
var<storage, read_write> inverse: array<f32>;

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
    let source = shared_row(r, params.shared_rows) * params.channels + c;
    let pixels = params.height * params.width;
    var weight = r * (1u + KERNEL * KERNEL);
    var numerator = 0.0;
    var denominator = 0.0;
    for (var di = 0u; di < KERNEL; di += 1u) {
        // Above the image the difference wraps round to a large number.
        let row = i + di - KERNEL / 2u;
        for (var dj = 0u; dj < KERNEL; dj += 1u) {
            weight += 1u;
            let column = j + dj - KERNEL / 2u;
            let inside = row < params.height && column < params.width;
            // Loads in a branch would wait for each other.
            let near = min(row, params.height - 1u) * params.width + min(column, params.width - 1u);
            let ae = p[weight] * select(1.0, e[plane * pixels + near], inside);
            numerator += select(0.0, ae * image[source * pixels + near], inside);
            denominator += ae;
        }
    }
    y[at] = numerator / denominator;
    inverse[at] = 1.0 / denominator;
}
