//! What can go wrong between the path of a file of `torch.save` and its tensors.

use std::io;
use std::path::PathBuf;

/// Any failure of `torch`: what was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else.
    #[error("{}: no file of torch.save: {problem}", path.display())]
    NotTorch {
        /// The file.
        path: PathBuf,
        /// What it is instead, and what to do.
        problem: String,
    },
    /// It was written on a machine that stores the highest byte first.
    #[error(
        "{}: its numbers are stored with the highest byte first; load and save it with PyTorch on a common machine",
        .0.display()
    )]
    BigEndian(PathBuf),
    /// A record of the file is missing or damaged.
    #[error("{}: record '{record}': {problem}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Name of the record.
        record: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The description of the saved object cannot be read.
    #[error("{}: {source}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: PickleError,
    },
    /// A tensor cannot be used.
    #[error("{}: '{name}' {problem}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A pickle that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of its pickle: {problem}")]
pub struct PickleError {
    /// Offset of the instruction, in bytes.
    pub at: usize,
    /// What is wrong there.
    pub problem: PickleProblem,
}

/// What is wrong in a pickle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleProblem {
    /// The bytes end within an instruction or before the last one.
    #[error("it ends early; the file is not complete")]
    Truncated,
    /// An instruction that no writer of tensors uses.
    #[error("unknown instruction 0x{0:02x}; save it again with PyTorch 1.6 or later and its default protocol")]
    Instruction(u8),
    /// An instruction needs more values than there are.
    #[error("a value is missing on the stack")]
    EmptyStack,
    /// An instruction needs the start of a list where there is none.
    #[error("a list ends that never began")]
    NoMark,
    /// An instruction refers to a value that was never noted.
    #[error("value {0} was never noted")]
    Memo(u32),
    /// An instruction met a value of another kind than it needs.
    #[error("{0} was expected")]
    Kind(&'static str),
    /// Text that is not UTF-8.
    #[error("text that is not UTF-8")]
    Text,
    /// More values than any checkpoint holds.
    #[error("more than {0} values; this is no checkpoint")]
    TooMany(usize),
}
