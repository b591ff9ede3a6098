// dx = gamma inv_std (dy - dbeta/n - xhat dgamma/n) with batch statistics, dx = gamma inv_std dy without,
// where inv_std = 1 / sqrt(variance + eps), xhat = (x - mean) inv_std and n = B H W
//
// x, dy, dx [B,C,H,W]; mean, variance, gamma, dgamma, dbeta [C].
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    channels: u32,
    pixels: u32,
    eps: f32,
    // 1 / (B H W).
    inv_count: f32,
}

// Whether mean and variance are those of x, so that the gradient runs through them.
override BATCH_STATS: bool = true;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> dy: array<f32>;
@group(0) @binding(3)
var<storage, read> mean: array<f32>;
@group(0) @binding(4)
var<storage, read> variance: array<f32>;
@group(0) @binding(5)
var<storage, read> gamma: array<f32>;
@group(0) @binding(6)
var<storage, read> dgamma: array<f32>;
@group(0) @binding(7)
var<storage, read> dbeta: array<f32>;
@group(0) @binding(8)
var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + lane;
    if i >= params.n {
        return;
    }
    let c = (i / params.pixels) % params.channels;
    let inv_std = 1.0 / sqrt(variance[c] + params.eps);
    var g = dy[i];
    if BATCH_STATS {
        let xhat = (x[i] - mean[c]) * inv_std;
        g -= (dbeta[c] + xhat * dgamma[c]) * params.inv_count;
    }
    dx[i] = gamma[c] * inv_std * g;
}
