//! Scale and offset of each channel.

use super::{Source, Transformation};
use crate::tape::{Padding, Tape, Var};

/// y = (1 + w) x + o per channel, beta laid out `[C,2]` = (w, o).
#[derive(Clone, Copy, Debug)]
pub struct Color;

impl Transformation for Color {
    fn parameters(&self, channels: usize) -> usize {
        2 * channels
    }

    fn apply(&self, tape: &mut Tape, source: Source, beta: Var, _constants: &[Var], _padding: Padding) -> Var {
        tape.color(source.image, beta, source.rows, source.index)
    }
}
