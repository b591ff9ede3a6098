//! The reductions of batch normalisation.

use super::fuse::Epilogue;
use super::launch::Launch;
use super::variants::Variants;
use super::{Lowered, folded as grid};
use crate::tape::{Call, Op};

/// Values of a channel that one workgroup sums; with more the channel is split.
const WHOLE: usize = 8192;
/// Values of a part: eight a lane, so that many workgroups have all of theirs under way. A split costs a launch more.
const PART: usize = 2048;

/// Sums over the values of a channel, in parts where a channel is large.
pub(super) fn channel_sums(lowered: &mut Lowered, call: &Call, after: &Epilogue, variants: &Variants) {
    let kernel = variants.kernel(call.op.name(), call);
    let [batch, channels, h, w] = call.inputs[0].shape.tail();
    let count = batch * h * w;
    let chunk = if count <= WHOLE { WHOLE } else { PART };
    let splits = count.div_ceil(chunk);
    let statistics = matches!(call.op, Op::BatchNormStats);
    let folded = after.coefficients.as_ref();
    // Running statistics are updated, and coefficients written, where the sums are whole.
    let running = after.running.as_ref();
    let launch = |stage: u32| {
        let whole = stage != 1;
        let launch = Launch::new(kernel).constant("STAGE", stage).constant("FOLDED", folded.is_some() && whole);
        let launch = launch.constants(&[("CHANNELS", channels), ("PIXELS", h * w)]);
        let launch = launch.param("count", count).param("chunk", chunk).param("splits", splits);
        match call.op {
            Op::BatchNormGradParams { eps } => launch.param("eps", eps),
            _ => {
                let (momentum, correction) = match running.map(|c| &c.op) {
                    Some(&Op::RunningStats { momentum, count }) => (momentum, unbiased(count)),
                    _ => (0.0, 1.0),
                };
                let launch = launch.param("momentum", momentum).param("correction", correction);
                let launch = launch.param("eps", folded.map_or(0.0, |f| f.eps));
                launch.constant("RUNNING", running.is_some() && whole)
            }
        }
    };
    // After x, and for gradients dy, mean and variance.
    let parameters = |launch: Launch| {
        let at = |i: usize| folded.and_then(|f| f.parameters.get(i));
        let launch = launch.read_optional(at(0));
        if statistics { launch.read_optional(at(1)) } else { launch }
    };
    let outputs = |lowered: &mut Lowered, launch: Launch| {
        let mut launch = launch.write_all(&call.outputs);
        if statistics {
            launch = match running {
                Some(running) => launch.write_all(&running.outputs),
                None => launch.write_spare(lowered, 1).write_spare(lowered, 1),
            };
        }
        match folded {
            Some(folded) => launch.write_storage(folded.storage),
            None => launch.write_spare(lowered, 4),
        }
    };
    if splits == 1 {
        outputs(lowered, parameters(launch(0).read_all(&call.inputs))).groups(lowered, grid(channels));
        return;
    }
    let first = parameters(launch(1).read_all(&call.inputs));
    let second = if statistics {
        let parts = lowered.workspace(2 * channels * splits);
        let first = first.write_storage(parts).write_spare(lowered, 1);
        let first = first.write_spare(lowered, 1).write_spare(lowered, 1).write_spare(lowered, 4);
        first.groups(lowered, grid(channels * splits));
        launch(2).read_storage(parts)
    } else {
        let parts = [lowered.workspace(channels * splits), lowered.workspace(channels * splits)];
        let first = first.write_storage(parts[0]).write_storage(parts[1]).write_spare(lowered, 4);
        first.groups(lowered, grid(channels * splits));
        launch(2).read_storage(parts[0]).read_storage(parts[1]).read_all(&call.inputs[2..])
    };
    outputs(lowered, parameters(second)).groups(lowered, grid(channels));
}

/// n / (n - 1), which makes the variance of n values unbiased.
pub(super) fn unbiased(count: usize) -> f32 {
    count as f32 / count.saturating_sub(1).max(1) as f32
}
