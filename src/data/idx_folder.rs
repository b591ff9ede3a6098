//! Finding IDX files by their canonical names in a folder.

use std::path::{Path, PathBuf};

use super::error::{DataError, SetProblem};
use super::idx::{self, IdxImages};
use super::set::ImageSet;

/// Endings of image files, after the stem (`train`, `t10k`, `usps`); the dotted ones come from some unpackers.
const IMAGES: [&str; 3] = ["-images-idx3-ubyte", "-images.idx3-ubyte", "-images-idx4-ubyte"];
/// Endings of label files, after the stem.
const LABELS: [&str; 2] = ["-labels-idx1-ubyte", "-labels.idx1-ubyte"];

/// The stems of MNIST, Fashion-MNIST and their kin, in the order in which they are joined.
///
/// The published DTI code puts test before train. The order only matters for subsets drawn by a seed.
pub const TEST_THEN_TRAIN: [&str; 2] = ["t10k", "train"];

/// A file of images and, where there is one, its file of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// What comes before `-images-idx3-ubyte`: `train`, `t10k`, `usps`.
    pub stem: String,
    /// The file of images.
    pub images: PathBuf,
    /// The file of labels.
    pub labels: Option<PathBuf>,
}

/// The canonical names of the two files of a stem, without `.gz`: images, labels. Colour images have four dimensions.
pub fn canonical_names(stem: &str, colour: bool) -> [String; 2] {
    let ending = if colour { IMAGES[2] } else { IMAGES[0] };
    [format!("{stem}{ending}"), format!("{stem}{}", LABELS[0])]
}

/// The pair of files of `stem` in `folder`, plain or `.gz` (plain first); `None` without images.
pub fn find_pair(folder: &Path, stem: &str) -> Option<Pair> {
    let images = find_file(folder, stem, &IMAGES)?;
    Some(Pair { stem: stem.to_owned(), images, labels: find_file(folder, stem, &LABELS) })
}

/// Whether `folder` has labels of `stem`.
pub(super) fn has_labels(folder: &Path, stem: &str) -> bool {
    find_file(folder, stem, &LABELS).is_some()
}

fn find_file(folder: &Path, stem: &str, endings: &[&str]) -> Option<PathBuf> {
    endings
        .iter()
        .flat_map(|ending| [format!("{stem}{ending}"), format!("{stem}{ending}.gz")])
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

/// Loads pairs and joins them in the order given.
///
/// # Errors
/// Those of [`idx::load_pair`]; [`DataError::Set`] where the pairs do not hold images of one size, only some have
/// labels, or there are none.
pub fn load_pairs(name: &str, pairs: &[Pair]) -> Result<ImageSet, DataError> {
    let fail = |problem| DataError::Set { name: name.to_owned(), problem };
    let Some((head, tail)) = pairs.split_first() else {
        return Err(fail(SetProblem::Empty));
    };
    let (mut all, mut labels) = read_pair(name, head)?;
    for pair in tail {
        let (more, more_labels) = read_pair(name, pair)?;
        let first = (all.channels, all.height, all.width);
        let second = (more.channels, more.height, more.width);
        if first != second {
            return Err(fail(SetProblem::PartSize { first, second }));
        }
        match (&mut labels, more_labels) {
            (Some(labels), Some(more)) => labels.extend(more),
            (None, None) => {}
            _ => return Err(fail(SetProblem::PartLabels)),
        }
        all.pixels.extend_from_slice(&more.pixels);
    }
    let IdxImages { channels, height, width, pixels } = all;
    ImageSet::new(name, channels, height, width, pixels, labels)
}

/// Reads a pair. The lengths are compared here, where it can still be seen which pair does not fit.
fn read_pair(name: &str, pair: &Pair) -> Result<(IdxImages, Option<Vec<u32>>), DataError> {
    let images = idx::read_images(&pair.images)?;
    let labels = pair.labels.as_deref().map(idx::read_labels).transpose()?;
    let count = images.pixels.len() / (images.channels * images.height * images.width);
    match &labels {
        Some(labels) if labels.len() != count => Err(DataError::Set {
            name: format!("{name} ({})", pair.stem),
            problem: SetProblem::LabelCount { images: count, labels: labels.len() },
        }),
        _ => Ok((images, labels)),
    }
}
