//! grid[r,p] = base[p] + sum over control points g of matrix[g,p] (x, y), (x, y) = beta[r,g].

use super::Kernel;
use rayon::prelude::*;

/// `controls` control points for `pixels` pixels.
pub fn kernel(controls: usize, pixels: usize) -> Kernel {
    /// Pixels that are computed together.
    const BLOCK: usize = 32;
    Box::new(move |args| {
        let [matrix, base, beta] = [0, 1, 2].map(|i| args.f32(i));
        let grid = args.out(0);
        grid.par_chunks_mut(2 * pixels).zip(beta.par_chunks(2 * controls)).for_each(|(grid, beta)| {
            for (first, (grid, base)) in grid.chunks_mut(2 * BLOCK).zip(base.chunks(2 * BLOCK)).enumerate() {
                let (mut x, mut y) = ([0.0; BLOCK], [0.0; BLOCK]);
                for (line, b) in matrix.chunks_exact(pixels).zip(beta.chunks_exact(2)) {
                    for ((x, y), m) in x.iter_mut().zip(&mut y).zip(&line[first * BLOCK..]) {
                        *x += m * b[0];
                        *y += m * b[1];
                    }
                }
                let points = grid.chunks_exact_mut(2).zip(base.chunks_exact(2));
                for ((point, base), (x, y)) in points.zip(x.iter().zip(&y)) {
                    point.copy_from_slice(&[base[0] + x, base[1] + y]);
                }
            }
        });
    })
}
