//! What can go wrong between a name or a path and an [`ImageSet`](super::ImageSet).

mod format;
mod idx;
mod missing;
mod set;

pub use format::{FormatProblem, Place};
pub use idx::IdxProblem;
pub use missing::{FormFiles, Lacks, LookedIn, MissingSet};
pub use set::SetProblem;

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
