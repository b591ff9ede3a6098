//! dt[r] = 2/n weights (t[row] - x[b]) dd[b,j], r = b J + j.

use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};
use super::squared_distance::Extents;
use crate::tape::Rows;

pub fn kernel(isa: Isa, e: Extents, rows: Rows, weighted: bool) -> RowKernel {
    RowKernel::plain(e.r, e.cuts(rows, &[Cut::Own(1)], weighted), vec![e.n], move |i, [dt, _]| {
        let weights = if weighted { i[3] } else { &[] };
        slopes(isa, 2.0 / e.n as f32 * i[2][0], i[0], i[1], weights, dt);
    })
}

for_each_isa! {
    fn slopes<V: Vector>(scale: f32, x: &[f32], t: &[f32], weights: &[f32], dt: &mut [f32]) {
        for (dt, (t, x)) in dt.iter_mut().zip(t.iter().zip(x)) {
            *dt = scale * (t - x);
        }
        for (dt, w) in dt.iter_mut().zip(weights) {
            *dt *= w;
        }
    }
}
