//! dgamma = sum dy xhat, dbeta = sum dy, in f64: the next gradient is dy without its mean, so that rounding here is an
//! error that all pixels share. Image by image, in order.

use super::{Kernel, Map};
use rayon::prelude::*;

pub fn kernel(map: Map, eps: f32) -> Kernel {
    Box::new(move |args| {
        let [x, dy, mean, variance] = [0, 1, 2, 3].map(|i| args.f32(i));
        let (dgamma, dbeta) = (args.out(0), args.out(1));
        let images = x.par_chunks(map.image()).zip(dy.par_chunks(map.image()));
        let sums: Vec<Vec<f64>> = images
            .map(|(x, dy)| {
                let mut sums = vec![0.0; 2 * map.c];
                let (with_x, plain) = sums.split_at_mut(map.c);
                // Slices of one known length let the compiler drop bounds checks and vectorise.
                let (n, mean) = (map.c, &mean[..map.c]);
                let (with_x, plain) = (&mut with_x[..n], &mut plain[..n]);
                for (x, dy) in x.chunks_exact(n).zip(dy.chunks_exact(n)) {
                    let (x, dy) = (&x[..n], &dy[..n]);
                    for c in 0..n {
                        with_x[c] += f64::from(dy[c]) * f64::from(x[c] - mean[c]);
                        plain[c] += f64::from(dy[c]);
                    }
                }
                sums
            })
            .collect();
        for c in 0..map.c {
            let total = |at: usize| sums.iter().map(|s| s[at]).sum::<f64>();
            dgamma[c] = (total(c) / f64::from((variance[c] + eps).sqrt())) as f32;
            dbeta[c] = total(map.c + c) as f32;
        }
    })
}
