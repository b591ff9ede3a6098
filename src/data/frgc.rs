//! FRGC, faces as JULE publishes them: `data` is N x 3 x width x height from 0 to 255, `labels` counts from 1.

use std::path::PathBuf;

use super::error::{DataError, FormatProblem};
use super::hdf5::Hdf5;
use super::number::{Scale, labels, pixels};
use super::set::ImageSet;

/// Loads `data4torch.h5`.
///
/// # Errors
/// [`DataError::Format`] with the place in the file, [`DataError::Read`], [`DataError::Set`].
pub(super) fn load(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    let mut all = (Vec::new(), Vec::new());
    let mut shape = (0, 0, 0);
    for path in files {
        let file = Hdf5::open(path)?;
        let data = file.array("data")?;
        let &[_, channels, width, height] = data.dims.as_slice() else {
            let what = format!("data is {:?}, not images x channels x width x height", data.dims);
            return Err(file.fail(0, FormatProblem::Content(what)));
        };
        shape = (channels, height, width);
        let lying = pixels(data.form, data.bytes, Scale::Bytes).map_err(|p| file.fail(0, p))?;
        all.0.reserve(lying.len());
        // Columns first, as MATLAB has them.
        for plane in lying.chunks_exact(width.saturating_mul(height).max(1)) {
            for y in 0..height {
                all.0.extend(plane.iter().skip(y).step_by(height));
            }
        }
        let classes = file.array("labels")?;
        all.1.extend(labels(classes.form, &classes.bytes).map_err(|p| file.fail(0, p))?);
    }
    let (channels, height, width) = shape;
    ImageSet::new(name, channels, height, width, all.0, Some(all.1))
}
