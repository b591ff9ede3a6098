//! grid[r,p] = (identity + beta) (u,v,1) at the pixel centres.

use super::Kernel;
use rayon::prelude::*;

/// Centre of pixel `i` of `size` in [-1,1].
pub fn centre(i: usize, size: usize) -> f32 {
    (2 * i + 1) as f32 / size as f32 - 1.0
}

pub fn kernel(h: usize, w: usize) -> Kernel {
    Box::new(move |args| {
        let (beta, grid) = (args.f32(0), args.out(0));
        grid.par_chunks_mut(2 * h * w).zip(beta.par_chunks(6)).for_each(|(grid, b)| {
            let theta = [1.0 + b[0], b[1], b[2], b[3], 1.0 + b[4], b[5]];
            for (p, point) in grid.chunks_exact_mut(2).enumerate() {
                let (u, v) = (centre(p % w, w), centre(p / w, h));
                point[0] = theta[0] * u + theta[1] * v + theta[2];
                point[1] = theta[3] * u + theta[4] * v + theta[5];
            }
        });
    })
}
