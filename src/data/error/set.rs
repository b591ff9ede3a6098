//! What can be wrong between images, labels and parts of a set.

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
