//! Differentiable morphology.

use super::{Source, Transformation};
use crate::tape::{Padding, Tape, Var};

/// A weighted mean over a window with learnt weights, weighted further by e^(alpha x): dilation for large alpha, erosion
/// for very negative alpha. beta = (alpha, logits of the weights); beta = 0 blurs slightly.
#[derive(Clone, Copy, Debug)]
pub struct Morpho {
    /// Extent of the window, odd.
    pub kernel_size: usize,
    /// The limit by the sign of alpha instead: the largest or smallest value where weights exceed 1/2. Without gradient.
    pub hard: bool,
}

impl Transformation for Morpho {
    fn parameters(&self, _channels: usize) -> usize {
        1 + self.kernel_size * self.kernel_size
    }

    fn apply(&self, tape: &mut Tape, source: Source, beta: Var, _constants: &[Var], _padding: Padding) -> Var {
        let Source { image, rows, index } = source;
        match self.hard {
            false => tape.morpho(image, beta, self.kernel_size, rows, index),
            true => tape.morpho_limit(image, beta, self.kernel_size, rows, index),
        }
    }
}
