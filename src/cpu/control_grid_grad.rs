//! dbeta[r,g] = sum over pixels of matrix[g,p] dgrid[r,p].

use super::Kernel;
use rayon::prelude::*;

/// `controls` control points for `pixels` pixels.
pub fn kernel(controls: usize, pixels: usize) -> Kernel {
    /// Pixels whose gradients are laid out by coordinate and summed with the same control point.
    const BLOCK: usize = 256;
    const LANES: usize = 8;
    Box::new(move |args| {
        let (matrix, dgrid, dbeta) = (args.f32(0), args.f32(1), args.out(0));
        dbeta.par_chunks_mut(2 * controls).zip(dgrid.par_chunks(2 * pixels)).for_each(|(dbeta, dgrid)| {
            dbeta.fill(0.0);
            for (first, dgrid) in dgrid.chunks(2 * BLOCK).enumerate() {
                let (mut x, mut y) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
                for ((x, y), point) in x.iter_mut().zip(&mut y).zip(dgrid.chunks_exact(2)) {
                    (*x, *y) = (point[0], point[1]);
                }
                for (line, db) in matrix.chunks_exact(pixels).zip(dbeta.chunks_exact_mut(2)) {
                    let line = &line[first * BLOCK..][..dgrid.len() / 2];
                    let (mut sum_x, mut sum_y) = ([0.0f32; LANES], [0.0f32; LANES]);
                    for (m, (x, y)) in line.chunks(LANES).zip(x.chunks(LANES).zip(y.chunks(LANES))) {
                        for (k, m) in m.iter().enumerate() {
                            sum_x[k] += m * x[k];
                            sum_y[k] += m * y[k];
                        }
                    }
                    db[0] += sum_x.iter().sum::<f32>();
                    db[1] += sum_y.iter().sum::<f32>();
                }
            }
        });
    })
}
