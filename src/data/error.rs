//! What can go wrong between a name or a path and an [`ImageSet`](super::ImageSet).

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::images::FolderProblem;

/// Any failure of `data`: what was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be opened or read.
    #[error("cannot read {}: {source}; check that it exists and that you may read it", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A file is not the IDX file it should be.
    #[error("{}: {problem}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        problem: IdxProblem,
    },

    /// A file of another format than IDX is not what it should be.
    #[error("{}: {place}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong there.
        problem: FormatProblem,
    },

    /// A made set could not be written.
    #[error("cannot write {}: {source}; check that there is room and that you may write there", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Nothing is overwritten.
    #[error("{} is there already: move it away, or give another folder", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },

    /// A set that is not made but had from elsewhere.
    #[error("{name} is not a set that can be made; those are {}", made.join(", "))]
    NotMade {
        /// The set that was asked for.
        name: String,
        /// Those that can be made.
        made: Vec<String>,
    },

    /// Images and labels, or the parts of a set, do not fit together.
    #[error("data set {name}: {problem}")]
    Set {
        /// Name of the set.
        name: String,
        /// What does not fit.
        problem: SetProblem,
    },

    /// A known set is not in any of the folders that were searched.
    #[error("{0}")]
    Missing(Box<MissingSet>),

    /// A folder holds no IDX images at all.
    #[error(
        "no IDX images in {}: expected train-images-idx3-ubyte and t10k-images-idx3-ubyte, or NAME-images-idx3-ubyte, \
         plain or .gz, with labels beside them as ...-labels-idx1-ubyte",
        folder.display()
    )]
    NoImages {
        /// The folder that was searched.
        folder: PathBuf,
    },

    /// A folder holds several sets and nothing says which one is meant.
    #[error(
        "{} holds several sets ({}); move each to a folder of its own, or name the files of one",
        folder.display(),
        stems.join(", ")
    )]
    Ambiguous {
        /// The folder that was searched.
        folder: PathBuf,
        /// What comes before `-images-idx3-ubyte` in the files found.
        stems: Vec<String>,
    },

    /// The files carry the names of one known set and the images of another.
    #[error(
        "{} holds the images of {found}, not of {name}: ask for {found}, or put the files of {name} in a folder called {name}",
        folder.display()
    )]
    WrongSet {
        /// The set that was asked for.
        name: String,
        /// The set whose images these are.
        found: String,
        /// Where the files lie.
        folder: PathBuf,
    },

    /// No set goes by this name.
    #[error(
        "unknown data set {name:?}{}; the known sets are {}",
        nearest.as_ref().map(|n| format!(" (did you mean {n:?}?)")).unwrap_or_default(),
        known.join(", ")
    )]
    UnknownSet {
        /// The name that was asked for.
        name: String,
        /// The known name most like it, where one is like it at all.
        nearest: Option<String>,
        /// All known names.
        known: Vec<String>,
    },

    /// A folder of images is not what it should be.
    #[error("{}: {problem}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: FolderProblem,
    },
}

/// A place in a file: a byte of the file itself, or of a part of it after decompression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it.
    pub offset: u64,
    /// The part that the bytes are counted in, empty for the file itself.
    pub part: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.offset)?;
        if self.part.is_empty() { Ok(()) } else { write!(f, " of {}", self.part) }
    }
}

/// What is wrong at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatProblem {
    /// It is a file of another kind.
    #[error("this is not {0}; download it again, or give the file that belongs here")]
    NotA(&'static str),

    /// The file ends too early.
    #[error("the data ends here, {missing} bytes too early; copy or download the file again")]
    Truncated {
        /// Bytes that are missing of what was being read.
        missing: u64,
    },

    /// What is said here cannot be.
    #[error("{0}; the file is damaged, copy or download it again")]
    Damaged(String),

    /// A form of the format that this version does not read.
    #[error("{0}")]
    Unsupported(String),

    /// A sound file that does not hold what it should.
    #[error("{0}; is it the file of another data set?")]
    Content(String),
}

/// What is wrong inside one IDX file. Offsets and sizes count bytes after decompression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdxProblem {
    /// Bytes 0 to 3 are not the magic number of what was wanted.
    #[error("byte 0: magic number 0x{found:08x} where {wanted} was expected: {meaning}")]
    Magic {
        /// The four bytes found, big-endian.
        found: u32,
        /// What the caller wanted, with its magic number.
        wanted: &'static str,
        /// What the bytes found stand for, and what to do.
        meaning: String,
    },

    /// The file is an IDX file of numbers that are not unsigned bytes.
    #[error(
        "byte 2: element type 0x{code:02x} ({name}) is not supported: images and labels are unsigned bytes (0x08); \
         convert the values to 0..255 first"
    )]
    ElementType {
        /// Byte 2 of the file.
        code: u8,
        /// What it stands for.
        name: &'static str,
    },

    /// The header says there is nothing, or more than can exist.
    #[error("byte {offset}: dimensions {} {why}; the header is damaged", Dims(dims))]
    Dimensions {
        /// Where the offending dimension starts.
        offset: u64,
        /// All dimensions of the header.
        dims: Vec<u32>,
        /// What is wrong with them.
        why: &'static str,
    },

    /// The fourth dimension of colour images is not a number of channels.
    #[error(
        "byte 16: {found} channels in dimensions {}: four-dimensional images are N x H x W x C with 1 to 4 channels last",
        Dims(dims)
    )]
    Channels {
        /// The fourth dimension.
        found: u32,
        /// All dimensions of the header.
        dims: Vec<u32>,
    },

    /// The file ends before its header says.
    #[error("truncated: {expected} bytes expected, {found} found; copy or download the file again")]
    Truncated {
        /// Bytes that the header calls for, itself included. Where the header itself is cut, its own length.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },

    /// The file goes on after its header says it ends.
    #[error(
        "byte {expected}: data goes on where the header says that the file ends; the header or the file is damaged"
    )]
    Trailing {
        /// Bytes that the header calls for, itself included.
        expected: u64,
    },

    /// The gzip stream cannot be decoded, or its checksum does not agree.
    #[error("corrupted gzip stream after {after} decompressed bytes ({detail}); copy or download the file again")]
    Gzip {
        /// Bytes that were decompressed before the failure.
        after: u64,
        /// What the decoder said.
        detail: String,
    },
}

