//! y = gamma (x - mean) / sqrt(variance + eps) + beta; optionally plus a residual and rectified in the same pass.

use super::{Kernel, Map};
use rayon::prelude::*;

/// What follows the normalisation in the same pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Nothing,
    Relu,
    /// Input 5 is added first.
    AddRelu,
}

pub fn kernel(map: Map, eps: f32, then: Then) -> Kernel {
    Box::new(move |args| {
        let (x, y) = (args.f32(0), args.out(0));
        let [mean, variance, gamma, beta, residual] = [1, 2, 3, 4, 5].map(|i| args.f32(i));
        let scale: Vec<f32> = gamma.iter().zip(variance).map(|(g, v)| g / (v + eps).sqrt()).collect();
        // Slices of one known length let the compiler drop bounds checks and vectorise.
        let n = map.c;
        let (mean, scale, beta) = (&mean[..n], &scale[..n], &beta[..n]);
        let images = y.par_chunks_mut(map.image()).zip(x.par_chunks(map.image())).enumerate();
        images.for_each(|(b, (y, x))| {
            let pixels = y.chunks_exact_mut(n).zip(x.chunks_exact(n));
            match then {
                Then::AddRelu => {
                    let residual = &residual[b * map.image()..][..map.image()];
                    for ((y, x), r) in pixels.zip(residual.chunks_exact(n)) {
                        let (y, x, r) = (&mut y[..n], &x[..n], &r[..n]);
                        for c in 0..n {
                            y[c] = ((x[c] - mean[c]) * scale[c] + beta[c] + r[c]).max(0.0);
                        }
                    }
                }
                Then::Relu => {
                    for (y, x) in pixels {
                        let (y, x) = (&mut y[..n], &x[..n]);
                        for c in 0..n {
                            y[c] = ((x[c] - mean[c]) * scale[c] + beta[c]).max(0.0);
                        }
                    }
                }
                Then::Nothing => {
                    for (y, x) in pixels {
                        let (y, x) = (&mut y[..n], &x[..n]);
                        for c in 0..n {
                            y[c] = (x[c] - mean[c]) * scale[c] + beta[c];
                        }
                    }
                }
            }
        });
    })
}
