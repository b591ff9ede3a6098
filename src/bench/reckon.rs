//! What the kernels of a training step cost at least on a GPU that is not there.

use super::peaks::Peaks;
use super::step::Subject;
use crate::gpu::{Variants, lower};
use crate::tape::{EngineError, KernelTime, Launch, Program, Store};
use crate::train::{Ledger, TrainError, training_step};
use std::sync::Arc;
use std::time::Duration;

/// A training step in dispatches of the GPU engine, each with the least time that a device of these peaks takes for it.
pub struct Reckoning {
    /// What the device can do at best.
    pub peaks: Peaks,
    /// The dispatches in order; their times are those least times.
    pub launches: Vec<Launch>,
}

/// Lowers the training step of a subject with the kernels that real GPUs start with. Runs nothing.
///
/// # Errors
/// As of the configuration and of lowering.
pub fn reckon(subject: &Subject, peaks: Peaks, fuse: bool) -> Result<Reckoning, TrainError> {
    let lowered = lower(&program(subject)?, fuse, &Variants::of_class(false)).map_err(TrainError::from)?;
    let mut start = Duration::ZERO;
    let mut launches = Vec::with_capacity(lowered.dispatches.len());
    for dispatch in lowered.dispatches {
        let time = Duration::from_secs_f64(peaks.bound(dispatch.work.flops, dispatch.work.bytes).0);
        launches.push(Launch { work: Arc::new(dispatch.work), start, time });
        start += time;
    }
    Ok(Reckoning { peaks, launches })
}

impl Reckoning {
    /// One row a kernel, by falling time.
    pub fn by_kernel(&self) -> Vec<KernelTime> {
        KernelTime::by_kernel(&self.launches)
    }

    /// One row for each kernel and size of its operands, by falling time.
    pub fn by_layer(&self) -> Vec<KernelTime> {
        KernelTime::by_work(&self.launches)
    }
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
        let reckoning = reckon(&subject, peaks, true).expect("lowers");
        let whole: u64 = reckoning.launches.iter().map(|l| l.work.flops).sum();
        let counted = program(&subject).expect("differentiable").flops();
        // Fusion counts what runs in one kernel together.
        assert!((whole as f64 / counted as f64 - 1.0).abs() < 0.02, "{whole} {counted}");
        let rows = reckoning.by_kernel();
        assert_eq!(rows.iter().map(|r| r.calls).sum::<u64>(), reckoning.launches.len() as u64);
        for row in rows.iter().filter(|r| r.name.starts_with("conv2d")) {
            let least = (row.flops as f64 / 1e12).max(row.bytes as f64 / 1e11);
            assert!(row.time.as_secs_f64() >= 0.999 * least, "{}: {:?}, least {least}", row.name, row.time);
        }
        let without = reckon(&subject, peaks, false).expect("lowers");
        assert!(without.launches.len() > reckoning.launches.len());
    }
}
