//! d[b,j] = 1/2 sum over n of weights ((x - mu)^2 / v + log v) + n/2 log(2 pi), v = sigma^2 + min_variance.

use super::Kernel;
use super::logarithm::ln;
use super::row_map::RowMap;
use super::squared_distance::optional;
use crate::tape::Rows;
use rayon::prelude::*;
use std::ops::Range;

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

pub fn kernel(e: Extents, form: Form) -> Kernel {
    Box::new(move |args| {
        let [x, mu, sigma] = [0, 1, 2].map(|i| args.f32(i));
        let d = args.out(0);
        let (weights, index) = optional(args, 3, form.weighted);
        let means = RowMap::new(form.mean, e.s, index);
        let deviations = RowMap::new(form.deviation, e.t, index);
        let per_image = e.r / e.b;
        // Once for each deviation, not for each row that shares it.
        let logarithms = sigma.par_chunks(e.n);
        let logarithms = logarithms
            .map(|sigma| total(e.n, weights, |block, terms| log_variances(&sigma[block], form.min_variance, terms)));
        let logarithms: Vec<f64> = logarithms.collect();
        let constant = e.n as f64 * std::f64::consts::TAU.ln();
        d.par_iter_mut().enumerate().for_each(|(r, d)| {
            let x = &x[r / per_image * e.n..][..e.n];
            let mu = &mu[means.get(r) * e.n..][..e.n];
            let deviation = deviations.get(r);
            let sigma = &sigma[deviation * e.n..][..e.n];
            let squares = total(e.n, weights, |block, terms| {
                let [x, mu, sigma] = [x, mu, sigma].map(|all| &all[block.clone()]);
                squares(x, mu, sigma, form.min_variance, terms);
            });
            *d = (0.5 * (squares + logarithms[deviation] + constant)) as f32;
        });
    })
}

// Functions of their own, so that the compiler knows what does not change within a loop and uses vectors.

/// log v for each pixel.
fn log_variances(sigma: &[f32], min_variance: f32, terms: &mut [f32]) {
    for (term, s) in terms.iter_mut().zip(sigma) {
        *term = ln(s * s + min_variance);
    }
}

/// (x - mu)^2 / v for each pixel.
fn squares(x: &[f32], mu: &[f32], sigma: &[f32], min_variance: f32, terms: &mut [f32]) {
    for (term, ((x, m), s)) in terms.iter_mut().zip(x.iter().zip(mu).zip(sigma)) {
        *term = (x - m) * (x - m) / (s * s + min_variance);
    }
}

/// Sum of `n` weighted terms, which `fill` writes block by block: pairwise within a block, blocks in f64.
fn total(n: usize, weights: &[f32], fill: impl Fn(Range<usize>, &mut [f32])) -> f64 {
    const BLOCK: usize = 256;
    let mut buffer = [0.0; BLOCK];
    let blocks = (0..n).step_by(BLOCK).map(|first| {
        let block = first..n.min(first + BLOCK);
        let (terms, unused) = buffer.split_at_mut(block.len());
        unused.fill(0.0);
        fill(block.clone(), terms);
        if !weights.is_empty() {
            terms.iter_mut().zip(&weights[block.clone()]).for_each(|(term, w)| *term *= w);
        }
        pairwise(&mut buffer[..block.len().next_power_of_two()])
    });
    blocks.sum()
}

/// Sum of a power of two of terms, the second half added to the first again and again: accurate, and in vectors.
fn pairwise(mut terms: &mut [f32]) -> f64 {
    while terms.len() > 4 {
        let (first, second) = terms.split_at_mut(terms.len() / 2);
        first.iter_mut().zip(second).for_each(|(a, b)| *a += *b);
        terms = first;
    }
    terms.iter().map(|&t| f64::from(t)).sum()
}
