//! dt[r] = 2/n weights (t[row] - x[b]) dd[b,j], r = b J + j.

use super::Kernel;
use super::row_map::RowMap;
use super::squared_distance::{Extents, optional};
use crate::tape::Rows;
use rayon::prelude::*;

pub fn kernel(e: Extents, rows: Rows, weighted: bool) -> Kernel {
    Box::new(move |args| {
        let [x, t, dd] = [0, 1, 2].map(|i| args.f32(i));
        let dt = args.out(0);
        let (weights, index) = optional(args, 3, weighted);
        let map = RowMap::new(rows, e.s, index);
        let per_image = e.r / e.b;
        dt.par_chunks_mut(e.n).enumerate().for_each(|(r, dt)| {
            let x = &x[r / per_image * e.n..][..e.n];
            let t = &t[map.get(r) * e.n..][..e.n];
            let scale = 2.0 / e.n as f32 * dd[r];
            for (dt, (t, x)) in dt.iter_mut().zip(t.iter().zip(x)) {
                *dt = scale * (t - x);
            }
            for (dt, w) in dt.iter_mut().zip(weights) {
                *dt *= w;
            }
        });
    })
}
