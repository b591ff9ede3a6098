//! dmu[r] = weights (mu - x) / v dd[b,j], r = b J + j, v = sigma^2 + min_variance.

use super::neg_log_normal::{Extents, Form};
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

pub fn kernel(isa: Isa, e: Extents, form: Form) -> RowKernel {
    RowKernel::plain(e.r, form.cuts(e, &[Cut::Own(1)]), vec![e.n], move |i, [dmu, _]| {
        let weights = if form.weighted { i[4] } else { &[] };
        slopes(isa, i[0], i[1], i[2], i[3][0], weights, form.min_variance, dmu);
    })
}

for_each_isa! {
    fn slopes<V: Vector>(x: &[f32], mu: &[f32], sigma: &[f32], dd: f32, weights: &[f32], min_variance: f32, dmu: &mut [f32]) {
        for (to, ((x, m), s)) in dmu.iter_mut().zip(x.iter().zip(mu).zip(sigma)) {
            *to = dd * (m - x) / (s * s + min_variance);
        }
        for (to, w) in dmu.iter_mut().zip(weights) {
            *to *= w;
        }
    }
}
