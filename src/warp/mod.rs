//! Transformations of prototypes and sequences of them.

mod affine;
mod color;
mod morpho;
mod projective;
mod sequence;
mod tps;

pub use affine::Affine;
pub use color::Color;
pub use morpho::Morpho;
pub use projective::Projective;
pub use sequence::{Module, Sequence, SequenceError};
pub use tps::Tps;

use crate::tape::{Padding, Rows, Shape, Tape, Var};

/// Images to be transformed: the prototypes themselves, or one image a row once a transformation has been applied.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// `[S,C,H,W]`, or `[...,C,H,W]` with one image a row.
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

/// What transformations need to know besides their parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Control points along a side of thin-plate splines.
    pub grid_size: usize,
    /// Extent of the windows of morphology, odd.
    pub kernel_size: usize,
    /// Whether morphology takes its hard limits: dilation or erosion by a set of pixels, which have no gradient.
    pub hard_morphology: bool,
}

impl Default for Options {
    /// As published.
    fn default() -> Self {
        Options { grid_size: 4, kernel_size: 7, hard_morphology: false }
    }
}

/// A tensor that a transformation computes once on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its name among those of the transformation.
    pub name: &'static str,
    /// Extents.
    pub shape: Shape,
    /// Elements.
    pub values: Vec<f32>,
}

/// A transformation with parameters predicted for every (image, prototype).
pub trait Transformation {
    /// Parameters for images of `channels` channels.
    fn parameters(&self, channels: usize) -> usize;

    /// What [`Transformation::apply`] needs for images of `height` x `width`, in that order.
    fn constants(&self, _height: usize, _width: usize) -> Vec<Constant> {
        Vec::new()
    }

    /// Applies it to the source image of each row, with beta `[...,P]` as offset from the identity -> `[...,C,H,W]`.
    fn apply(&self, tape: &mut Tape, source: Source, beta: Var, constants: &[Var], padding: Padding) -> Var;
}
