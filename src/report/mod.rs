//! What people look at: pictures of prototypes and of images beside their aligned prototypes, scores over seeds.

mod canvas;
mod outcome;
mod pictures;

pub use outcome::{MEASURES, Outcome, Summary, about, configuration};
pub use pictures::write_pictures;
