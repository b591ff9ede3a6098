//! Measuring: whole training steps, where their time goes, and what the device could do at best.

mod peaks;
mod profile;
mod step;
mod trace;

pub use peaks::{Peaks, peaks};
pub use profile::{Profile, Share, profile};
pub use step::{StepReport, Subject, measure};
pub use trace::trace;
