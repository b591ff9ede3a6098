//! The reductions of batch normalisation.

use super::fuse::Besides;
use super::launch::Launch;
use super::parts::Parts;
use super::variants::Variants;
use super::{Lowered, workgroups};
use crate::tape::{Call, Op};

/// Values of a channel that one workgroup sums; with more the channel is split.
const WHOLE: usize = 8192;
/// Values of a part: eight a lane, so that many workgroups have all of theirs under way. A split costs a launch more.
const PART: usize = 2048;

/// Sums over the values of a channel, in parts where a channel is large.
pub(super) fn channel_sums(lowered: &mut Lowered, call: &Call, besides: &Besides, variants: &Variants) {
    let [batch, channels, h, w] = call.inputs[0].shape.tail();
    let count = batch * h * w;
    let sums = Sums { call, besides, kernel: variants.kernel(call.op.name(), call), channels, pixels: h * w, count };
    if let Some(parts) = &besides.parts {
        return sums.merge(lowered, parts);
    }
    let chunk = if count <= WHOLE { WHOLE } else { PART };
    let splits = count.div_ceil(chunk);
    if splits == 1 {
        let launch = sums.launch(0, chunk, 1).read_all(&call.inputs);
        return sums.write_whole(lowered, launch);
    }
    let parts = Parts::new(lowered, channels, splits);
    let launch = sums.parameters(sums.launch(1, chunk, splits).read_all(&call.inputs)).write_storage(parts.storage);
    // What is not written here: the other sum, running statistics and coefficients.
    let launch = sums.others().into_iter().fold(launch, |launch, len| launch.write_spare(lowered, len));
    launch.groups(lowered, workgroups(channels * splits));
    sums.merge(lowered, &parts);
}

/// What the launches of such sums have in common.
struct Sums<'a> {
    call: &'a Call,
    besides: &'a Besides,
    kernel: &'static str,
    channels: usize,
    pixels: usize,
    count: usize,
}

impl Sums<'_> {
    fn are_statistics(&self) -> bool {
        matches!(self.call.op, Op::BatchNormStats)
    }

    /// Lengths of what is written beside the first sum.
    fn others(&self) -> Vec<usize> {
        if self.are_statistics() { vec![1, 1, 1, 4] } else { vec![1, 4] }
    }

    /// Constants and parameters. Running statistics and coefficients come with sums that are whole.
    fn launch(&self, stage: u32, chunk: usize, splits: usize) -> Launch {
        let (coefficients, running) = (self.besides.coefficients.as_ref(), self.besides.running.as_ref());
        let whole = stage != 1;
        let launch = Launch::new(self.kernel).constant("STAGE", stage);
        let launch = launch.constant("FOLDED", coefficients.is_some() && whole);
        let launch = launch.constants(&[("CHANNELS", self.channels), ("PIXELS", self.pixels)]);
        let first = coefficients.map_or(0, |c| c.slot.first);
        let launch = launch.param("count", self.count).param("chunk", chunk).param("splits", splits);
        if let Op::BatchNormGradParams { eps } = self.call.op {
            return launch.param("eps", eps).param("first", first);
        }
        let (momentum, correction) = match running.map(|c| &c.op) {
            Some(&Op::RunningStats { momentum, count }) => (momentum, unbiased(count)),
            _ => (0.0, 1.0),
        };
        let launch = launch.constant("RUNNING", running.is_some() && whole);
        let launch = launch.param("momentum", momentum).param("correction", correction);
        launch.param("eps", coefficients.map_or(0.0, |c| c.eps)).param("first", first)
    }

    /// Scale, and for statistics shift, that coefficients are made of.
    fn parameters(&self, launch: Launch) -> Launch {
        let at = |i: usize| self.besides.coefficients.as_ref().and_then(|c| c.parameters.get(i));
        let launch = launch.read_optional(at(0));
        if self.are_statistics() { launch.read_optional(at(1)) } else { launch }
    }

    /// The sums of all parts.
    fn merge(&self, lowered: &mut Lowered, parts: &Parts) {
        let launch = self.launch(2, 0, parts.splits).read_storage(parts.storage);
        let launch =
            if self.are_statistics() { launch } else { launch.read_optional(None).read_all(&self.call.inputs[2..]) };
        self.write_whole(lowered, launch);
    }

    /// Everything that comes with whole sums.
    fn write_whole(&self, lowered: &mut Lowered, launch: Launch) {
        let mut launch = self.parameters(launch).write_all(&self.call.outputs);
        if self.are_statistics() {
            launch = match &self.besides.running {
                Some(running) => launch.write_all(&running.outputs),
                None => launch.write_spare(lowered, 1).write_spare(lowered, 1),
            };
        }
        launch = match &self.besides.coefficients {
            Some(coefficients) => launch.write_storage(coefficients.slot.storage),
            None => launch.write_spare(lowered, 4),
        };
        launch.groups(lowered, workgroups(self.channels));
    }
}

/// n / (n - 1), which makes the variance of n values unbiased.
pub(super) fn unbiased(count: usize) -> f32 {
    count as f32 / count.saturating_sub(1).max(1) as f32
}
