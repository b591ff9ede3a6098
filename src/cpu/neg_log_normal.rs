//! d[b,j] = 1/2 sum over n of weights ((x - mu)^2 / v + log v) + n/2 log(2 pi), v = sigma^2 + min_variance.

use super::logarithm::ln;
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};
use crate::tape::Rows;

/// Sizes: `b` images and `r` rows of `n` elements, `s` means and `t` deviations.
#[derive(Clone, Copy, Debug)]
pub struct Extents {
    pub b: usize,
    pub r: usize,
    pub s: usize,
    pub t: usize,
    pub n: usize,
}

/// How rows find mean and deviation, whether pixels are weighted, and what is added to squared deviations.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub mean: Rows,
    pub deviation: Rows,
    pub weighted: bool,
    pub min_variance: f32,
}

impl Form {
    /// How x, mean, deviation, then `more` of the row's own elements, and weights if there are any are cut.
    pub fn cuts(&self, e: Extents, more: &[Cut]) -> Vec<Cut> {
        let mut cuts = vec![Cut::Shared { n: e.n, by: e.r / e.b }];
        cuts.extend([Cut::new(self.mean, e.n, e.s), Cut::new(self.deviation, e.n, e.t)]);
        cuts.extend(more);
        cuts.extend(self.weighted.then_some(Cut::Whole));
        cuts.push(Cut::Index);
        cuts
    }
}

pub fn kernel(isa: Isa, e: Extents, form: Form) -> RowKernel {
    let constant = e.n as f64 * std::f64::consts::TAU.ln();
    RowKernel::plain(e.r, form.cuts(e, &[]), vec![1], move |i, [d, _]| {
        let weights = if form.weighted { i[3] } else { &[] };
        d[0] = (0.5 * (total(isa, i[0], i[1], i[2], weights, form.min_variance) + constant)) as f32;
    })
}

/// Pixels whose terms are added in f32; the sums of these are added in f64.
const BLOCK: usize = 256;

for_each_isa! {
    /// Sum of weights ((x - mu)^2 / v + log v).
    fn total<V: Vector>(x: &[f32], mu: &[f32], sigma: &[f32], weights: &[f32], min_variance: f32) -> f64 {
        let mut sum = 0.0;
        let mut terms = [[0.0f32; BLOCK]; 2];
        for (first, ((x, mu), sigma)) in x.chunks(BLOCK).zip(mu.chunks(BLOCK)).zip(sigma.chunks(BLOCK)).enumerate() {
            let [squares, logarithms] = &mut terms;
            // Apart, since the squares are small differences and the logarithms all alike.
            for (to, ((x, m), s)) in squares.iter_mut().zip(x.iter().zip(mu).zip(sigma)) {
                *to = (x - m) * (x - m) / (s * s + min_variance);
            }
            for (to, s) in logarithms.iter_mut().zip(sigma) {
                *to = ln(s * s + min_variance);
            }
            for terms in &mut terms {
                terms[x.len()..].fill(0.0);
                if !weights.is_empty() {
                    let weights = &weights[first * BLOCK..][..x.len()];
                    terms.iter_mut().zip(weights).for_each(|(term, w)| *term *= w);
                }
                sum += pairwise(terms);
            }
        }
        sum
    }
}

/// Sum of a block, the second half added to the first again and again: accurate, and in vectors.
#[inline(always)]
fn pairwise(terms: &mut [f32; BLOCK]) -> f64 {
    let mut half = BLOCK / 2;
    while half >= 4 {
        let (first, second) = terms.split_at_mut(half);
        first.iter_mut().zip(second).for_each(|(a, b)| *a += *b);
        half /= 2;
    }
    terms[..4].iter().map(|&t| f64::from(t)).sum()
}
