//! Differentiable morphology.

use super::{Source, Transformation};
use crate::tape::{Padding, Tape, Var};

/// A weighted mean over a window with learnt weights, weighted further by e^(alpha x): dilation for large alpha, erosion
/// for very negative alpha. beta = (alpha, logits of the weights); beta = 0 blurs slightly.
#[derive(Clone, Copy, Debug)]
pub struct Morpho {
    /// Extent of the window, odd.
    pub kernel_size: usize,
}

impl Transformation for Morpho {
    fn parameters(&self, _channels: usize) -> usize {
        1 + self.kernel_size * self.kernel_size
    }

    fn apply(&self, tape: &mut Tape, source: Source, beta: Var, _constants: &[Var], _padding: Padding) -> Var {
        tape.morpho(source.image, beta, self.kernel_size, source.rows, source.index)
    }
}
