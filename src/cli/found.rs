//! New images that a user names: files, folders, known data sets.

use super::failure::Failure;
use crate::data::images::Listing;
use crate::data::{ImageSet, catalog};
use std::path::{Path, PathBuf};

/// What a path stands for.
pub enum Found {
    /// Files, in the order of their names, and what is said of pictures in a folder that are of kinds that are not read.
    Files(Vec<PathBuf>, Vec<String>),
    /// A known data set.
    Set(ImageSet),
}

impl Found {
    /// Number of images or files.
    pub fn len(&self) -> usize {
        match self {
            Found::Files(files, _) => files.len(),
            Found::Set(set) => set.len(),
        }
    }

    /// Files are brought to the shape of a model, data sets must have it.
    pub fn fits(&self, shape: [usize; 3]) -> Result<(), Failure> {
        let Found::Set(set) = self else { return Ok(()) };
        let found = [set.channels, set.height, set.width];
        if found == shape {
            return Ok(());
        }
        let text = |s: [usize; 3]| s.map(|e| e.to_string()).join("x");
        Err(Failure::User(format!(
            "{}: its images are {}, those of the run {} (channels x height x width)",
            set.name,
            text(found),
            text(shape)
        )))
    }
}

/// What is at `path`: a file, a folder with all images below it as in training, or else a known data set of that name.
pub fn find(path: &Path, folders: &[PathBuf]) -> Result<Found, Failure> {
    if path.is_dir() {
        let listing = Listing::without_classes(path)?;
        let skipped =
            listing.skipped().iter().map(|skipped| path.join(&skipped.name).display().to_string() + " " + &skipped.why);
        return Ok(Found::Files(listing.paths().map(Path::to_path_buf).collect(), skipped.collect()));
    }
    if path.exists() {
        return Ok(Found::Files(vec![path.to_path_buf()], Vec::new()));
    }
    match path.to_str().map(|name| catalog::find(name).map(|_| name)) {
        Some(Ok(name)) => Ok(Found::Set(catalog::load(name, folders)?)),
        _ => Err(Failure::User(format!("{}: there is no such file or folder, and no known data set", path.display()))),
    }
}
