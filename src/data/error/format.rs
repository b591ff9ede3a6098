//! What can be wrong at a place of a file of any format but IDX.

use std::fmt;

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
