//! New images that a user names: files, folders, known data sets.

use super::failure::Failure;
use crate::data::images::{READ, is_image};
use crate::data::{ImageSet, catalog};
use std::path::{Path, PathBuf};

/// What a path stands for.
pub enum Found {
    /// Files, in the order of their names.
    Files(Vec<PathBuf>),
    /// A known data set.
    Set(ImageSet),
}

impl Found {
    /// Number of images or files.
    pub fn len(&self) -> usize {
        match self {
            Found::Files(files) => files.len(),
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

/// What is at `path`: a file, a folder with all below it, or else a known data set of that name.
pub fn find(path: &Path, folders: &[PathBuf]) -> Result<Found, Failure> {
    if path.is_dir() {
        let mut files = Vec::new();
        walk(path, &mut files)?;
        if files.is_empty() {
            let endings = READ.join(", ");
            return Err(Failure::User(format!("{} has no image files ({endings}) in it", path.display())));
        }
        return Ok(Found::Files(files));
    }
    if path.exists() {
        return Ok(Found::Files(vec![path.to_path_buf()]));
    }
    match path.to_str().map(|name| catalog::find(name).map(|_| name)) {
        Some(Ok(name)) => Ok(Found::Set(catalog::load(name, folders)?)),
        _ => Err(Failure::User(format!("{}: there is no such file or folder, and no known data set", path.display()))),
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::User(format!("cannot read the folder {}: {e}", folder.display()));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        entries.push((entry.path(), entry.file_type().map_err(failed)?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        // Links to folders are not followed: they may lead back.
        if kind.is_dir() {
            walk(&path, files)?;
        } else if is_image(&path) {
            files.push(path);
        }
    }
    Ok(())
}
