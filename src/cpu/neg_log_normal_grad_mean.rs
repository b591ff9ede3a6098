//! dmu[r] = weights (mu - x) / v dd[b,j], r = b J + j, v = sigma^2 + min_variance.

use super::Kernel;
use super::neg_log_normal::{Extents, Form};
use super::row_map::RowMap;
use super::squared_distance::optional;
use rayon::prelude::*;

pub fn kernel(e: Extents, form: Form) -> Kernel {
    Box::new(move |args| {
        let [x, mu, sigma, dd] = [0, 1, 2, 3].map(|i| args.f32(i));
        let dmu = args.out(0);
        let (weights, index) = optional(args, 4, form.weighted);
        let means = RowMap::new(form.mean, e.s, index);
        let deviations = RowMap::new(form.deviation, e.t, index);
        let per_image = e.r / e.b;
        dmu.par_chunks_mut(e.n).enumerate().for_each(|(r, dmu)| {
            let x = &x[r / per_image * e.n..][..e.n];
            let mu = &mu[means.get(r) * e.n..][..e.n];
            let sigma = &sigma[deviations.get(r) * e.n..][..e.n];
            for (dmu, ((x, m), s)) in dmu.iter_mut().zip(x.iter().zip(mu).zip(sigma)) {
                *dmu = dd[r] * (m - x) / (s * s + form.min_variance);
            }
            for (dmu, w) in dmu.iter_mut().zip(weights) {
                *dmu *= w;
            }
        });
    })
}
