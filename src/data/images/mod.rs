//! Folders of images: photographs of any size in the usual formats.

mod budget;
mod cache;
mod cache_folder;
mod decode;
mod fit;
mod inks;
mod list;
mod load;
mod order;
mod profile;
mod single;
mod whole;

pub use cache_folder::{CacheEntry, CacheFolder, Origin, UnknownLimit, user_folder};
pub use fit::{Fit, UnknownFit};
pub use list::Listing;
pub use load::{Loaded, load};
pub use single::{FileError, FileReader};

use std::fmt;

/// How the images of a folder are brought into a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Height and width of the images in pixels; `None` to take them as they are, all of one size.
    pub size: Option<usize>,
    /// What becomes of those that are not square.
    pub fit: Fit,
    /// Folder for decoded sets, so that the next start is quick; `None` for no cache.
    pub cache: Option<CacheFolder>,
}

/// A file that is not in the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its path from the folder on.
    pub name: String,
    /// Why, as a text that follows its name.
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.why)
    }
}

/// What is wrong with a folder of images.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderProblem {
    /// There is no such folder.
    #[error("there is no such folder, nor one of its name in {looked_in}; --data DIR says where else to look")]
    NotFound {
        /// The folders that were searched, as a text.
        looked_in: String,
    },

    /// No file is an image.
    #[error(
        "no images: .jpg, .png, .webp, .gif, .bmp and .tif files are read, here or in a sub-folder for each class. Sets in \
         other files are asked for by name (proteus data list)"
    )]
    NoImages,

    /// Not one of the images can be read.
    #[error("none of its {count} images can be read; {first}")]
    AllUnreadable {
        /// How many there are.
        count: usize,
        /// The first of them and what is wrong with it.
        first: String,
    },

    /// Images of different sizes that were to be taken as they are.
    #[error(
        "{first} is {} x {} pixels, {other} {} x {}: give the size that all are to have, image_size=128 for instance",
        sizes[0].0, sizes[0].1, sizes[1].0, sizes[1].1
    )]
    Sizes {
        /// An image.
        first: String,
        /// One of another size.
        other: String,
        /// Width and height of both.
        sizes: [(usize, usize); 2],
    },

    /// More than fits in memory.
    #[error("{images} images of {image_bytes} bytes do not fit in memory; make image_size or limit smaller")]
    Memory {
        /// How many.
        images: usize,
        /// Bytes of one.
        image_bytes: usize,
    },
}
