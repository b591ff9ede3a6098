//! Finding and loading known data sets by name. The table of them is in `known.rs`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::{DataError, FormFiles, Lacks, LookedIn, MissingSet};
use super::idx_folder::{self, Pair};
use super::images::{self, Listing};
pub use super::known::KnownSet;
use super::known::{Form, KNOWN, Load};
use super::set::ImageSet;

/// All known sets, in the order in which they are to be listed.
pub fn known() -> &'static [KnownSet] {
    KNOWN
}

/// The known set called `name`.
///
/// # Errors
/// [`DataError::UnknownSet`], with the nearest known name.
pub fn find(name: &str) -> Result<&'static KnownSet, DataError> {
    KNOWN.iter().find(|set| set.name == name).ok_or_else(|| DataError::UnknownSet {
        name: name.to_owned(),
        nearest: nearest(name),
        known: KNOWN.iter().map(|set| set.name.to_owned()).collect(),
    })
}

/// Loads a known set by name.
///
/// In each folder of `search`, in order, its files are looked for in a subfolder of its name and then in the folder
/// itself; after these come the system's folders. The subfolder is first because several sets share their file names.
/// A set that can be made from another is made, in memory, where its own files are not found.
///
/// # Errors
/// [`DataError::UnknownSet`] for a name that is not known, [`DataError::Missing`] where no folder has all the files,
/// [`DataError::WrongSet`] where they turn out to be another known set, and whatever is wrong in the files.
pub fn load(name: &str, search: &[PathBuf]) -> Result<ImageSet, DataError> {
    let known = find(name)?;
    known.locate(search)?.load(known)
}

/// Makes a set from the one that it is made of, whether its own files are there or not.
///
/// # Errors
/// [`DataError::NotMade`] for a set that is not made, and those of [`load`].
pub fn make(name: &str, search: &[PathBuf]) -> Result<ImageSet, DataError> {
    let known = find(name)?;
    let base = known.made_of().ok_or_else(|| DataError::NotMade {
        name: name.to_owned(),
        made: KNOWN.iter().filter(|set| set.made_of().is_some()).map(|set| set.name.to_owned()).collect(),
    })?;
    Location::Made { of: base, from: Box::new(find(base)?.locate(search)?) }.load(known)
}

/// Where a known set was found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Location {
    /// In the program itself.
    Embedded(fn() -> Result<ImageSet, DataError>),
    /// In a folder, as pairs of IDX files.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Its files, in the order in which they are joined.
        pairs: Vec<Pair>,
    },
    /// In files of another form.
    #[non_exhaustive]
    Files {
        /// The files, in the order of the table.
        files: Vec<PathBuf>,
        /// Their reader.
        load: fn(&str, &[PathBuf]) -> Result<ImageSet, DataError>,
        /// Whether the checksum of the table is that of this form.
        exact: bool,
    },
    /// A folder of photographs, which are brought to the size in the table unless they are loaded by way of
    /// [`images`].
    Photographs(PathBuf),
    /// Nowhere, but it can be made from a set that was found.
    Made {
        /// The name of that set.
        of: &'static str,
        /// Where that is.
        from: Box<Location>,
    },
}

impl Location {
    /// Whether the checksum of the table is that of the images found here.
    pub fn is_exact(&self) -> bool {
        !matches!(self, Location::Files { exact: false, .. })
    }

    /// Loads the images of `known`, which was located here.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self, known: &KnownSet) -> Result<ImageSet, DataError> {
        let name = known.name;
        let (set, folder) = match self {
            Location::Embedded(load) => return load(),
            Location::Folder { folder, pairs } => (known.part(idx_folder::load_pairs(name, pairs)?)?, folder.clone()),
            Location::Files { files, load, .. } => {
                let folder = files.first().and_then(|f| f.parent()).unwrap_or(Path::new("."));
                (load(name, files)?, folder.to_owned())
            }
            Location::Photographs(folder) => {
                let options = images::Options { size: Some(known.shape.1), ..Default::default() };
                return Ok(images::load(name, &Listing::of(folder)?, &options, &|_| ())?.set);
            }
            Location::Made { of, from } => {
                let base = from.load(find(of)?)?;
                let make = known.forms.iter().find_map(|form| match form {
                    Form::Made { make, .. } => Some(make),
                    _ => None,
                });
                let not_made = || DataError::NotMade { name: name.to_owned(), made: Vec::new() };
                return make.ok_or_else(not_made)?(name, &base);
            }
        };
        match known.confused_with(&set) {
            Some(found) => Err(DataError::WrongSet { name: name.to_owned(), found: found.to_owned(), folder }),
            None => Ok(set),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Embedded(_) => f.write_str("part of the program"),
            Location::Folder { folder, .. } => write!(f, "IDX files in {}", folder.display()),
            Location::Files { files, .. } => {
                for (i, file) in files.iter().enumerate() {
                    let name = file.file_name().unwrap_or_default();
                    if i == 0 {
                        write!(f, "{}", file.display())?
                    } else {
                        write!(f, ", {}", Path::new(name).display())?
                    }
                }
                Ok(())
            }
            Location::Photographs(folder) => write!(f, "photographs in {}", folder.display()),
            Location::Made { of, from } => write!(f, "made when it is asked for, from {of} ({from})"),
        }
    }
}

