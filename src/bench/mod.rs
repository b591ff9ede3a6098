//! Measuring: whole training steps, where their time goes, and what the device could do at best.

mod baseline;
mod inputs;
mod kernels;
mod peaks;
mod plot;
mod profile;
mod single;
mod step;
mod trace;

pub use baseline::{Change, change};
pub use kernels::{KernelReport, distinct, measure_call, reference};
pub use peaks::{Peaks, peaks};
pub use plot::{PlotError, Point, roofline, shares, sweep};
pub use profile::{Profile, Share, profile};
pub use single::Single;
pub use step::{StepReport, Subject, measure};
pub use trace::trace;
