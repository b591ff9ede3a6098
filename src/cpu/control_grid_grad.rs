//! dbeta[r,g] = sum over pixels of matrix[g,p] dgrid[r,p].

use super::rows::{Cut, RowKernel};
use super::simd::{Isa, LEN, for_each_isa};

/// Pixels whose gradients are laid out by coordinate and summed with the same control point.
const BLOCK: usize = 256;

/// `controls` control points for `pixels` pixels.
pub fn kernel(isa: Isa, rows: usize, controls: usize, pixels: usize) -> RowKernel {
    let inputs = vec![Cut::Whole, Cut::Own(2 * pixels)];
    RowKernel::plain(rows, inputs, vec![2 * controls], move |i, [dbeta, _]| sums(isa, i[0], i[1], dbeta))
}

for_each_isa! {
    fn sums<V: Vector>(matrix: &[f32], dgrid: &[f32], dbeta: &mut [f32]) {
        let pixels = dgrid.len() / 2;
        dbeta.fill(0.0);
        for (first, dgrid) in dgrid.chunks(2 * BLOCK).enumerate() {
            let (mut x, mut y) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
            for ((x, y), point) in x.iter_mut().zip(&mut y).zip(dgrid.chunks_exact(2)) {
                (*x, *y) = (point[0], point[1]);
            }
            for (line, db) in matrix.chunks_exact(pixels).zip(dbeta.chunks_exact_mut(2)) {
                let line = &line[first * BLOCK..][..dgrid.len() / 2];
                let (mut sum_x, mut sum_y) = ([0.0f32; LEN], [0.0f32; LEN]);
                for (m, (x, y)) in line.chunks(LEN).zip(x.chunks(LEN).zip(y.chunks(LEN))) {
                    for (k, &m) in m.iter().enumerate() {
                        sum_x[k] = V::scalar_mul_add(m, x[k], sum_x[k]);
                        sum_y[k] = V::scalar_mul_add(m, y[k], sum_y[k]);
                    }
                }
                db[0] += sum_x.iter().sum::<f32>();
                db[1] += sum_y.iter().sum::<f32>();
            }
        }
    }
}
