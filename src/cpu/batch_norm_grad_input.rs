//! dx = gamma inv_std (dy - dbeta/n - xhat dgamma/n), or gamma inv_std dy when the statistics are constants.

use super::{Kernel, Map};
use rayon::prelude::*;

pub fn kernel(map: Map, eps: f32, batch_stats: bool) -> Kernel {
    Box::new(move |args| {
        let [x, dy, mean, variance, gamma, dgamma, dbeta] = [0, 1, 2, 3, 4, 5, 6].map(|i| args.f32(i));
        let dx = args.out(0);
        let n = (map.b * map.pixels()) as f32;
        // dx = a (dy - m) - q (x - mean), per channel. Subtracting before scaling keeps the gradients of a channel
        // adding up to zero: a rounding that all pixels share would be most of the gradient of a bias further down.
        let (mut a, mut m, mut q) = (vec![0.0; map.c], vec![0.0; map.c], vec![0.0; map.c]);
        for c in 0..map.c {
            let inv_std = 1.0 / (variance[c] + eps).sqrt();
            a[c] = gamma[c] * inv_std;
            if batch_stats {
                m[c] = dbeta[c] / n;
                q[c] = a[c] * inv_std * dgamma[c] / n;
            }
        }
        // Slices of one known length let the compiler drop bounds checks and vectorise.
        let k = map.c;
        let (mean, a, m, q) = (&mean[..k], &a[..k], &m[..k], &q[..k]);
        let images = dx.par_chunks_mut(map.image()).zip(x.par_chunks(map.image()).zip(dy.par_chunks(map.image())));
        images.for_each(|(dx, (x, dy))| {
            let pixels = dx.chunks_exact_mut(map.c).zip(x.chunks_exact(map.c).zip(dy.chunks_exact(map.c)));
            for (dx, (x, dy)) in pixels {
                let (dx, x, dy) = (&mut dx[..k], &x[..k], &dy[..k]);
                for c in 0..k {
                    dx[c] = a[c] * (dy[c] - m[c]) - q[c] * (x[c] - mean[c]);
                }
            }
        });
    })
}
