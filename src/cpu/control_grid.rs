//! grid[r,p] = base[p] + sum over control points g of matrix[g,p] (x, y), (x, y) = beta[r,g].

use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

/// Pixels that are computed together.
const BLOCK: usize = 32;

/// `controls` control points for `pixels` pixels.
pub fn kernel(isa: Isa, rows: usize, controls: usize, pixels: usize) -> RowKernel {
    let inputs = vec![Cut::Whole, Cut::Whole, Cut::Own(2 * controls)];
    RowKernel::plain(rows, inputs, vec![2 * pixels], move |i, [grid, _]| fill(isa, i[0], i[1], i[2], grid))
}

for_each_isa! {
    fn fill<V: Vector>(matrix: &[f32], base: &[f32], beta: &[f32], grid: &mut [f32]) {
        let pixels = grid.len() / 2;
        for (first, (grid, base)) in grid.chunks_mut(2 * BLOCK).zip(base.chunks(2 * BLOCK)).enumerate() {
            let (mut x, mut y) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
            for (line, b) in matrix.chunks_exact(pixels).zip(beta.chunks_exact(2)) {
                match line[first * BLOCK..].first_chunk::<BLOCK>() {
                    Some(line) => {
                        for j in 0..BLOCK {
                            x[j] = V::scalar_mul_add(line[j], b[0], x[j]);
                            y[j] = V::scalar_mul_add(line[j], b[1], y[j]);
                        }
                    }
                    None => {
                        for ((x, y), &m) in x.iter_mut().zip(&mut y).zip(&line[first * BLOCK..]) {
                            *x = V::scalar_mul_add(m, b[0], *x);
                            *y = V::scalar_mul_add(m, b[1], *y);
                        }
                    }
                }
            }
            let points = grid.chunks_exact_mut(2).zip(base.chunks_exact(2));
            for ((point, base), (x, y)) in points.zip(x.iter().zip(&y)) {
                point[0] = base[0] + x;
                point[1] = base[1] + y;
            }
        }
    }
}
