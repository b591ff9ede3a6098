// d[b,j] = 1/2 sum over elements of weights ((x[b] - mu[s])^2 / v + log v) + n/2 log(2 pi), v = sigma[t]^2 + min_variance,
// with s and t the mean and the deviation of row r = b J + j
//
// x [B,n], mu [S,n], sigma [T,n], weights [n] (if WEIGHTED), index [R] u32 (selected rows only), d [B,J], R = B J.
// Workgroup: 64 invocations for one row. Grid: rows (linear, folded).
// Deterministic: strided partial sums and a tree of fixed shape. A lane sums in runs, which keeps partial sums small.

//#import normal_rows
//#import workgroup_sum

struct Params {
    rows: u32,
    // Rows of an image, J.
    per_image: u32,
    item: u32,
    means: u32,
    deviations: u32,
    min_variance: f32,
    // n/2 log(2 pi)
    constant: f32,
}

override WEIGHTED: bool = false;

const WG_SIZE: u32 = 64u;
// Elements that a lane and its neighbours sum before they add to their totals: 16 each.
const RUN: u32 = 1024u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> mu: array<f32>;
@group(0) @binding(3)
var<storage, read> sigma: array<f32>;
@group(0) @binding(4)
var<storage, read> weights: array<f32>;
@group(0) @binding(5)
var<storage, read> index: array<u32>;
@group(0) @binding(6)
var<storage, read_write> d: array<f32>;

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
    let image = r / params.per_image * params.item;
    let mean = mean_row(r, params.means) * params.item;
    let deviation = deviation_row(r, params.deviations) * params.item;
    var sum = 0.0;
    for (var first = 0u; first < params.item; first += RUN) {
        let end = min(first + RUN, params.item);
        var part = 0.0;
        for (var i = first + lane; i < end; i += 4u * WG_SIZE) {
            // Four are loaded together; past the end the last is, in vain.
            let next = i + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
            let near = min(next, vec4<u32>(end - 1u));
            let of_s = deviation + near;
            let of_x = image + near;
            let of_mu = mean + near;
            let s = vec4<f32>(sigma[of_s.x], sigma[of_s.y], sigma[of_s.z], sigma[of_s.w]);
            let means = vec4<f32>(mu[of_mu.x], mu[of_mu.y], mu[of_mu.z], mu[of_mu.w]);
            let e = vec4<f32>(x[of_x.x], x[of_x.y], x[of_x.z], x[of_x.w]) - means;
            let v = s * s + params.min_variance;
            var terms = e * e / v + log(v);
            if WEIGHTED {
                terms *= vec4<f32>(weights[near.x], weights[near.y], weights[near.z], weights[near.w]);
            }
            part += dot(select(vec4<f32>(), terms, next < vec4<u32>(end)), vec4<f32>(1.0));
        }
        sum += part;
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        d[r] = 0.5 * total + params.constant;
    }
}
