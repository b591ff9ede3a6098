//! Known data sets by name: one row of a table each.

use std::path::{Path, PathBuf};

use super::error::{DataError, LookedIn, MissingSet};
use super::idx_folder::{self, Pair, TEST_THEN_TRAIN};
use super::mnist5k;
use super::set::ImageSet;

/// A data set that is known by name.
#[derive(Debug)]
pub struct KnownSet {
    /// The name it is asked for by, and that of the subfolder it is looked for in.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// Channels, height and width of an image.
    pub shape: (usize, usize, usize),
    /// Images of each class in the original.
    pub class_counts: &'static [usize],
    /// [`ImageSet::checksum`] of the original.
    pub checksum: u32,
    /// Where its images come from.
    source: Source,
}

/// Where the images of a known set come from.
#[derive(Debug)]
enum Source {
    /// The program itself.
    Embedded(fn() -> Result<ImageSet, DataError>),
    /// Pairs of IDX files in one folder.
    Idx {
        /// Their stems, in the order in which they are joined.
        stems: &'static [&'static str],
        /// Subfolders besides the one of the set's own name: a part of another set lies with the whole.
        subfolders: &'static [&'static str],
        /// Folders of the system, looked in last.
        system: &'static [&'static str],
        /// How to get it.
        hint: Option<&'static str>,
        /// Numbers of the images that belong to it, separated by white space; all of them if there is no list.
        only: Option<&'static str>,
    },
}

/// A new set is a new row here.
static KNOWN: &[KnownSet] = &[
    KnownSet {
        name: mnist5k::NAME,
        about: "5 000 digits of MNIST, part of the program",
        shape: (1, 28, 28),
        class_counts: &[500; 10],
        checksum: 0x7ca1_c8ff,
        source: Source::Embedded(mnist5k::load),
    },
    KnownSet {
        name: "mnist",
        about: "handwritten digits, test and training images",
        shape: (1, 28, 28),
        class_counts: &[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
        checksum: 0x1d3c_d1e8,
        source: Source::Idx { stems: &TEST_THEN_TRAIN, subfolders: &[], system: &[], hint: None, only: None },
    },
    KnownSet {
        name: "mnist-test",
        about: "the test images of MNIST",
        shape: (1, 28, 28),
        class_counts: &[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        checksum: 0x190e_897b,
        source: Source::Idx { stems: &["t10k"], subfolders: &["mnist"], system: &[], hint: None, only: None },
    },
    KnownSet {
        name: "mnist-1k",
        about: "a thousand of the test images of MNIST, those of the publication",
        shape: (1, 28, 28),
        class_counts: &[100, 96, 124, 133, 88, 85, 101, 88, 96, 89],
        checksum: 0x10ed_8786,
        source: Source::Idx {
            stems: &["t10k"],
            subfolders: &["mnist", "mnist-test"],
            system: &[],
            hint: None,
            // numpy.random.seed(46); numpy.random.choice(range(10000), 1000, replace=False)
            only: Some(include_str!("mnist_1k.txt")),
        },
    },
    KnownSet {
        name: "usps",
        about: "handwritten digits of postal codes",
        shape: (1, 16, 16),
        class_counts: &[1553, 1269, 929, 824, 852, 716, 834, 792, 708, 821],
        checksum: 0x3872_229d,
        source: Source::Idx { stems: &["usps"], subfolders: &[], system: &[], hint: None, only: None },
    },
    KnownSet {
        name: "fashion-mnist",
        about: "articles of clothing, test and training images",
        shape: (1, 28, 28),
        class_counts: &[7000; 10],
        checksum: 0x36ac_76db,
        source: Source::Idx {
            stems: &TEST_THEN_TRAIN,
            subfolders: &[],
            system: &["/usr/share/datasets/fashion-mnist"],
            hint: Some("Debian and Ubuntu have it in the package dataset-fashion-mnist"),
            only: None,
        },
    },
];

/// Sets of the publication whose files cannot be read yet, and what those are.
static WITHOUT_LOADER: &[(&str, &str)] = &[
    ("mnist-color", "made from MNIST with random colours"),
    ("affnist-test", "MATLAB files"),
    ("frgc", "an HDF5 file"),
    ("svhn", "MATLAB files"),
    ("megadepth", "a folder of photographs"),
    ("instagram", "a folder of photographs"),
];

/// All known sets, in the order in which they are to be listed.
pub fn known() -> &'static [KnownSet] {
    KNOWN
}

/// The known set called `name`.
///
/// # Errors
/// [`DataError::UnknownSet`], with the nearest known name; [`DataError::NoLoader`] for one that cannot be read yet.
pub fn find(name: &str) -> Result<&'static KnownSet, DataError> {
    if let Some((_, form)) = WITHOUT_LOADER.iter().find(|(known, _)| *known == name) {
        return Err(DataError::NoLoader { name: name.to_owned(), form });
    }
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
///
/// # Errors
/// [`DataError::UnknownSet`] for a name that is not known, [`DataError::Missing`] where no folder has all the files,
/// [`DataError::WrongSet`] where they turn out to be another known set, and whatever is wrong in the files.
pub fn load(name: &str, search: &[PathBuf]) -> Result<ImageSet, DataError> {
    let known = find(name)?;
    match known.locate(search)? {
        Location::Embedded(load) => load(),
        Location::Folder { folder, pairs } => {
            let set = known.part(idx_folder::load_pairs(name, &pairs)?)?;
            match known.confused_with(&set) {
                Some(found) => {
                    let (name, found) = (name.to_owned(), found.to_owned());
                    Err(DataError::WrongSet { name, found, folder })
                }
                None => Ok(set),
            }
        }
    }
}

/// Where a known set was found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Location {
    /// In the program itself.
    Embedded(fn() -> Result<ImageSet, DataError>),
    /// In a folder.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Its files, in the order in which they are joined.
        pairs: Vec<Pair>,
    },
}

