//! The image files in a folder, and the classes that its sub-folders make.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::order::natural;
use super::{FolderProblem, Skipped};
use crate::data::error::DataError;

/// Endings of files that are read, in lower case. What is in them decides how.
const READ: [&str; 11] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "dib"];

fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Endings of pictures that are not read, which is said; other files are passed over in silence.
const NOT_READ: [&str; 14] =
    ["heic", "heif", "avif", "jxl", "jp2", "dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf", "psd"];
/// Parts of a set that are no classes: these lie one level deeper.
const PARTS: [&str; 8] = ["train", "training", "val", "valid", "validation", "test", "testing", "eval"];
/// Labels of the validation images of Tiny-ImageNet: lines of file, class and box, between tabs.
const ANNOTATIONS: &str = "val_annotations.txt";
/// Folders in folders.
const DEEPEST: usize = 32;

/// The image files of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The folder.
    pub folder: PathBuf,
    /// Its image files in natural order of their names.
    pub(super) files: Vec<ImageFile>,
    /// Class of each file, an index into `classes`, if there are classes.
    pub(super) labels: Option<Vec<u32>>,
    /// Names of the classes in natural order.
    pub(super) classes: Vec<String>,
    /// Pictures of kinds that are not read.
    pub(super) skipped: Vec<Skipped>,
}

/// An image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageFile {
    pub(super) path: PathBuf,
    /// Path from the folder on, with `/` between its parts.
    pub(super) name: String,
    pub(super) length: u64,
    /// Nanoseconds since 1970 at which it was written.
    pub(super) written: i64,
}

impl Listing {
    /// Lists the images of `folder`.
    ///
    /// All images at any depth belong to the set. There are labels where every image has a class and there are two or more:
    ///
    /// - The class of an image is the sub-folder it lies in, at any depth below it; so there are none where images lie in
    ///   the folder itself.
    /// - Where all sub-folders are called train, val, test and the like, the classes are the folders in these.
    /// - With `val/val_annotations.txt` it is Tiny-ImageNet: training and validation images, without those to test.
    ///
    /// Folders and files whose names begin with a dot, and folders of runs, are left out.
    ///
    /// # Errors
    /// [`DataError::Read`] for a folder that cannot be read, [`DataError::Folder`] where there are no images.
    pub fn of(folder: &Path) -> Result<Listing, DataError> {
        let mut listing = Self::without_classes(folder)?;
        listing.classify()?;
        Ok(listing)
    }

