// mean[c] = 1/n sum of x, variance[c] = 1/n sum of (x - mean)^2, over the n = B H W values of a channel; with RUNNING
// also r = (1 - momentum) r + momentum s for the running mean and variance, the variance scaled by n / (n - 1) first
//
// x [B,C,H,W]; mean, variance, running_mean, running_variance [C]. The mean first, then the squared deviations from it.
// Large channels are split: STAGE 1 gives mean and sum of squared deviations of every part, [2, C, splits] through `mean`, and
// then how many values each part has, [splits]. STAGE 2 merges them (Chan, Golub and LeVeque 1979), or those that a
// convolution wrote, reading them through `x`.
// With FOLDED also what normalises x where it is loaded: gamma, beta [C], coefficients [..,4] from params.first on, see
// shared/folded_norm.wgsl.
// Workgroup: 256 invocations for one part (STAGE 0, 1) or one channel (STAGE 2). Grid: parts or channels (linear, folded).
// The variant of batch_norm_stats that sums over a workgroup by its subgroups, see shared/subgroup_sum.wgsl.
// Deterministic: strided partial sums, then subgroups in the order of the device, then their sums in ascending order.

//#import channel_stats
//#import channel_values
//#import subgroup_sum

struct Params {
    // Values of a channel, and of one part.
    count: u32,
    chunk: u32,
    splits: u32,
    momentum: f32,
    // n / (n - 1).
    correction: f32,
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
var<storage, read> gamma: array<f32>;
@group(0) @binding(3)
var<storage, read> beta: array<f32>;
@group(0) @binding(4)
var<storage, read_write> mean: array<f32>;
@group(0) @binding(5)
var<storage, read_write> variance: array<f32>;
@group(0) @binding(6)
var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(7)
var<storage, read_write> running_variance: array<f32>;
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
    channel_stats(group.y * groups.x + group.x, lane);
}
