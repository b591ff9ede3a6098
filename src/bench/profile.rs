//! Where the time of a training step goes.

use super::peaks::{Peaks, peaks};
use super::step::{StepReport, Subject, measure};
use crate::tape::{Engine, EngineError, KernelTime, Launch};
use crate::train::{TrainError, Trainer};
use std::ops::ControlFlow;

/// A training step taken apart.
pub struct Profile {
    /// The step as a whole, timed without timing its kernels.
    pub step: StepReport,
    /// What the device can do at best, measured.
    pub peaks: Peaks,
    /// Steps whose launches follow.
    pub steps: usize,
    /// The launches of all of them, in order.
    pub launches: Vec<Launch>,
}

/// What a kernel costs in a step, and how near it comes to what the device can do.
#[derive(Clone, Debug)]
pub struct Share {
    /// Its launches in all steps.
    pub total: KernelTime,
    /// Milliseconds a step.
    pub ms: f64,
    /// Launches a step.
    pub calls: f64,
    /// Share of the time of all kernels, 0 to 1.
    pub share: f64,
    /// Least time in which the device could do its arithmetic and move its bytes, over its time. More than 1 where data
    /// comes from a cache, or an algorithm needs fewer operations than are counted.
    pub roofline: f64,
    /// Whether that least time is that of the arithmetic; otherwise it is that of the memory.
    pub by_arithmetic: bool,
}

/// Takes a step apart.
///
/// # Errors
/// As of training; [`EngineError::Kernel`] where the device cannot time kernels.
pub fn profile(subject: &Subject, engine: &mut dyn Engine) -> Result<Profile, TrainError> {
    let before = peaks(engine)?;
    let step = measure(subject, engine)?;
    let set = subject.images().map_err(TrainError::Data)?;
    let mut trainer = Trainer::new(subject.config.clone(), &set, engine)?;
    // The first epoch includes lowering and compilation.
    for _ in 0..2 {
        if !trainer.time_kernels() {
            let message = "this device has no timestamps; `proteus bench step` times whole steps".into();
            return Err(EngineError::Kernel { kernel: "timing".into(), message }.into());
        }
        trainer.train_epoch(&mut |_, _| ControlFlow::Continue(()))?;
    }
    let launches = trainer.launches().to_vec();
    drop(trainer);
    let peaks = before.best(peaks(engine)?);
    Ok(Profile { step, peaks, steps: subject.steps, launches })
}

impl Profile {
    /// One row a kernel, by falling time.
    pub fn by_kernel(&self) -> Vec<Share> {
        self.shares(KernelTime::by_kernel(&self.launches))
    }

    /// One row for each kernel and size of its operands, by falling time.
    pub fn by_layer(&self) -> Vec<Share> {
        self.shares(KernelTime::by_work(&self.launches))
    }

    fn shares(&self, rows: Vec<KernelTime>) -> Vec<Share> {
        let all: f64 = rows.iter().map(|row| row.time.as_secs_f64()).sum();
        let steps = self.steps as f64;
        let share = |total: KernelTime| {
            let seconds = total.time.as_secs_f64();
            let (least, by_arithmetic) = self.peaks.bound(total.flops, total.bytes);
            Share {
                ms: seconds * 1e3 / steps,
                calls: total.calls as f64 / steps,
                share: seconds / all.max(1e-12),
                roofline: least / seconds.max(1e-12),
                by_arithmetic,
                total,
            }
        };
        rows.into_iter().map(share).collect()
    }
}
