// r = (1 - momentum) r + momentum s for the mean and for the variance, the variance scaled by n / (n - 1) first
//
// mean, variance [C] of a batch; running_mean, running_variance [C], updated in place.
// One invocation a channel, 64 a workgroup. Deterministic: every channel is updated once.

struct Params {
    channels: u32,
    momentum: f32,
    // n / (n - 1): the biased variance of the batch made unbiased.
    correction: f32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> mean: array<f32>;
@group(0) @binding(2)
var<storage, read> variance: array<f32>;
@group(0) @binding(3)
var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(4)
var<storage, read_write> running_variance: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let c = (group.y * groups.x + group.x) * 64u + lane;
    if c >= params.channels {
        return;
    }
    let keep = 1.0 - params.momentum;
    running_mean[c] = keep * running_mean[c] + params.momentum * mean[c];
    running_variance[c] = keep * running_variance[c] + params.momentum * (params.correction * variance[c]);
}
