// dgamma[c] = sum of dy xhat, dbeta[c] = sum of dy, with xhat = (x - mean) / sqrt(variance + eps)
//
// x, dy [B,C,H,W]; mean, variance, dgamma, dbeta [C]. Sums over the n = B H W values of a channel.
// Large channels are split: STAGE 1 gives the sums of every part, [2, C, splits] through `dgamma`, and STAGE 2 adds them up,
// or those that a convolution wrote, reading them through `x`.
// With FOLDED also what the gradient of the normalisation is computed with where it is loaded: gamma [C], coefficients
// [..,4] from params.first on, see shared/folded_norm.wgsl.
// Workgroup: 256 invocations for one part (STAGE 0, 1) or one channel (STAGE 2). Grid: parts or channels (linear, folded).
// The variant of batch_norm_grad_params that sums over a workgroup by its subgroups, see shared/subgroup_sum.wgsl.
// Deterministic: strided partial sums, then subgroups in the order of the device, then their sums in ascending order.

//#import channel_sums
//#import channel_values
//#import subgroup_sum

struct Params {
    // Values of a channel, and of one part.
    count: u32,
    chunk: u32,
    splits: u32,
    eps: f32,
    // The coefficients of channel 0.
    first: u32,
}

const WG_SIZE: u32 = 256u;

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
var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(7)
var<storage, read_write> dbeta: array<f32>;
@group(0) @binding(8)
var<storage, read_write> coefficients: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) own: u32,
    @builtin(num_subgroups) count: u32,
) {
    subgroup = own;
    subgroups = count;
    speaker = lane == subgroupMin(lane);
    channel_sums(group.y * groups.x + group.x, lane);
}