impl KnownSet {
    /// The set that this one is made of where its own files are not found.
    pub fn made_of(&self) -> Option<&'static str> {
        self.forms.iter().find_map(|form| match form {
            Form::Made { of, .. } => Some(*of),
            _ => None,
        })
    }

    /// Canonical names of the IDX files that hold this set, images and labels, as [`make`] is to write them.
    pub fn idx_names(&self) -> [String; 2] {
        idx_folder::canonical_names(self.name, self.is_colour())
    }

    fn is_colour(&self) -> bool {
        self.shape.0 > 1
    }

    /// Finds the files of this set without reading them. See [`load`] for where it looks.
    ///
    /// # Errors
    /// [`DataError::Missing`] where no folder has all of them.
    pub fn locate(&self, search: &[PathBuf]) -> Result<Location, DataError> {
        for form in self.forms {
            if let Form::Embedded(load) = form {
                return Ok(Location::Embedded(*load));
            }
        }
        let below = |dir: &PathBuf| {
            let own = dir.join(self.name);
            let others = self.subfolders.iter().map(|sub| dir.join(sub)).collect::<Vec<_>>();
            [own].into_iter().chain(others).chain([dir.clone()])
        };
        let mut looked_in: Vec<LookedIn> = Vec::new();
        for folder in search.iter().flat_map(below).chain(self.system.iter().map(PathBuf::from)) {
            if looked_in.iter().any(|seen| seen.folder == folder) {
                continue;
            }
            match self.look(&folder) {
                Ok(location) => return Ok(location),
                Err(lacks) => {
                    let lacks = folder.is_dir().then_some(lacks);
                    looked_in.push(LookedIn { folder, lacks });
                }
            }
        }
        if let Some(of) = self.made_of()
            && let Ok(from) = find(of)?.locate(search)
        {
            return Ok(Location::Made { of, from: Box::new(from) });
        }
        Err(DataError::Missing(Box::new(self.missing(looked_in))))
    }

    /// Looks for any of the forms in a folder.
    fn look(&self, folder: &Path) -> Result<Location, Lacks> {
        let mut fewest = Lacks::All;
        for form in self.forms {
            let (lacks, of) = match form {
                Form::Idx(stems) => match pairs_or_lacks(folder, stems, self.is_colour()) {
                    Ok(pairs) => return Ok(Location::Folder { folder: folder.to_owned(), pairs }),
                    Err(lacks) => (lacks, 2 * stems.len()),
                },
                Form::Files { files, load, exact } => match files_or_lacks(folder, files) {
                    Ok(files) => return Ok(Location::Files { files, load: *load as Load, exact: *exact }),
                    Err(lacks) => (lacks, files.len()),
                },
                Form::Photographs => {
                    // Any folder may have photographs: only one that is called so is meant.
                    let called = |name: &&str| folder.file_name().is_some_and(|f| f == *name);
                    if folder.is_dir() && [self.name].iter().chain(self.subfolders).any(called) {
                        return Ok(Location::Photographs(folder.to_owned()));
                    }
                    continue;
                }
                Form::Embedded(_) | Form::Made { .. } => continue,
            };
            let fewer = match &fewest {
                Lacks::All => lacks.len() < of,
                Lacks::Files(before) => lacks.len() < before.len(),
            };
            if fewer {
                fewest = Lacks::Files(lacks);
            }
        }
        Err(fewest)
    }

    /// What to say of this set where it is in none of the folders.
    fn missing(&self, looked_in: Vec<LookedIn>) -> MissingSet {
        let forms = self.forms.iter().filter_map(|form| match form {
            Form::Idx(stems) => {
                let files = stems.iter().flat_map(|s| idx_folder::canonical_names(s, self.is_colour())).collect();
                Some(FormFiles { files, gz: true })
            }
            Form::Files { files, .. } => {
                Some(FormFiles { files: files.iter().map(|&f| f.to_owned()).collect(), gz: false })
            }
            Form::Embedded(_) | Form::Photographs | Form::Made { .. } => None,
        });
        let photographs = self.forms.iter().any(|form| matches!(form, Form::Photographs));
        let (name, forms) = (self.name.to_owned(), forms.collect());
        MissingSet { name, forms, looked_in, photographs, hint: self.hint, made_of: self.made_of() }
    }

    /// The images of `whole` that belong to this set.
    fn part(&self, whole: ImageSet) -> Result<ImageSet, DataError> {
        let Some(only) = self.only else { return Ok(whole) };
        let numbers: Vec<usize> = only.split_whitespace().map(|n| n.parse().expect("a list of numbers")).collect();
        whole.select(&numbers)
    }

    /// How `set` differs from the original, one line each; empty where it is the original as far as the table says. The
    /// pixels are compared where the set was had in an [exact](Location::is_exact) form.
    pub fn differences(&self, set: &ImageSet, exact: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let mut compare = |what: &str, expected: String, found: String| {
            if expected != found {
                lines.push(format!("{what}: {expected} expected, {found} found"));
            }
        };
        let shape = (set.channels, set.height, set.width);
        if self.images > 0 {
            compare("images", self.images.to_string(), set.len().to_string());
            compare("images that are scored", self.scored.min(self.images).to_string(), set.scored.to_string());
        }
        compare("channels, height, width", format!("{:?}", self.shape), format!("{shape:?}"));
        if !self.class_counts.is_empty() {
            compare("images of each class", format!("{:?}", self.class_counts), format!("{:?}", set.class_counts()));
        }
        if let Some(checksum) = self.checksum.filter(|_| exact) {
            let found = format!("{:08x}", set.checksum());
            compare("checksum (CRC-32 of pixels and labels)", format!("{checksum:08x}"), found);
        }
        lines
    }

    /// The name of another known set, if `set` has its very images: MNIST and Fashion-MNIST share their file names.
    ///
    /// A set that is no known one is taken as it is, so that a reduced or corrected copy can be used under its name.
    fn confused_with(&self, set: &ImageSet) -> Option<&'static str> {
        let shape = (set.channels, set.height, set.width);
        let mut alike =
            KNOWN.iter().filter(|k| k.checksum.is_some() && k.images == set.len() && k.shape == shape).peekable();
        alike.peek()?;
        let checksum = Some(set.checksum());
        if checksum == self.checksum {
            return None;
        }
        alike.find(|k| k.checksum == checksum).map(|k| k.name)
    }
}

