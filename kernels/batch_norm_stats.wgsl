// mean[c] = 1/n sum of x, variance[c] = 1/n sum of (x - mean)^2, over the n = B H W values of a channel; with RUNNING
// also r = (1 - momentum) r + momentum s for the running mean and variance, the variance scaled by n / (n - 1) first
//
// x [B,C,H,W]; mean, variance, running_mean, running_variance [C]. Two passes over the values: the mean first, then the squared deviations from it.
// Large channels are split: STAGE 1 gives the mean and the sum of squared deviations of every part, [C, splits] each,
// and STAGE 2 merges them (Chan, Golub and LeVeque 1979), reading the parts through `x` and `deviations`.
// Workgroup: 256 invocations for one part (STAGE 0, 1) or one channel (STAGE 2). Grid: parts or channels (linear, folded).
// Deterministic: strided partial sums and a tree of fixed shape.

//#import workgroup_sum

struct Params {
    channels: u32,
    pixels: u32,
    // Values of a channel, and of one part.
    count: u32,
    chunk: u32,
    splits: u32,
    momentum: f32,
    // n / (n - 1).
    correction: f32,
}

// 0: whole channels, 1: parts, 2: merge of the parts.
override STAGE: u32 = 0u;
// Whether running statistics are updated.
override RUNNING: bool = false;

const WG_SIZE: u32 = 256u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> deviations: array<f32>;
@group(0) @binding(3)
var<storage, read_write> mean: array<f32>;
@group(0) @binding(4)
var<storage, read_write> variance: array<f32>;
@group(0) @binding(5)
var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(6)
var<storage, read_write> running_variance: array<f32>;

fn run(channel: u32, m: f32, v: f32) {
    if RUNNING {
        let keep = 1.0 - params.momentum;
        running_mean[channel] = keep * running_mean[channel] + params.momentum * m;
        running_variance[channel] = keep * running_variance[channel] + params.momentum * (params.correction * v);
    }
}

fn value(channel: u32, i: u32) -> f32 {
    let b = i / params.pixels;
    return x[(b * params.channels + channel) * params.pixels + (i - b * params.pixels)];
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group.y * groups.x + group.x;
    if STAGE == 2u {
        if item >= params.channels {
            return;
        }
        var sum = 0.0;
        for (var s = lane; s < params.splits; s += WG_SIZE) {
            let size = min(params.chunk, params.count - s * params.chunk);
            sum += f32(size) * x[item * params.splits + s];
        }
        let m = workgroup_sum(lane, sum) / f32(params.count);
        sum = 0.0;
        for (var s = lane; s < params.splits; s += WG_SIZE) {
            let size = min(params.chunk, params.count - s * params.chunk);
            let d = x[item * params.splits + s] - m;
            sum += deviations[item * params.splits + s] + f32(size) * d * d;
        }
        let squares = workgroup_sum(lane, sum);
        if lane == 0u {
            let v = squares / f32(params.count);
            mean[item] = m;
            variance[item] = v;
            run(item, m, v);
        }
    } else {
        if item >= params.channels * params.splits {
            return;
        }
        let channel = item / params.splits;
        let begin = (item - channel * params.splits) * params.chunk;
        let end = min(begin + params.chunk, params.count);
        var sum = 0.0;
        for (var i = begin + lane; i < end; i += WG_SIZE) {
            sum += value(channel, i);
        }
        let m = workgroup_sum(lane, sum) / f32(end - begin);
        sum = 0.0;
        for (var i = begin + lane; i < end; i += WG_SIZE) {
            let d = value(channel, i) - m;
            sum += d * d;
        }
        let squares = workgroup_sum(lane, sum);
        if lane == 0u {
            let v = squares / f32(params.count);
            mean[item] = m;
            variance[item] = select(v, squares, STAGE == 1u);
            run(channel, m, v);
        }
    }
}
