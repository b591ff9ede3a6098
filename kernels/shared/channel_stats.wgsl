// Mean and variance of a channel, of a part of one, or of all its parts: the body of batch_norm_stats.wgsl, which says what is
// computed
//
// Depends on the importing file for its parameters and bindings and for
//   channel_values.wgsl
//   workgroup_sum(lane: u32, value: f32) -> f32   over WG_SIZE invocations

// 0: whole channels, 1: parts, 2: merge of the parts.
override STAGE: u32 = 0u;
// Whether running statistics are updated.
override RUNNING: bool = false;
// Whether the coefficients of the normalisation are written, see folded_norm.wgsl.
override FOLDED: bool = false;

// Mean and variance of a whole channel.
fn finish(channel: u32, m: f32, v: f32) {
    mean[channel] = m;
    variance[channel] = v;
    if FOLDED {
        let inv_std = 1.0 / sqrt(v + params.eps);
        coefficients[params.first + channel] = vec4<f32>(m, gamma[channel] * inv_std, beta[channel], inv_std);
    }
    if RUNNING {
        let keep = 1.0 - params.momentum;
        running_mean[channel] = keep * running_mean[channel] + params.momentum * m;
        running_variance[channel] = keep * running_variance[channel] + params.momentum * (params.correction * v);
    }
}

// Four parts of a channel: their numbers of values, means and squared deviations.
struct Parts {
    sizes: vec4<f32>,
    means: vec4<f32>,
    squares: vec4<f32>,
}

// Every WG_SIZE-th part from s on; past the end they are empty.
fn parts(channel: u32, s: u32) -> Parts {
    let next = s + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
    let near = min(next, vec4<u32>(params.splits - 1u));
    let m = channel * params.splits + near;
    let d = m + CHANNELS * params.splits;
    let n = 2u * CHANNELS * params.splits + near;
    let there = next < vec4<u32>(params.splits);
    let sizes = vec4<f32>(x[n.x], x[n.y], x[n.z], x[n.w]);
    let means = vec4<f32>(x[m.x], x[m.y], x[m.z], x[m.w]);
    let squares = vec4<f32>(x[d.x], x[d.y], x[d.z], x[d.w]);
    return Parts(select(vec4<f32>(), sizes, there), means, select(vec4<f32>(), squares, there));
}

fn deviations(own: Parts, m: f32) -> f32 {
    let d = own.means - m;
    return total(own.squares + own.sizes * d * d);
}

fn values(channel: u32, i: vec4<u32>, end: u32) -> vec4<f32> {
    let at = elements(channel, i, end);
    return before(i, end, vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]));
}

fn squares(v: vec4<f32>, m: f32, i: vec4<u32>, end: u32) -> vec4<f32> {
    let d = before(i, end, v - m);
    return d * d;
}

// Part or channel `item`. In uniform control flow.
fn channel_stats(item: u32, lane: u32) {
    if STAGE == 2u {
        if item >= CHANNELS {
            return;
        }
        // The first four parts of a lane, usually all, stay in registers for the second pass.
        let own = parts(item, lane);
        var sum = dot(own.sizes, own.means);
        for (var s = lane + 4u * WG_SIZE; s < params.splits; s += 4u * WG_SIZE) {
            let more = parts(item, s);
            sum += dot(more.sizes, more.means);
        }
        let m = workgroup_sum(lane, sum) / f32(params.count);
        sum = deviations(own, m);
        for (var s = lane + 4u * WG_SIZE; s < params.splits; s += 4u * WG_SIZE) {
            sum += deviations(parts(item, s), m);
        }
        let deviation = workgroup_sum(lane, sum);
        if lane == 0u {
            finish(item, m, deviation / f32(params.count));
        }
    } else {
        if item >= CHANNELS * params.splits {
            return;
        }
        let channel = item / params.splits;
        let begin = (item - channel * params.splits) * params.chunk;
        let end = min(begin + params.chunk, params.count);
        // The first eight stay in registers for the second pass: a part has no more.
        let i0 = positions(begin + lane);
        let i1 = positions(begin + lane + STRIDE / 2u);
        let v0 = values(channel, i0, end);
        let v1 = values(channel, i1, end);
        var sums = v0 + v1;
        for (var i = begin + lane + STRIDE; i < end; i += STRIDE) {
            sums += values(channel, positions(i), end) + values(channel, positions(i + STRIDE / 2u), end);
        }
        let m = workgroup_sum(lane, total(sums)) / f32(end - begin);
        sums = squares(v0, m, i0, end) + squares(v1, m, i1, end);
        for (var i = begin + lane + STRIDE; i < end; i += STRIDE) {
            let j0 = positions(i);
            let j1 = positions(i + STRIDE / 2u);
            sums += squares(values(channel, j0, end), m, j0, end) + squares(values(channel, j1, end), m, j1, end);
        }
        let deviation = workgroup_sum(lane, total(sums));
        if lane == 0u {
            if STAGE == 1u {
                mean[item] = m;
                mean[CHANNELS * params.splits + item] = deviation;
                if channel == 0u {
                    mean[2u * CHANNELS * params.splits + item] = f32(end - begin);
                }
            } else {
                finish(channel, m, deviation / f32(params.count));
            }
        }
    }
}
