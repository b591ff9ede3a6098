// Mean and variance of a channel, of a part of one, or of all its parts: the body of batch_norm_stats.wgsl, which says what is
// computed
//
// Depends on the importing file for its parameters and bindings and for
//   workgroup_sum(lane: u32, value: f32) -> f32   over WG_SIZE invocations

// 0: whole channels, 1: parts, 2: merge of the parts.
override STAGE: u32 = 0u;
// Whether running statistics are updated.
override RUNNING: bool = false;

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

// Part or channel `item`. In uniform control flow.
fn channel_stats(item: u32, lane: u32) {
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
