// y = gamma (x - mean) / sqrt(variance + eps) + beta, with RESIDUAL plus a residual, with RECTIFY then max(y, 0)
//
// x, residual, y [B,C,H,W]; mean, variance, gamma, beta [C].
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    channels: u32,
    pixels: u32,
    eps: f32,
}

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
    let i = (group.y * groups.x + group.x) * 256u + lane;
    if i >= params.n {
        return;
    }
    let c = (i / params.pixels) % params.channels;
    let scale = gamma[c] / sqrt(variance[c] + params.eps);
    var value = (x[i] - mean[c]) * scale + beta[c];
    if RESIDUAL {
        value += residual[i];
    }
    // What is not a number stays so, where the device has such numbers.
    y[i] = select(value, 0.0, RECTIFY && value < 0.0);
}
