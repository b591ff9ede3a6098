//! What the kernels of a training step cost at least on a GPU that is not there.

use super::peaks::Peaks;
use super::step::Subject;
use crate::gpu::{Fusion, Lowered, MatrixUnit, VariantChoice, Variants, lower};
use crate::tape::{EngineError, Launch, Program, Store};
use crate::train::{Ledger, TrainError, training_step};
use std::sync::Arc;
use std::time::Duration;

/// The dispatches of a subject's training step on the GPU engine, in order; the time of each is the least that a device of
/// these peaks takes for it. Kernels are those that `chosen` names, and otherwise those that real GPUs start with. Runs nothing.
///
/// # Errors
/// As of the configuration and of lowering.
pub fn reckon(
    subject: &Subject,
    peaks: Peaks,
    fusion: Fusion,
    chosen: &[VariantChoice],
) -> Result<Vec<Launch>, TrainError> {
    let lowered = lowered(subject, fusion, chosen)?;
    let mut start = Duration::ZERO;
    let mut launches = Vec::with_capacity(lowered.dispatches.len());
    for dispatch in lowered.dispatches {
        let time = Duration::from_secs_f64(peaks.bound(dispatch.work.flops, dispatch.work.bytes).0);
        launches.push(Launch { work: Arc::new(dispatch.work), start, time });
        start += time;
    }
    Ok(launches)
}

/// The dispatches of a subject's training step, as [`reckon`] counts them.
///
/// # Errors
/// As of the configuration and of lowering.
pub fn lowered(subject: &Subject, fusion: Fusion, chosen: &[VariantChoice]) -> Result<Lowered, TrainError> {
    let variants = Variants::of_class(false).over(chosen.iter().cloned()).with_unit(Some(MatrixUnit::LARGE));
    lower(&program(subject)?, fusion, &variants).map_err(TrainError::from)
}

/// The training step of a subject, without a device.
fn program(subject: &Subject) -> Result<Program, TrainError> {
    let set = subject.images().map_err(TrainError::Data)?;
    let config = &subject.config;
    let mut store = Store::new();
    let model = config.spec(&set)?.declare(&mut store);
    let groups = model.groups(config.curriculum.len()).len();
    let ledger = Ledger::new(&mut store, &set, config, groups);
    let step = training_step(model.as_ref(), &mut store, &ledger, config, config.batch_size, subject.active);
    step.map_err(|e| EngineError::Kernel { kernel: "training step".into(), message: e.to_string() }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_times_are_those_of_the_work() {
        let peaks = Peaks { gflops: 1000.0, gbytes: 100.0 };
        let subject = Subject::new("usps", &["batch_size=16", "clusters=3"], None, None, 1).expect("a preset");
        let launches = reckon(&subject, peaks, Fusion::Loads, &[]).expect("lowers");
        let whole: u64 = launches.iter().map(|l| l.work.flops).sum();
        let counted = program(&subject).expect("differentiable").flops();
        // Fusion counts what runs in one kernel together.
        assert!((whole as f64 / counted as f64 - 1.0).abs() < 0.02, "{whole} {counted}");
        for launch in &launches {
            let least = (launch.work.flops as f64 / 1e12).max(launch.work.bytes as f64 / 1e11);
            assert!((launch.time.as_secs_f64() - least).abs() < 2e-9, "{launch:?}, least {least}");
        }
        let without = reckon(&subject, peaks, Fusion::Off, &[]).expect("lowers");
        let unfolded = reckon(&subject, peaks, Fusion::Results, &[]).expect("lowers");
        assert!(without.len() > unfolded.len() && unfolded.len() > launches.len());
        let bytes = |launches: &[Launch]| launches.iter().map(|l| l.work.bytes).sum::<u64>();
        assert!(bytes(&without) > bytes(&unfolded) && bytes(&unfolded) > bytes(&launches));
        let has = |launches: &[Launch], kernel: &str| launches.iter().any(|l| l.work.kernel == kernel);
        let plain = reckon(&subject, peaks, Fusion::Loads, &[VariantChoice::new("linear", "plain")]).expect("lowers");
        assert!(has(&launches, "linear_tiled") && !has(&plain, "linear_tiled") && has(&plain, "conv2d_tiled"));
    }
}
