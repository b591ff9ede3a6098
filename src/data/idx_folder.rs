//! Finding IDX files by their canonical names in a folder.

use std::collections::BTreeSet;
use std::fs;
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

/// All pairs in `folder`, in the order of their stems.
///
/// # Errors
/// [`DataError::Read`] where the folder cannot be listed.
pub fn find_pairs(folder: &Path) -> Result<Vec<Pair>, DataError> {
    let fail = |source| DataError::Read { path: folder.to_owned(), source };
    let mut stems = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        // A name that is not UTF-8 is not a canonical one.
        let Some(name) = name.to_str() else { continue };
        let name = name.strip_suffix(".gz").unwrap_or(name);
        if let Some(stem) = IMAGES.iter().find_map(|ending| name.strip_suffix(ending)) {
            stems.insert(stem.to_owned());
        }
    }
    Ok(stems.iter().filter_map(|stem| find_pair(folder, stem)).collect())
}

/// Loads the one set that `folder` holds: `train` and `t10k` joined, test first, or a single pair. Its name is that of
/// the folder, or the stem of a single pair.
///
/// # Errors
/// [`DataError::NoImages`], [`DataError::Ambiguous`] where there are several sets, and those of [`idx::load_pair`].
pub fn load_folder(folder: &Path) -> Result<ImageSet, DataError> {
    let mut pairs = find_pairs(folder)?;
    let folder_name = folder.file_name().and_then(|n| n.to_str());
    let is_split = |p: &Pair| TEST_THEN_TRAIN.contains(&p.stem.as_str());
    match pairs.as_slice() {
        [] => Err(DataError::NoImages { folder: folder.to_owned() }),
        [only] => {
            // `train` says nothing about what the images are, the folder may.
            let name = if is_split(only) { folder_name.unwrap_or(&only.stem) } else { &only.stem };
            idx::load_pair(name, &only.images, only.labels.as_deref())
        }
        [a, b] if is_split(a) && is_split(b) => {
            // "t10k" sorts before "train": test first already, but the rule is spelt out where it is defined.
            pairs.sort_by_key(|p| TEST_THEN_TRAIN.iter().position(|s| *s == p.stem));
            load_pairs(folder_name.unwrap_or("images"), &pairs)
        }
        _ => {
            Err(DataError::Ambiguous { folder: folder.to_owned(), stems: pairs.into_iter().map(|p| p.stem).collect() })
        }
    }
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
