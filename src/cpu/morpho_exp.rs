//! e[r] = exp(alpha x), the exponent limited, with x the row's image and alpha = p[r,0].

use super::Map;
use super::exp::exp_scaled;
use super::rows::{Cut, RowKernel};
use super::simd::Isa;
use crate::tape::Rows;

/// Largest size of an exponent.
pub const LIMIT: f32 = 60.0;

/// Images `image` [S,C,H,W], R rows of p of `width` elements.
pub fn kernel(isa: Isa, r: usize, image: Map, width: usize, rows: Rows) -> RowKernel {
    let inputs = vec![Cut::new(rows, image.image(), image.b), Cut::Own(width), Cut::Index];
    RowKernel::plain(r, inputs, vec![image.image()], move |i, [e, _]| exp_scaled(isa, i[1][0], i[0], LIMIT, e))
}
