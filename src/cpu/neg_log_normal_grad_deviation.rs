//! dsigma[r] = weights sigma (1/v - (x - mu)^2 / v^2) dd[b,j], r = b J + j, v = sigma^2 + min_variance.

use super::neg_log_normal::{Extents, Form};
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

pub fn kernel(isa: Isa, e: Extents, form: Form) -> RowKernel {
    RowKernel::plain(e.r, form.cuts(e, &[Cut::Own(1)]), vec![e.n], move |i, [dsigma, _]| {
        let weights = if form.weighted { i[4] } else { &[] };
        slopes(isa, i[0], i[1], i[2], i[3][0], weights, form.min_variance, dsigma);
    })
}

for_each_isa! {
    fn slopes<V: Vector>(x: &[f32], mu: &[f32], sigma: &[f32], dd: f32, weights: &[f32], min_variance: f32, dsigma: &mut [f32]) {
        for (to, ((x, m), s)) in dsigma.iter_mut().zip(x.iter().zip(mu).zip(sigma)) {
            let v = s * s + min_variance;
            *to = dd * s / v * (1.0 - (x - m) * (x - m) / v);
        }
        for (to, w) in dsigma.iter_mut().zip(weights) {
            *to *= w;
        }
    }
}
