// Gradients of scale and shift of a channel, of a part of one, or the sum of its parts: the body of batch_norm_grad_params.wgsl,
// which says what is computed
//
// Depends on the importing file for its parameters and bindings and for
//   workgroup_sum(lane: u32, value: f32) -> f32   over WG_SIZE invocations

// 0: whole channels, 1: parts, 2: sum of the parts.
override STAGE: u32 = 0u;

// Part or channel `item`. In uniform control flow.
fn channel_sums(item: u32, lane: u32) {
    let items = select(params.channels * params.splits, params.channels, STAGE == 2u);
    if item >= items {
        return;
    }
    var scaled = 0.0;
    var plain = 0.0;
    if STAGE == 2u {
        for (var s = lane; s < params.splits; s += WG_SIZE) {
            scaled += x[item * params.splits + s];
            plain += dy[item * params.splits + s];
        }
    } else {
        let channel = item / params.splits;
        let begin = (item - channel * params.splits) * params.chunk;
        let end = min(begin + params.chunk, params.count);
        let m = mean[channel];
        for (var i = begin + lane; i < end; i += WG_SIZE) {
            let b = i / params.pixels;
            let at = (b * params.channels + channel) * params.pixels + (i - b * params.pixels);
            scaled += dy[at] * (x[at] - m);
            plain += dy[at];
        }
        scaled /= sqrt(variance[channel] + params.eps);
    }
    let sum_scaled = workgroup_sum(lane, scaled);
    let sum_plain = workgroup_sum(lane, plain);
    if lane == 0u {
        dgamma[item] = sum_scaled;
        dbeta[item] = sum_plain;
    }
}
