// dimage[r,c,s] = e (U + alpha (x U - V)), U = sum over the window q of a_q g(s-q), V = sum of a_q g(s-q) y(s-q) with
// g = dy inverse and x = image[t,c], t the row's partner; alpha counts as 0 where the exponent of e was limited
//
// image [S,C,H,W], p [R,1+K^2] = (alpha, a); e, y, inverse, dy [R,C,H,W], index [R] u32 (selected rows only);
// dimage [R,C,H,W], one image a row.
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
var<storage, read> y: array<f32>;
@group(0) @binding(5)
var<storage, read> inverse: array<f32>;
@group(0) @binding(6)
var<storage, read> dy: array<f32>;
@group(0) @binding(7)
var<storage, read> index: array<u32>;
@group(0) @binding(8)
var<storage, read_write> dimage: array<f32>;

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
    let first = r * (1u + KERNEL * KERNEL);
    var weight = first;
    var u = 0.0;
    var v = 0.0;
    for (var di = 0u; di < KERNEL; di += 1u) {
        // Above the image the difference wraps round to a large number.
        let row = i + KERNEL / 2u - di;
        for (var dj = 0u; dj < KERNEL; dj += 1u) {
            weight += 1u;
            let column = j + KERNEL / 2u - dj;
            let inside = row < params.height && column < params.width;
            // Loads in a branch would wait for each other.
            let near_row = plane * params.height + min(row, params.height - 1u);
            let near = near_row * params.width + min(column, params.width - 1u);
            let ag = select(0.0, p[weight] * dy[near] * inverse[near], inside);
            u += ag;
            v += select(0.0, ag * y[near], inside);
        }
    }
    let source = shared_row(r, params.shared_rows) * params.channels + c;
    let x = image[(source * params.height + i) * params.width + j];
    let alpha = select(0.0, p[first], abs(p[first] * x) < 60.0);
    dimage[at] = e[at] * (u + alpha * (x * u - v));
}
