// dp[r,1+q] = sum over channels and pixels i of g(i) e(i+q) (x(i+q) - y(i)), g = dy inverse; dp[r,0] = sum over q of a_q
// times the same sum with x(i+q) as another factor, x counting as 0 where the exponent of e was limited
//
// image [S,C,H,W], p [R,1+K^2] = (alpha, a); e, y, inverse, dy [R,C,H,W], index [R] u32 (selected rows only);
// dp [R,1+K^2]. Outside the image x = 0 and e = 1.
// Workgroup: 64 invocations for one row. Grid: rows (linear, folded).
// Deterministic: strided partial sums and trees of fixed shape, in the order of the window.

//#import rows
//#import workgroup_sum

// Extent of the window, odd.
override KERNEL: u32 = 3u;

struct Params {
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    shared_rows: u32,
}

const WG_SIZE: u32 = 64u;

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
var<storage, read_write> dp: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let r = group.y * groups.x + group.x;
    if r >= params.rows {
        return;
    }
    let pixels = params.height * params.width;
    let item = params.channels * pixels;
    let source = shared_row(r, params.shared_rows) * item;
    let first = r * (1u + KERNEL * KERNEL);
    let alpha = p[first];
    // This lane's part of dp[r,0].
    var dalpha = 0.0;
    for (var q = 0u; q < KERNEL * KERNEL; q += 1u) {
        let di = q / KERNEL;
        let dj = q - di * KERNEL;
        var sum = 0.0;
        var sum_x = 0.0;
        for (var k = lane; k < item; k += WG_SIZE) {
            let c = k / pixels;
            let i = (k - c * pixels) / params.width;
            let j = k - c * pixels - i * params.width;
            let at = r * item + k;
            let g = dy[at] * inverse[at];
            // Above the image the difference wraps round to a large number.
            let row = i + di - KERNEL / 2u;
            let column = j + dj - KERNEL / 2u;
            if row < params.height && column < params.width {
                let near = c * pixels + row * params.width + column;
                let x = image[source + near];
                let term = g * e[r * item + near] * (x - y[at]);
                sum += term;
                sum_x += select(0.0, term * x, abs(alpha * x) < 60.0);
            } else {
                sum -= g * y[at];
            }
        }
        dalpha += p[first + 1u + q] * sum_x;
        let total = workgroup_sum(lane, sum);
        if lane == 0u {
            dp[first + 1u + q] = total;
        }
    }
    let total = workgroup_sum(lane, dalpha);
    if lane == 0u {
        dp[first] = total;
    }
}
