//! Measuring: whole training steps, where their time goes, and what the device could do at best.

mod baseline;
mod inputs;
mod kernels;
mod peaks;
mod plot;
mod profile;
mod reckon;
mod single;
mod step;
mod trace;
mod tune;

pub use baseline::{Change, change};
pub use kernels::{KernelReport, distinct, measure_call, reference};
pub use peaks::{Peaks, peaks};
pub use plot::{PlotError, Point, roofline, shares, sweep};
pub use profile::{Profile, Share, profile};
pub use reckon::{lowered, reckon};
pub use single::Single;
pub use step::{StepReport, Subject, measure};
pub use trace::trace;
pub use tune::{Tuning, computed_by, is_tunable, is_wrong, tune, variants};
