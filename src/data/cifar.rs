//! CIFAR-10 and CIFAR-100 in their binary version: records of labels and 3 x 32 x 32 bytes.

use std::io::BufReader;
use std::path::PathBuf;

use super::error::{DataError, FormatProblem};
use super::input::{Input, open};
use super::set::ImageSet;

/// Height and width of an image.
const SIDE: usize = 32;
const IMAGE: usize = 3 * SIDE * SIDE;

/// Loads the files of CIFAR-10: one label a record.
///
/// # Errors
/// [`DataError::Format`] with the place in the file, [`DataError::Read`], [`DataError::Set`].
pub(super) fn load_10(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    load(name, files, 1, 10)
}

/// Loads the files of CIFAR-100: of the two labels of a record the second and finer one.
///
/// # Errors
/// As [`load_10`].
pub(super) fn load_100(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    load(name, files, 2, 100)
}

/// Reads records of `head` labels and an image. The last label is the one that is kept, below `classes`.
fn load(name: &str, files: &[PathBuf], head: usize, classes: u8) -> Result<ImageSet, DataError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in files {
        let (file, length) = open(path)?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut input = Input::new(&mut reader, path, "");
        let record = (head + IMAGE) as u64;
        if length == 0 || !length.is_multiple_of(record) {
            let what = format!("{length} bytes are not records of {record} bytes, as those of this set are");
            return Err(input.fail(FormatProblem::Content(what)));
        }
        let images = (length / record) as usize;
        pixels.reserve_exact(images * IMAGE);
        for _ in 0..images {
            let mut marks = [0; 2];
            input.fill(&mut marks[..head])?;
            let label = marks[head - 1];
            if label >= classes {
                let what = format!("class {label}, where there are {classes}");
                return Err(input.fail_at(input.at() - 1, FormatProblem::Content(what)));
            }
            labels.push(label.into());
            let start = pixels.len();
            pixels.resize(start + IMAGE, 0);
            input.fill(&mut pixels[start..])?;
        }
    }
    ImageSet::new(name, 3, SIDE, SIDE, pixels, Some(labels))
}
