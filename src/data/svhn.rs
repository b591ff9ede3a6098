//! Street View House Numbers, cropped digits: `X` is 32 x 32 x 3 x N bytes, `y` holds 1 to 10 where 10 is the digit 0.

use std::path::PathBuf;

use super::error::{DataError, FormatProblem, Place, SetProblem};
use super::mat;
use super::set::ImageSet;

/// Height and width of an image.
const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;

/// Loads the parts of the set in the order given. Scores count the images of the first two, the extra ones only train.
///
/// # Errors
/// [`DataError::Format`] with the place in the file, [`DataError::Read`], [`DataError::Set`] where labels are missing.
pub(super) fn load(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let mut scored = 0;
    for (part, path) in files.iter().enumerate() {
        let before = (pixels.len(), labels.len());
        mat::read(path, &mut |array_name, array| {
            match array_name {
                "X" => {
                    // MATLAB leaves out dimensions of 1 at the end.
                    if !matches!(array.dims[..], [SIDE, SIDE, 3] | [SIDE, SIDE, 3, _]) {
                        return Err(array.fail(format!("X is {:?}, not 32 x 32 x 3 x images", array.dims)));
                    }
                    array.append(&mut pixels, 3 * PLANE, &mut upright)
                }
                "y" => {
                    labels.extend(array.labels()?.into_iter().map(|label| if label == 10 { 0 } else { label }));
                    Ok(())
                }
                _ => Ok(()),
            }
        })?;
        let images = (pixels.len() - before.0) / (3 * PLANE);
        if images == 0 {
            let problem = FormatProblem::Content("the file has no array X of images".into());
            let place = Place { offset: 0, part: String::new() };
            return Err(DataError::Format { path: path.clone(), place, problem });
        }
        if labels.len() - before.1 != images {
            let name = format!("{name} ({})", path.display());
            let problem = SetProblem::LabelCount { images, labels: labels.len() - before.1 };
            return Err(DataError::Set { name, problem });
        }
        if part < 2 {
            scored += images;
        }
    }
    let mut set = ImageSet::new(name, 3, SIDE, SIDE, pixels, Some(labels))?;
    set.scored = scored;
    Ok(set)
}

/// Rows first: MATLAB lays columns first, so that each plane lies transposed.
fn upright(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.chunks_exact(PLANE).zip(to.chunks_exact_mut(PLANE)) {
        for y in 0..SIDE {
            for x in 0..SIDE {
                to[y * SIDE + x] = from[x * SIDE + y];
            }
        }
    }
}
