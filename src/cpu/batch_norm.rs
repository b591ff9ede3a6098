//! y = gamma (x - mean) / sqrt(variance + eps) + beta, as one multiply-add per element; optionally plus a residual
//! and rectified in the same pass.

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
        let lines = y.par_chunks_mut(map.image()).zip(x.par_chunks(map.image())).enumerate();
        lines.for_each(|(b, (y, x))| {
            let pixels = y.chunks_exact_mut(map.c).zip(x.chunks_exact(map.c));
            let residual = if residual.is_empty() { residual } else { &residual[b * map.image()..][..map.image()] };
            match then {
                Then::AddRelu => {
                    for ((y, x), r) in pixels.zip(residual.chunks_exact(map.c)) {
                        for c in 0..map.c {
                            y[c] = ((x[c] - mean[c]) * scale[c] + beta[c] + r[c]).max(0.0);
                        }
                    }
                }
                Then::Relu => {
                    for (y, x) in pixels {
                        for c in 0..map.c {
                            y[c] = ((x[c] - mean[c]) * scale[c] + beta[c]).max(0.0);
                        }
                    }
                }
                Then::Nothing => {
                    for (y, x) in pixels {
                        for c in 0..map.c {
                            y[c] = (x[c] - mean[c]) * scale[c] + beta[c];
                        }
                    }
                }
            }
        });
    })
}
