//! What a configuration calls a data set: a known name, or a folder of images.

use std::path::{Path, PathBuf};

use super::catalog::{self, KnownSet, Location};
use super::error::DataError;
use super::images::FolderProblem;

/// Where the images of a data set are.
#[derive(Debug)]
pub enum Source {
    /// A known set that was found.
    Known(&'static KnownSet, Location),
    /// A folder of images, and the name that the set has after it.
    Folder(PathBuf, String),
}

impl Source {
    /// Finds `dataset`: a known name, a path, or the name of a folder in one of the folders `search`. A path that leads
    /// nowhere any more is looked for there by its last part, so that images may move.
    ///
    /// # Errors
    /// Those of [`KnownSet::locate`] for a known name, [`DataError::Folder`] for a path that leads to no folder,
    /// [`DataError::UnknownSet`] for another word that neither is.
    pub fn find(dataset: &str, search: &[PathBuf]) -> Result<Source, DataError> {
        let unknown = match catalog::find(dataset) {
            Ok(known) => {
                return match known.locate(search)? {
                    Location::Photographs(folder) => Ok(Source::Folder(folder, known.name.into())),
                    other => Ok(Source::Known(known, other)),
                };
            }
            Err(unknown) => unknown,
        };
        let path = Path::new(dataset);
        let name = name(dataset);
        let moved = search.iter().map(|folder| folder.join(&name));
        match [path.to_owned()].into_iter().chain(moved).find(|folder| folder.is_dir()) {
            Some(folder) => Ok(Source::Folder(folder, name)),
            None if path.components().count() > 1 => {
                let looked_in = search.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ");
                Err(DataError::Folder { path: path.to_owned(), problem: FolderProblem::NotFound { looked_in } })
            }
            None => Err(unknown),
        }
    }
}

/// The name of a data set: that of its folder, where it is given as a path.
pub fn name(dataset: &str) -> String {
    let last = Path::new(dataset).file_name().map(|name| name.to_string_lossy().into_owned());
    last.unwrap_or_else(|| "images".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_found_where_it_is_or_has_moved_to() {
        let [here, there] = [0, 1].map(|_| tempfile::tempdir().expect("a folder"));
        let path = here.path().join("holidays");
        let text = path.to_str().expect("plain");
        let search = [there.path().to_owned()];
        let find = |dataset: &str| match Source::find(dataset, &search) {
            Ok(Source::Folder(folder, name)) => Ok((folder, name)),
            Ok(Source::Known(known, _)) => panic!("{}", known.name),
            Err(error) => Err(error.to_string()),
        };
        assert!(find(text).expect_err("not there").contains("no such folder, nor one of its name in "));
        assert!(find("mnits").expect_err("a slip").contains("did you mean \"mnist\""));
        let moved = there.path().join("holidays");
        std::fs::create_dir(&moved).expect("made");
        assert_eq!(find(text), Ok((moved.clone(), "holidays".into())));
        assert_eq!(find("holidays"), Ok((moved, "holidays".into())));
        std::fs::create_dir(&path).expect("made");
        assert_eq!(find(text), Ok((path.clone(), "holidays".into())));
        assert!(matches!(Source::find("mnist5k", &[]), Ok(Source::Known(known, _)) if known.name == "mnist5k"));
        assert_eq!((name("/a/b c/"), name("usps"), name("/")), ("b c".into(), "usps".into(), "images".into()));
    }
}