    /// All the images of `folder` as [`Self::of`] finds them, without classes.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub fn without_classes(folder: &Path) -> Result<Listing, DataError> {
        let mut walk = Walk::default();
        walk.enter(folder, "", 0)?;
        let Walk { mut files, mut skipped, .. } = walk;
        if files.is_empty() {
            let problem = match skipped.first() {
                None => FolderProblem::NoImages,
                Some(first) => FolderProblem::AllUnreadable { count: skipped.len(), first: first.to_string() },
            };
            return Err(DataError::Folder { path: folder.to_owned(), problem });
        }
        files.sort_by(|a, b| natural(&a.name, &b.name));
        skipped.sort_by(|a, b| natural(&a.name, &b.name));
        Ok(Listing { folder: folder.to_owned(), files, labels: None, classes: Vec::new(), skipped })
    }

    /// Paths of the image files in their order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Pictures of kinds that are not read.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Number of image files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none (never so for a listing of [`Listing::of`]).
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// `n` of the images at equal distances over the whole listing, or all of them if there are fewer. The others are not
    /// read at all.
    pub fn spread(mut self, n: usize) -> Listing {
        let len = self.len();
        if n < len {
            let chosen: Vec<usize> = (0..n).map(|i| (i as u128 * len as u128 / n as u128) as usize).collect();
            self.files = chosen.iter().map(|&i| self.files[i].clone()).collect();
            self.labels = self.labels.map(|labels| chosen.iter().map(|&i| labels[i]).collect());
        }
        self
    }

    /// Number of classes, 0 without labels.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    fn classify(&mut self) -> Result<(), DataError> {
        let first = |name: &str| name.split_once('/').map(|(first, _)| first.to_lowercase());
        let in_parts = self.files.iter().all(|f| first(&f.name).is_some_and(|part| PARTS.contains(&part.as_str())));
        // Validation images of Tiny-ImageNet lie in one folder; those to test have no classes.
        let annotated = ["val/", ""].map(|part| (part, self.folder.join(part).join(ANNOTATIONS)));
        let annotated = annotated.into_iter().find(|(_, path)| path.is_file());
        let (named, validation) = match &annotated {
            Some((part, path)) => (annotations(path, part)?, Some(format!("{part}images/"))),
            None => (HashMap::new(), None),
        };
        if validation.is_some() {
            self.files.retain(|f| first(&f.name).is_none_or(|part| part != "test"));
        }
        let class = |file: &ImageFile| -> Option<String> {
            if validation.as_ref().is_some_and(|folder| file.name.starts_with(folder)) {
                return named.get(&file.name).cloned();
            }
            let (folders, _) = file.name.rsplit_once('/')?;
            folders.split('/').nth(usize::from(in_parts)).map(str::to_owned)
        };
        let classes: Option<Vec<String>> = self.files.iter().map(class).collect();
        // Some without a class: none of them has one. A single class says nothing.
        let Some(classes) = classes else { return Ok(()) };
        let distinct: BTreeSet<&String> = classes.iter().collect();
        if distinct.len() < 2 {
            return Ok(());
        }
        let mut names: Vec<String> = distinct.into_iter().cloned().collect();
        names.sort_by(|a, b| natural(a, b));
        let numbers: HashMap<&String, u32> = names.iter().zip(0..).collect();
        self.labels = Some(classes.iter().map(|class| numbers[class]).collect());
        self.classes = names;
        Ok(())
    }
}

/// Classes of the files that `val_annotations.txt` names; `part` is the path of its folder.
fn annotations(path: &Path, part: &str) -> Result<HashMap<String, String>, DataError> {
    let text = fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    let text = String::from_utf8_lossy(&text);
    let pairs = text.lines().filter_map(|line| {
        let mut words = line.split('\t');
        Some((words.next()?, words.next()?.trim()))
    });
    let pairs = pairs.filter(|(file, class)| !file.is_empty() && !class.is_empty());
    Ok(pairs.map(|(file, class)| (format!("{part}images/{file}"), class.to_owned())).collect())
}

#[derive(Default)]
struct Walk {
    files: Vec<ImageFile>,
    skipped: Vec<Skipped>,
    /// Folders that were entered: links may lead round in circles.
    seen: BTreeSet<PathBuf>,
}

impl Walk {
    /// Adds the images of `folder`, whose path from the beginning on is `prefix`, and those of the folders below.
    fn enter(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), DataError> {
        let fail = |source| DataError::Read { path: folder.to_owned(), source };
        if depth > DEEPEST || !self.seen.insert(fs::canonicalize(folder).map_err(fail)?) {
            return Ok(());
        }
        for entry in fs::read_dir(folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if name.starts_with('.') {
                continue;
            }
            let name = format!("{prefix}{name}");
            // A link that leads nowhere is no file.
            let Ok(about) = fs::metadata(&path) else { continue };
            if about.is_dir() {
                if !path.join("run.json").exists() {
                    self.enter(&path, &format!("{name}/"), depth + 1)?;
                }
                continue;
            }
            let ending = ending(&path);
            if !about.is_file() {
            } else if READ.contains(&ending.as_str()) {
                let written = about.modified().map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
                    Ok(after) => after.as_nanos() as i64,
                    Err(before) => -(before.duration().as_nanos() as i64),
                });
                self.files.push(ImageFile { path, name, length: about.len(), written });
            } else if NOT_READ.contains(&ending.as_str()) {
                let why = format!("is a picture of a kind that is not read (.{ending}); convert it to JPEG or PNG");
                self.skipped.push(Skipped { name, why });
            }
        }
        Ok(())
    }
}
