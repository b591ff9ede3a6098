//! Affine maps of the plane.

use super::{Source, Transformation};
use crate::tape::{Padding, Tape, Var};

/// y(u,v) = x(theta (u,v,1)), theta = identity + beta as a 2x3 matrix, bilinear.
#[derive(Clone, Copy, Debug)]
pub struct Affine;

impl Transformation for Affine {
    fn parameters(&self, _channels: usize) -> usize {
        6
    }

    fn apply(&self, tape: &mut Tape, source: Source, beta: Var, _constants: &[Var], padding: Padding) -> Var {
        let [h, w] = tape.shape(source.image).tail();
        let grid = tape.affine_grid(beta, h, w);
        tape.grid_sample(source.image, grid, padding, source.rows, source.index)
    }
}
