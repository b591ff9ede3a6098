// dsigma[r] = weights sigma[t] (1/v - (x[b] - mu[s])^2 / v^2) dd[b,j], v = sigma[t]^2 + min_variance, with s and t the mean
// and the deviation of every row r = b J + j
//
// x [B,n], mu [S,n], sigma [T,n], dd [B,J], weights [n] (if WEIGHTED), index [R] u32 (selected rows only), dsigma [R,n],
// R = B J. One invocation an element of dsigma, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once; `sum_rows` brings shared rows together.

//#import normal_rows

struct Params {
    n: u32,
    // Rows of an image, J.
    per_image: u32,
    item: u32,
    means: u32,
    deviations: u32,
    min_variance: f32,
}

override WEIGHTED: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> mu: array<f32>;
@group(0) @binding(3)
var<storage, read> sigma: array<f32>;
@group(0) @binding(4)
var<storage, read> dd: array<f32>;
@group(0) @binding(5)
var<storage, read> weights: array<f32>;
@group(0) @binding(6)
var<storage, read> index: array<u32>;
@group(0) @binding(7)
var<storage, read_write> dsigma: array<f32>;

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
    let r = at / params.item;
    let i = at - r * params.item;
    let image = r / params.per_image * params.item + i;
    let mean = mean_row(r, params.means) * params.item + i;
    let s = sigma[deviation_row(r, params.deviations) * params.item + i];
    let v = s * s + params.min_variance;
    let e = x[image] - mu[mean];
    var slope = s / v * (1.0 - e * e / v) * dd[r];
    if WEIGHTED {
        slope *= weights[i];
    }
    dsigma[at] = slope;
}
