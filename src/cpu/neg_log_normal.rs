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
        let variance = |sigma: f32| sigma * sigma + form.min_variance;
        // Once for each deviation, not for each row that shares it.
        let logarithms = sigma.par_chunks(e.n).map(|sigma| {
            total(e.n, weights, |block, terms| {
                for (term, s) in terms.iter_mut().zip(&sigma[block]) {
                    *term = ln(variance(*s));
                }
            })
        });
        let logarithms: Vec<f64> = logarithms.collect();
        let constant = e.n as f64 * std::f64::consts::TAU.ln();
        d.par_iter_mut().enumerate().for_each(|(r, d)| {
            let x = &x[r / per_image * e.n..][..e.n];
            let mu = &mu[means.get(r) * e.n..][..e.n];
            let deviation = deviations.get(r);
            let sigma = &sigma[deviation * e.n..][..e.n];
            let squares = total(e.n, weights, |block, terms| {
                let pairs = x[block.clone()].iter().zip(&mu[block.clone()]);
                for (term, ((x, m), s)) in terms.iter_mut().zip(pairs.zip(&sigma[block])) {
                    *term = (x - m) * (x - m) / variance(*s);
                }
            });
            *d = (0.5 * (squares + logarithms[deviation] + constant)) as f32;
        });
    })
}

/// Sum of `n` weighted terms, which `fill` writes block by block: sixteen running sums within a block, blocks in f64.
fn total(n: usize, weights: &[f32], fill: impl Fn(Range<usize>, &mut [f32])) -> f64 {
    const BLOCK: usize = 256;
    let mut terms = [0.0; BLOCK];
    let blocks = (0..n).step_by(BLOCK).map(|first| {
        let block = first..n.min(first + BLOCK);
        let terms = &mut terms[..block.len()];
        fill(block.clone(), terms);
        if !weights.is_empty() {
            terms.iter_mut().zip(&weights[block]).for_each(|(term, w)| *term *= w);
        }
        lanes(terms)
    });
    blocks.sum()
}

fn lanes(terms: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let chunks = terms.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|&t| f64::from(t)).sum();
    for chunk in chunks {
        for l in 0..LANES {
            sums[l] += chunk[l];
        }
    }
    sums.iter().map(|&s| f64::from(s)).sum::<f64>() + rest
}
