//! Data sets: one loader per format, all ending in an [`ImageSet`].

mod affnist;
pub mod catalog;
mod cifar;
pub mod error;
mod frgc;
mod hdf5;
mod hdf5_chunks;
pub mod idx;
pub mod idx_folder;
pub mod images;
mod input;
mod known;
mod mat;
pub mod mnist5k;
mod mnist_color;
mod number;
mod numpy;
mod set;
pub mod source;
mod stl10;
mod svhn;
mod usps;

pub use error::{DataError, FormFiles, FormatProblem, IdxProblem, Lacks, LookedIn, MissingSet, Place, SetProblem};
pub use set::ImageSet;
pub use source::Source;
