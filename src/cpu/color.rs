//! y[r,c] = (1 + w) x + o with x channel c of the row's image and (w, o) = beta[r,c].

use super::Map;
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};
use crate::tape::Rows;

/// Images `image` [S,C,H,W], R rows.
pub fn kernel(isa: Isa, r: usize, image: Map, rows: Rows) -> RowKernel {
    let inputs = vec![Cut::new(rows, image.image(), image.b), Cut::Own(2 * image.c), Cut::Index];
    RowKernel::plain(r, inputs, vec![image.image()], move |i, [y, _]| scale(isa, i[0], i[1], y))
}

for_each_isa! {
    fn scale<V: Vector>(image: &[f32], beta: &[f32], y: &mut [f32]) {
        let pixels = 2 * y.len() / beta.len();
        let planes = y.chunks_exact_mut(pixels).zip(image.chunks_exact(pixels));
        for ((y, x), b) in planes.zip(beta.chunks_exact(2)) {
            let (scale, offset) = (1.0 + b[0], b[1]);
            for (y, x) in y.iter_mut().zip(x) {
                *y = scale * x + offset;
            }
        }
    }
}
