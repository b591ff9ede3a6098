//! STL-10 in its binary version: images of 3 x 96 x 96 bytes, columns first; labels from 1 in a file of their own.

use std::io::BufReader;
use std::path::PathBuf;

use super::error::{DataError, FormatProblem, SetProblem};
use super::input::{Input, open};
use super::set::ImageSet;

/// Height and width of an image.
const SIDE: usize = 96;
const PLANE: usize = SIDE * SIDE;

/// Loads pairs of files: images, labels, images, labels.
///
/// # Errors
/// [`DataError::Format`] with the place in the file, [`DataError::Read`], [`DataError::Set`].
pub(super) fn load(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for pair in files.chunks_exact(2) {
        let before = (pixels.len(), labels.len());
        let (file, length) = open(&pair[0])?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut input = Input::new(&mut reader, &pair[0], "");
        if length == 0 || !length.is_multiple_of(3 * PLANE as u64) {
            let what = format!("{length} bytes are not images of {} bytes", 3 * PLANE);
            return Err(input.fail(FormatProblem::Content(what)));
        }
        pixels.reserve_exact(length as usize);
        let mut plane = vec![0; PLANE];
        for _ in 0..length as usize / PLANE {
            input.fill(&mut plane)?;
            for y in 0..SIDE {
                pixels.extend(plane.iter().skip(y).step_by(SIDE));
            }
        }
        let (file, length) = open(&pair[1])?;
        let mut reader = BufReader::new(file);
        let mut input = Input::new(&mut reader, &pair[1], "");
        for (i, label) in input.bytes(length)?.into_iter().enumerate() {
            if !(1..=10).contains(&label) {
                let what = format!("class {label}, where there are 1 to 10");
                return Err(input.fail_at(i as u64, FormatProblem::Content(what)));
            }
            labels.push(u32::from(label) - 1);
        }
        let (images, found) = ((pixels.len() - before.0) / (3 * PLANE), labels.len() - before.1);
        if images != found {
            let name = format!("{name} ({})", pair[1].display());
            return Err(DataError::Set { name, problem: SetProblem::LabelCount { images, labels: found } });
        }
    }
    ImageSet::new(name, 3, SIDE, SIDE, pixels, Some(labels))
}
