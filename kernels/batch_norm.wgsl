// y = gamma (x - mean) / sqrt(variance + eps) + beta, with RESIDUAL plus a residual, with RECTIFY then max(y, 0)
//
// x, residual, y [B,C,H,W]; mean, variance, gamma, beta [C].
// One invocation for four elements 256 apart, 256 invocations a workgroup, linear grid folded to two dimensions: a device
// reaches the speed of its memory by the bytes that are under way, so all are asked for before the first is needed.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    eps: f32,
}

// Constants, because dividing by them is then no division.
override CHANNELS: u32 = 16u;
override PIXELS: u32 = 784u;
override RESIDUAL: bool = false;
override RECTIFY: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> mean: array<f32>;
@group(0) @binding(3)
var<storage, read> variance: array<f32>;
@group(0) @binding(4)
var<storage, read> gamma: array<f32>;
@group(0) @binding(5)
var<storage, read> beta: array<f32>;
@group(0) @binding(6)
var<storage, read> residual: array<f32>;
@group(0) @binding(7)
var<storage, read_write> y: array<f32>;

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
    let values = vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]);
    var added = vec4<f32>();
    if RESIDUAL {
        added = vec4<f32>(residual[at.x], residual[at.y], residual[at.z], residual[at.w]);
    }
    let c = at / PIXELS % CHANNELS;
    let spread = vec4<f32>(variance[c.x], variance[c.y], variance[c.z], variance[c.w]);
    let scale = vec4<f32>(gamma[c.x], gamma[c.y], gamma[c.z], gamma[c.w]) / sqrt(spread + params.eps);
    let centred = values - vec4<f32>(mean[c.x], mean[c.y], mean[c.z], mean[c.w]);
    let sum = centred * scale + vec4<f32>(beta[c.x], beta[c.y], beta[c.z], beta[c.w]) + added;
    // What is not a number stays so, where the device has such numbers.
    let result = select(sum, vec4<f32>(), vec4<bool>(RECTIFY) & (sum < vec4<f32>()));
    y[first] = result.x;
    if i.y < params.n { y[i.y] = result.y; }
    if i.z < params.n { y[i.z] = result.z; }
    if i.w < params.n { y[i.w] = result.w; }
}
