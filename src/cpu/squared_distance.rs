//! d[b,j] = mean over n of weights (x[b] - t[row])^2.

use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};
use crate::tape::Rows;

/// Sizes of a distance: `b` images and `r` rows of `n` elements, `s` prototypes.
#[derive(Clone, Copy, Debug)]
pub struct Extents {
    pub b: usize,
    pub r: usize,
    pub s: usize,
    pub n: usize,
}

impl Extents {
    /// How x, t, then `more` of the row's own elements, and weights if there are any are cut.
    pub fn cuts(&self, rows: Rows, more: &[Cut], weighted: bool) -> Vec<Cut> {
        let mut cuts = vec![Cut::Shared { n: self.n, by: self.r / self.b }, Cut::new(rows, self.n, self.s)];
        cuts.extend(more);
        cuts.extend(weighted.then_some(Cut::Whole));
        cuts.push(Cut::Index);
        cuts
    }
}

pub fn kernel(isa: Isa, e: Extents, rows: Rows, weighted: bool) -> RowKernel {
    RowKernel::plain(e.r, e.cuts(rows, &[], weighted), vec![1], move |i, [d, _]| {
        let weights = if weighted { i[2] } else { &[] };
        d[0] = (total(isa, i[0], i[1], weights) / e.n as f64) as f32;
    })
}

for_each_isa! {
    /// Sum of weighted squared differences; sixteen running sums, so that it is both quick and accurate.
    fn total<V: Vector>(x: &[f32], t: &[f32], weights: &[f32]) -> f64 {
        const LANES: usize = 16;
        let mut sums = [0.0f32; LANES];
        let (xs, ts) = (x.chunks_exact(LANES), t.chunks_exact(LANES));
        let ends = xs.remainder().iter().zip(ts.remainder());
        if weights.is_empty() {
            for (sum, (x, t)) in sums.iter_mut().zip(ends) {
                *sum += (x - t) * (x - t);
            }
            for (x, t) in xs.zip(ts) {
                for l in 0..LANES {
                    sums[l] += (x[l] - t[l]) * (x[l] - t[l]);
                }
            }
        } else {
            let ws = weights.chunks_exact(LANES);
            for (sum, ((x, t), w)) in sums.iter_mut().zip(ends.zip(ws.remainder())) {
                *sum += w * (x - t) * (x - t);
            }
            for ((x, t), w) in xs.zip(ts).zip(ws) {
                for l in 0..LANES {
                    sums[l] += w[l] * (x[l] - t[l]) * (x[l] - t[l]);
                }
            }
        }
        sums.iter().map(|&s| f64::from(s)).sum()
    }
}