impl KnownSet {
    /// Number of images in the original.
    pub fn images(&self) -> usize {
        self.class_counts.iter().sum()
    }

    /// Finds the files of this set without reading them. See [`load`] for where it looks.
    ///
    /// # Errors
    /// [`DataError::Missing`] where no folder has all of them.
    pub fn locate(&self, search: &[PathBuf]) -> Result<Location, DataError> {
        let (stems, subfolders, system, hint) = match &self.source {
            Source::Embedded(load) => return Ok(Location::Embedded(*load)),
            Source::Idx { stems, subfolders, system, hint, .. } => (stems, subfolders, system, *hint),
        };
        let below = |dir: &PathBuf| {
            let own = dir.join(self.name);
            let others = subfolders.iter().map(|sub| dir.join(sub)).collect::<Vec<_>>();
            [own].into_iter().chain(others).chain([dir.clone()])
        };
        let mut looked_in: Vec<LookedIn> = Vec::new();
        for folder in search.iter().flat_map(below).chain(system.iter().map(PathBuf::from)) {
            if looked_in.iter().any(|seen| seen.folder == folder) {
                continue;
            }
            match pairs_or_lacks(&folder, stems) {
                Ok(pairs) => return Ok(Location::Folder { folder, pairs }),
                Err(lacks) => {
                    let lacks = folder.is_dir().then_some(lacks);
                    looked_in.push(LookedIn { folder, lacks });
                }
            }
        }
        Err(DataError::Missing(Box::new(MissingSet {
            name: self.name.to_owned(),
            files: stems.iter().flat_map(|stem| idx_folder::canonical_names(stem)).collect(),
            looked_in,
            hint,
        })))
    }

    /// The images of `whole` that belong to this set.
    fn part(&self, whole: ImageSet) -> Result<ImageSet, DataError> {
        let Source::Idx { only: Some(only), .. } = self.source else { return Ok(whole) };
        let numbers: Vec<usize> = only.split_whitespace().map(|n| n.parse().expect("a list of numbers")).collect();
        whole.select(&numbers)
    }

    /// How `set` differs from the original, one line each; empty where it is the original.
    pub fn differences(&self, set: &ImageSet) -> Vec<String> {
        let mut lines = Vec::new();
        let mut compare = |what: &str, expected: String, found: String| {
            if expected != found {
                lines.push(format!("{what}: {expected} expected, {found} found"));
            }
        };
        let shape = (set.channels, set.height, set.width);
        compare("images", self.images().to_string(), set.len().to_string());
        compare("channels, height, width", format!("{:?}", self.shape), format!("{shape:?}"));
        compare("images of each class", format!("{:?}", self.class_counts), format!("{:?}", set.class_counts()));
        compare(
            "checksum (CRC-32 of pixels and labels)",
            format!("{:08x}", self.checksum),
            format!("{:08x}", set.checksum()),
        );
        lines
    }

    /// The name of another known set, if `set` has its very images: MNIST and Fashion-MNIST share their file names.
    ///
    /// A set that is no known one is taken as it is, so that a reduced or corrected copy can be used under its name.
    fn confused_with(&self, set: &ImageSet) -> Option<&'static str> {
        let checksum = set.checksum();
        if checksum == self.checksum {
            return None;
        }
        KNOWN.iter().find(|k| k.checksum == checksum).map(|k| k.name)
    }
}

/// The pairs of all `stems`, or the names of the files that are missing.
fn pairs_or_lacks(folder: &Path, stems: &[&str]) -> Result<Vec<Pair>, Vec<String>> {
    let mut pairs = Vec::new();
    let mut lacks = Vec::new();
    for stem in stems {
        let [images, labels] = idx_folder::canonical_names(stem);
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