/// The pairs of all `stems`, or the names of the files that are missing.
fn pairs_or_lacks(folder: &Path, stems: &[&str], colour: bool) -> Result<Vec<Pair>, Vec<String>> {
    let mut pairs = Vec::new();
    let mut lacks = Vec::new();
    for stem in stems {
        let [images, labels] = idx_folder::canonical_names(stem, colour);
        match idx_folder::find_pair(folder, stem) {
            Some(pair) if pair.labels.is_some() => pairs.push(pair),
            Some(_) => lacks.push(labels),
            None => {
                lacks.push(images);
                if !idx_folder::has_labels(folder, stem) {
                    lacks.push(labels);
                }
            }
        }
    }
    if lacks.is_empty() { Ok(pairs) } else { Err(lacks) }
}

/// The paths of all `files`, or the names of those that are missing.
fn files_or_lacks(folder: &Path, files: &[&str]) -> Result<Vec<PathBuf>, Vec<String>> {
    let lacks: Vec<String> = files.iter().filter(|f| !folder.join(f).is_file()).map(|&f| f.to_owned()).collect();
    if lacks.is_empty() { Ok(files.iter().map(|f| folder.join(f)).collect()) } else { Err(lacks) }
}

/// The known name most like `name`, if any is like it.
fn nearest(name: &str) -> Option<String> {
    let name = name.to_lowercase().replace(['_', ' '], "-");
    KNOWN
        .iter()
        .map(|set| (strsim::jaro_winkler(&name, set.name), set.name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}