/// Shows dimensions as `60000 x 28 x 28`.
struct Dims<'a>(&'a [u32]);

impl fmt::Display for Dims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" x ")?;
            }
            write!(f, "{d}")?;
        }
        Ok(())
    }
}

/// Why images, labels and sizes do not make a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetProblem {
    /// No images.
    #[error("it has no images")]
    Empty,

    /// Channels, height or width is zero, or their product does not fit in memory.
    #[error("images of {channels} x {height} x {width} (channels, height, width) cannot be")]
    Size {
        /// Channels.
        channels: usize,
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
    },

    /// The pixels are not a whole number of images.
    #[error("{bytes} pixel bytes are not a whole number of images of {image_bytes} bytes")]
    PixelCount {
        /// Bytes given.
        bytes: usize,
        /// Bytes of one image.
        image_bytes: usize,
    },

    /// There is not one label for each image.
    #[error("{images} images but {labels} labels: the two files do not belong together")]
    LabelCount {
        /// Number of images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },

    /// Two parts to be joined hold images of different sizes.
    #[error(
        "its parts hold images of different sizes, {}x{}x{} and {}x{}x{} (channels, height, width)",
        first.0, first.1, first.2, second.0, second.1, second.2
    )]
    PartSize {
        /// Channels, height and width of the first part.
        first: (usize, usize, usize),
        /// Channels, height and width of the other part.
        second: (usize, usize, usize),
    },

    /// Some parts to be joined have labels and some have none.
    #[error("some of its parts have labels and some have none")]
    PartLabels,

    /// An image that is not there was asked for.
    #[error("image {index} was asked for, of {images}")]
    Index {
        /// Index asked for.
        index: usize,
        /// Number of images.
        images: usize,
    },
}

/// A known set that was not found: what it is made of and where it was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSet {
    /// Name of the set.
    pub name: String,
    /// The forms it is read in; the files of one must lie together in one folder.
    pub forms: Vec<FormFiles>,
    /// Every folder looked in, in order.
    pub looked_in: Vec<LookedIn>,
    /// Whether it is a folder of its name with photographs.
    pub photographs: bool,
    /// Where the set may be had, if that can be said.
    pub hint: Option<&'static str>,
    /// The set it could be made from, which is missing as well.
    pub made_of: Option<&'static str>,
}

/// The files of one form of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormFiles {
    /// Their names.
    pub files: Vec<String>,
    /// Whether each may have `.gz` added.
    pub gz: bool,
}

/// One folder that was searched in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedIn {
    /// The folder.
    pub folder: PathBuf,
    /// What it has of a form; `None` where there is no such folder.
    pub lacks: Option<Lacks>,
}

/// What a folder has of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacks {
    /// No file of any form.
    All,
    /// A part of one form, without these files.
    Files(Vec<String>),
}

impl fmt::Display for FormFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.files.join(", "))?;
        if self.gz { f.write_str(" (each plain or .gz)") } else { Ok(()) }
    }
}

impl MissingSet {
    /// The files of all forms, as a text.
    pub fn files(&self) -> String {
        if self.photographs {
            return format!("a folder {} of photographs (JPEG, PNG, WebP and others)", self.name);
        }
        self.forms.iter().map(FormFiles::to_string).collect::<Vec<_>>().join("; or ")
    }
}

impl fmt::Display for MissingSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data set {} was not found: it needs {}", self.name, self.files())?;
        f.write_str(if self.photographs { "; " } else { " together in one folder; " })?;
        if self.looked_in.is_empty() {
            f.write_str("no folder was given to look in")?;
        } else {
            f.write_str("looked in ")?;
        }
        for (i, place) in self.looked_in.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}", place.folder.display())?;
            match &place.lacks {
                None => f.write_str(" (no such folder)")?,
                Some(Lacks::All) => f.write_str(" (none of them)")?,
                Some(Lacks::Files(files)) => write!(f, " (lacks {})", files.join(", "))?,
            }
        }
        let (what, them) = if self.photographs { ("folder", "it") } else { ("files", "them") };
        write!(f, "; put the {what} in one of these folders, or give the folder that holds {them}")?;
        if let Some(base) = self.made_of {
            write!(f, ". It is made where {base} is found, and that was not found either")?;
        }
        if let Some(hint) = self.hint {
            write!(f, ". {hint}")?;
        }
        Ok(())
    }
}
