//! d[b,j] = mean over n of weights (x[b] - t[row])^2.

use super::Kernel;
use super::row_map::RowMap;
use crate::tape::Rows;
use rayon::prelude::*;

/// Sizes of a distance: `b` images and `r` rows of `n` elements, `s` prototypes.
#[derive(Clone, Copy, Debug)]
pub struct Extents {
    pub b: usize,
    pub r: usize,
    pub s: usize,
    pub n: usize,
}

/// The operands that may be missing: weights (none: empty) and index.
pub fn optional<'a>(args: &super::Args<'a>, first: usize, weighted: bool) -> (&'a [f32], &'a [u32]) {
    if weighted { (args.f32(first), args.u32(first + 1)) } else { (&[], args.u32(first)) }
}

pub fn kernel(e: Extents, rows: Rows, weighted: bool) -> Kernel {
    Box::new(move |args| {
        let (x, t, d) = (args.f32(0), args.f32(1), args.out(0));
        let (weights, index) = optional(args, 2, weighted);
        let map = RowMap::new(rows, e.s, index);
        let per_image = e.r / e.b;
        d.par_chunks_mut(per_image).zip(x.par_chunks(e.n)).enumerate().for_each(|(b, (d, x))| {
            for (j, d) in d.iter_mut().enumerate() {
                let t = &t[map.get(b * per_image + j) * e.n..][..e.n];
                *d = total(x, t, weights) / e.n as f32;
            }
        });
    })
}

/// Sum of weighted squared differences; sixteen running sums, so that it is both quick and accurate.
fn total(x: &[f32], t: &[f32], weights: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let mut rest = 0.0;
    if weights.is_empty() {
        let (xs, ts) = (x.chunks_exact(LANES), t.chunks_exact(LANES));
        for (x, t) in xs.remainder().iter().zip(ts.remainder()) {
            rest += (x - t) * (x - t);
        }
        for (x, t) in xs.zip(ts) {
            for l in 0..LANES {
                sums[l] += (x[l] - t[l]) * (x[l] - t[l]);
            }
        }
    } else {
        for (i, ((x, t), w)) in x.iter().zip(t).zip(weights).enumerate() {
            sums[i % LANES] += w * (x - t) * (x - t);
        }
    }
    sums.iter().map(|&s| f64::from(s)).sum::<f64>() as f32 + rest
}
