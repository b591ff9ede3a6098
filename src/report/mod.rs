//! What people look at: pictures of prototypes and of images beside their aligned prototypes.

mod canvas;
mod pictures;

pub use pictures::write_pictures;
