//! The default data set, part of the program: 5 000 digits of MNIST, 500 of each (see `datasets/README.md`).

use std::path::Path;

use super::error::DataError;
use super::idx::{self, IdxImages};
use super::set::ImageSet;

/// Name of the set.
pub const NAME: &str = "mnist5k";

const IMAGES: &[u8] = include_bytes!("../../datasets/mnist5k-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../datasets/mnist5k-labels-idx1-ubyte.gz");

/// Decodes the embedded set: 5 000 grey images of 28 x 28, sorted by class.
///
/// # Errors
/// None in practice: the embedded bytes are tested. The type is that of the reader they pass through.
pub fn load() -> Result<ImageSet, DataError> {
    let images = Path::new("(embedded) mnist5k-images-idx3-ubyte.gz");
    let labels = Path::new("(embedded) mnist5k-labels-idx1-ubyte.gz");
    let IdxImages { channels, height, width, pixels } = idx::decode_images(images, IMAGES)?;
    ImageSet::new(NAME, channels, height, width, pixels, Some(idx::decode_labels(labels, LABELS)?))
}
