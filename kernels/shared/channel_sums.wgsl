// Gradients of scale and shift of a channel, of a part of one, or the sum of its parts: the body of batch_norm_grad_params.wgsl,
// which says what is computed
//
// Depends on the importing file for its parameters and bindings and for
//   channel_values.wgsl
//   workgroup_sum(lane: u32, value: f32) -> f32   over WG_SIZE invocations

// 0: whole channels, 1: parts, 2: sum of the parts.
override STAGE: u32 = 0u;
// Whether the coefficients of the gradient are written, see folded_norm.wgsl.
override FOLDED: bool = false;

// Part or channel `item`. In uniform control flow.
fn channel_sums(item: u32, lane: u32) {
    let items = select(CHANNELS * params.splits, CHANNELS, STAGE == 2u);
    if item >= items {
        return;
    }
    var scaled = 0.0;
    var plain = 0.0;
    if STAGE == 2u {
        for (var s = lane; s < params.splits; s += 4u * WG_SIZE) {
            // Four are loaded together; past the end the last is, in vain.
            let next = s + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
            let i = item * params.splits + min(next, vec4<u32>(params.splits - 1u));
            let j = i + CHANNELS * params.splits;
            let there = next < vec4<u32>(params.splits);
            scaled += total(select(vec4<f32>(), vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]), there));
            plain += total(select(vec4<f32>(), vec4<f32>(x[j.x], x[j.y], x[j.z], x[j.w]), there));
        }
    } else {
        let channel = item / params.splits;
        let begin = (item - channel * params.splits) * params.chunk;
        let end = min(begin + params.chunk, params.count);
        let m = mean[channel];
        var scaled4 = vec4<f32>();
        var plain4 = vec4<f32>();
        for (var i = begin + lane; i < end; i += STRIDE) {
            let i0 = positions(i);
            let i1 = positions(i + STRIDE / 2u);
            let e0 = elements(channel, i0, end);
            let e1 = elements(channel, i1, end);
            let g0 = before(i0, end, vec4<f32>(dy[e0.x], dy[e0.y], dy[e0.z], dy[e0.w]));
            let g1 = before(i1, end, vec4<f32>(dy[e1.x], dy[e1.y], dy[e1.z], dy[e1.w]));
            let v0 = vec4<f32>(x[e0.x], x[e0.y], x[e0.z], x[e0.w]);
            let v1 = vec4<f32>(x[e1.x], x[e1.y], x[e1.z], x[e1.w]);
            scaled4 += g0 * (v0 - m) + g1 * (v1 - m);
            plain4 += g0 + g1;
        }
        scaled = total(scaled4);
        plain = total(plain4);
        scaled /= sqrt(variance[channel] + params.eps);
    }
    let sum_scaled = workgroup_sum(lane, scaled);
    let sum_plain = workgroup_sum(lane, plain);
    if lane == 0u {
        dgamma[item] = sum_scaled;
        if STAGE == 1u {
            dgamma[CHANNELS * params.splits + item] = sum_plain;
        } else {
            dbeta[item] = sum_plain;
        }
        if FOLDED {
            let inv_std = 1.0 / sqrt(variance[item] + params.eps);
            let of_each = vec2<f32>(sum_plain, sum_scaled * inv_std) / f32(params.count);
            coefficients[params.first + item] = vec4<f32>(mean[item], gamma[item] * inv_std, of_each);
        }
    }
}
