// dx = gamma inv_std (dy - dbeta/n - xhat dgamma/n) with batch statistics, dx = gamma inv_std dy without,
// where inv_std = 1 / sqrt(variance + eps), xhat = (x - mean) inv_std and n = B H W
//
// x, dy, dx [B,C,H,W]; mean, variance, gamma, dgamma, dbeta [C].
// One invocation for four elements 256 apart, 256 invocations a workgroup, linear grid folded to two dimensions: a device
// reaches the speed of its memory by the bytes that are under way, so all are asked for before the first is needed.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    eps: f32,
    // 1 / (B H W).
    inv_count: f32,
}

// Constants, because dividing by them is then no division.
override CHANNELS: u32 = 16u;
override PIXELS: u32 = 784u;
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
    let first = (group.y * groups.x + group.x) * 1024u + lane;
    if first >= params.n {
        return;
    }
    let i = vec4<u32>(first) + vec4<u32>(0u, 256u, 512u, 768u);
    // Past the end the last element is read.
    let at = min(i, vec4<u32>(params.n - 1u));
    var g = vec4<f32>(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
    var values = vec4<f32>();
    if BATCH_STATS {
        values = vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]);
    }
    let c = at / PIXELS % CHANNELS;
    let inv_std = 1.0 / sqrt(vec4<f32>(variance[c.x], variance[c.y], variance[c.z], variance[c.w]) + params.eps);
    if BATCH_STATS {
        let xhat = (values - vec4<f32>(mean[c.x], mean[c.y], mean[c.z], mean[c.w])) * inv_std;
        let shift = vec4<f32>(dbeta[c.x], dbeta[c.y], dbeta[c.z], dbeta[c.w]);
        let slope = vec4<f32>(dgamma[c.x], dgamma[c.y], dgamma[c.z], dgamma[c.w]);
        g -= (shift + xhat * slope) * params.inv_count;
    }
    let result = vec4<f32>(gamma[c.x], gamma[c.y], gamma[c.z], gamma[c.w]) * inv_std * g;
    dx[first] = result.x;
    if i.y < params.n { dx[i.y] = result.y; }
    if i.z < params.n { dx[i.z] = result.z; }
    if i.w < params.n { dx[i.w] = result.w; }
}
