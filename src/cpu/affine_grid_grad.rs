//! dbeta[r] = sum over pixels of dgrid (u,v,1)^T.

use super::Kernel;
use super::affine_grid::centre;
use rayon::prelude::*;

pub fn kernel(h: usize, w: usize) -> Kernel {
    Box::new(move |args| {
        let (dgrid, dbeta) = (args.f32(0), args.out(0));
        dbeta.par_chunks_mut(6).zip(dgrid.par_chunks(2 * h * w)).for_each(|(dbeta, dgrid)| {
            let mut sums = [0.0f64; 6];
            // A line at a time in f32, lines in f64.
            for (i, line) in dgrid.chunks_exact(2 * w).enumerate() {
                let mut part = [0.0f32; 4];
                for (j, point) in line.chunks_exact(2).enumerate() {
                    let u = centre(j, w);
                    part[0] += point[0] * u;
                    part[1] += point[0];
                    part[2] += point[1] * u;
                    part[3] += point[1];
                }
                let [xu, x, yu, y] = part.map(f64::from);
                let v = f64::from(centre(i, h));
                for (sum, term) in sums.iter_mut().zip([xu, x * v, x, yu, y * v, y]) {
                    *sum += term;
                }
            }
            for (to, sum) in dbeta.iter_mut().zip(sums) {
                *to = sum as f32;
            }
        });
    })
}
