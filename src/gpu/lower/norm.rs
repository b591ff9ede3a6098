//! The reductions of batch normalisation.

use super::fuse::Epilogue;
use super::launch::Launch;
use super::variants::Variants;
use super::{Lowered, folded};
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
    let stats = matches!(call.op, Op::BatchNormStats);
    // Running statistics are updated where the statistics are whole.
    let running = after.running.as_ref();
    let (momentum, correction) = match running.map(|c| &c.op) {
        Some(&Op::RunningStats { momentum, count }) => (momentum, unbiased(count)),
        _ => (0.0, 1.0),
    };
    let launch = |stage: u32| {
        let launch = Launch::new(kernel).constant("STAGE", stage);
        let launch = launch.constants(&[("CHANNELS", channels), ("PIXELS", h * w)]);
        let launch = launch.param("count", count).param("chunk", chunk).param("splits", splits);
        match call.op {
            Op::BatchNormGradParams { eps } => launch.param("eps", eps),
            _ => {
                let launch = launch.param("momentum", momentum).param("correction", correction);
                launch.constant("RUNNING", running.is_some() && stage != 1)
            }
        }
    };
    // The statistics have a second input in the merging stage only.
    let inputs = |launch: Launch| {
        if stats { launch.read(&call.inputs[0]).read_optional(None) } else { launch.read_all(&call.inputs) }
    };
    // A kernel that keeps no running statistics has something else bound in their place, not twice the same.
    let spare = if stats && (running.is_none() || splits > 1) {
        vec![lowered.workspace(1), lowered.workspace(1)]
    } else {
        Vec::new()
    };
    let spared = |launch: Launch| spare.iter().fold(launch, |launch, &s| launch.write_storage(s));
    let outputs = |launch: Launch| match running {
        Some(running) => launch.write_all(&call.outputs).write_all(&running.outputs),
        None => spared(launch.write_all(&call.outputs)),
    };
    if splits == 1 {
        outputs(inputs(launch(0))).groups(lowered, folded(channels));
        return;
    }
    let parts = [lowered.workspace(channels * splits), lowered.workspace(channels * splits)];
    let first = spared(inputs(launch(1)).write_storage(parts[0]).write_storage(parts[1]));
    first.groups(lowered, folded(channels * splits));
    let second = launch(2).read_storage(parts[0]).read_storage(parts[1]);
    let second = if stats { second } else { second.read_all(&call.inputs[2..]) };
    outputs(second).groups(lowered, folded(channels));
}

/// n / (n - 1), which makes the variance of n values unbiased.
pub(super) fn unbiased(count: usize) -> f32 {
    count as f32 / count.saturating_sub(1).max(1) as f32
}
