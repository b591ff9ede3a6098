//! Data sets: one loader per format, all ending in an [`ImageSet`].

pub mod catalog;
pub mod error;
pub mod idx;
pub mod idx_folder;
pub mod mnist5k;
mod set;

pub use error::{DataError, IdxProblem, LookedIn, MissingSet, SetProblem};
pub use set::ImageSet;
