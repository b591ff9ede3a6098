//! Transformations of prototypes and sequences of them.

mod affine;
mod color;
mod projective;
mod sequence;

pub use affine::Affine;
pub use color::Color;
pub use projective::Projective;
pub use sequence::{Module, Sequence, SequenceError};

use crate::tape::{Padding, Rows, Tape, Var};

/// Images to be transformed: the prototypes themselves, or one image a row once a transformation has been applied.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// [S,C,H,W], or [...,C,H,W] with one image a row.
    pub image: Var,
    /// How rows find their image.
    pub rows: Rows,
    /// With [`Rows::Selected`]: u32, one a row.
    pub index: Option<Var>,
}

impl Source {
    /// One image a row.
    pub fn own(image: Var) -> Self {
        Source { image, rows: Rows::Own, index: None }
    }
}

/// A transformation with parameters predicted for every (image, prototype).
pub trait Transformation {
    /// Its name in sequences.
    fn name(&self) -> &'static str;

    /// Parameters for images of `channels` channels.
    fn parameters(&self, channels: usize) -> usize;

    /// Applies it to the source image of each row, with beta [...,P] as offset from the identity -> [...,C,H,W].
    fn apply(&self, tape: &mut Tape, source: Source, beta: Var, padding: Padding) -> Var;
}
