//! dsigma[r] = weights sigma (1/v - (x - mu)^2 / v^2) dd[b,j], r = b J + j, v = sigma^2 + min_variance.

use super::Kernel;
use super::neg_log_normal::{Extents, Form};
use super::row_map::RowMap;
use super::squared_distance::optional;
use rayon::prelude::*;

pub fn kernel(e: Extents, form: Form) -> Kernel {
    Box::new(move |args| {
        let [x, mu, sigma, dd] = [0, 1, 2, 3].map(|i| args.f32(i));
        let dsigma = args.out(0);
        let (weights, index) = optional(args, 4, form.weighted);
        let means = RowMap::new(form.mean, e.s, index);
        let deviations = RowMap::new(form.deviation, e.t, index);
        let per_image = e.r / e.b;
        dsigma.par_chunks_mut(e.n).enumerate().for_each(|(r, dsigma)| {
            let x = &x[r / per_image * e.n..][..e.n];
            let mu = &mu[means.get(r) * e.n..][..e.n];
            let sigma = &sigma[deviations.get(r) * e.n..][..e.n];
            for (dsigma, ((x, m), s)) in dsigma.iter_mut().zip(x.iter().zip(mu).zip(sigma)) {
                let v = s * s + form.min_variance;
                *dsigma = dd[r] * s / v * (1.0 - (x - m) * (x - m) / v);
            }
            for (dsigma, w) in dsigma.iter_mut().zip(weights) {
                *dsigma *= w;
            }
        });
    })
}
