//! What can be wrong in an IDX file.

use std::fmt;

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
