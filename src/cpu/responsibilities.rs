//! gamma[b] = softmax over k of (log_pi - d[b]), in double precision: distances are large, their differences small.

use super::Kernel;
use rayon::prelude::*;

pub fn kernel(columns: usize) -> Kernel {
    Box::new(move |args| {
        let (d, log_pi, gamma) = (args.f32(0), args.f32(1), args.out(0));
        gamma.par_chunks_mut(columns).zip(d.par_chunks(columns)).for_each(|(gamma, d)| {
            let score = |k: usize| f64::from(log_pi[k]) - f64::from(d[k]);
            let largest = (0..columns).map(score).fold(f64::NEG_INFINITY, f64::max);
            let part = |k: usize| (score(k) - largest).exp();
            let sum: f64 = (0..columns).map(part).sum();
            for (k, gamma) in gamma.iter_mut().enumerate() {
                *gamma = (part(k) / sum) as f32;
            }
        });
    })
}
