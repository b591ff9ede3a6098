//! dbeta[r,c] = (sum of dy x, sum of dy) with x channel c of the row's image.

use super::Map;
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, LEN, for_each_isa};
use crate::tape::Rows;

/// Images `image` [S,C,H,W], R rows.
pub fn kernel(isa: Isa, r: usize, image: Map, rows: Rows) -> RowKernel {
    let inputs = vec![Cut::new(rows, image.image(), image.b), Cut::Own(image.image()), Cut::Index];
    RowKernel::plain(r, inputs, vec![2 * image.c], move |i, [dbeta, _]| sums(isa, i[0], i[1], dbeta))
}

for_each_isa! {
    fn sums<V: Vector>(image: &[f32], dy: &[f32], dbeta: &mut [f32]) {
        /// Pixels that are summed in f32, the sums of which are summed in f64.
        const PART: usize = 32 * LEN;
        let pixels = 2 * dy.len() / dbeta.len();
        let planes = image.chunks_exact(pixels).zip(dy.chunks_exact(pixels));
        for (dbeta, (x, dy)) in dbeta.chunks_exact_mut(2).zip(planes) {
            let mut sums = [0.0f64; 2];
            for (x, dy) in x.chunks(PART).zip(dy.chunks(PART)) {
                let mut parts = [[0.0f32; LEN]; 2];
                for (x, dy) in x.chunks(LEN).zip(dy.chunks(LEN)) {
                    for (j, (x, dy)) in x.iter().zip(dy).enumerate() {
                        parts[0][j] += dy * x;
                        parts[1][j] += dy;
                    }
                }
                for (sum, part) in sums.iter_mut().zip(parts) {
                    *sum += f64::from(part.iter().sum::<f32>());
                }
            }
            dbeta[0] = sums[0] as f32;
            dbeta[1] = sums[1] as f32;
        }
    }
}
