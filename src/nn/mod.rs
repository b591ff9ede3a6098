//! Layers and encoders, recorded on a tape.

mod encoder;
mod heads;
mod init;
mod norm;

pub use encoder::{Encoder, EncoderKind, UnknownEncoder};
pub use heads::{HIDDEN, Heads, STACKED};
pub use init::{Declare, Init, Initial};
pub use norm::BatchNorm;

/// Which statistics batch normalisation uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those of the batch; the running ones are updated.
    Train,
    /// The running ones.
    Eval,
}
