//! dbeta[r] = sum over pixels of (g_x, g_y, -(g_x x + g_y y)) (u,v,1)^T / w with g = dgrid and (x, y) = grid.

use super::Kernel;
use super::affine_grid::centre;
use super::projective_grid::project;
use rayon::prelude::*;

pub fn kernel(h: usize, w: usize) -> Kernel {
    Box::new(move |args| {
        let (beta, dgrid, dbeta) = (args.f32(0), args.f32(1), args.out(0));
        dbeta.par_chunks_mut(9).zip(beta.par_chunks(9)).zip(dgrid.par_chunks(2 * h * w)).for_each(
            |((dbeta, b), dgrid)| {
                let mut sums = [[0.0f64; 3]; 3];
                // A line at a time in f32, lines in f64.
                for (i, line) in dgrid.chunks_exact(2 * w).enumerate() {
                    let v = centre(i, h);
                    // For each of (x, y, w) the sums times u and 1.
                    let mut part = [[0.0f32; 2]; 3];
                    for (j, g) in line.chunks_exact(2).enumerate() {
                        let u = centre(j, w);
                        let at = project(b, u, v);
                        let (gx, gy) = (g[0] * at.scale, g[1] * at.scale);
                        let gw = if at.horizon { 0.0 } else { -(gx * at.x + gy * at.y) };
                        for (part, d) in part.iter_mut().zip([gx, gy, gw]) {
                            part[0] += d * u;
                            part[1] += d;
                        }
                    }
                    for (sums, part) in sums.iter_mut().zip(part) {
                        let [by_u, by_1] = part.map(f64::from);
                        sums[0] += by_u;
                        sums[1] += by_1 * f64::from(v);
                        sums[2] += by_1;
                    }
                }
                for (to, sum) in dbeta.iter_mut().zip(sums.as_flattened()) {
                    *to = *sum as f32;
                }
            },
        );
    })
}
