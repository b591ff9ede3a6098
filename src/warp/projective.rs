//! Projective maps of the plane.

use super::{Source, Transformation};
use crate::tape::{Padding, Tape, Var};

/// y(u,v) = x(u'/w', v'/w'), (u',v',w') = H (u,v,1), H = identity + beta as a 3x3 matrix, bilinear.
#[derive(Clone, Copy, Debug)]
pub struct Projective;

impl Transformation for Projective {
    fn parameters(&self, _channels: usize) -> usize {
        9
    }

    fn apply(&self, tape: &mut Tape, source: Source, beta: Var, _constants: &[Var], padding: Padding) -> Var {
        let [h, w] = tape.shape(source.image).tail();
        let grid = tape.projective_grid(beta, h, w);
        tape.grid_sample(source.image, grid, padding, source.rows, source.index)
    }
}
