//! e[r] = exp(alpha x), the exponent limited, with x the row's image and alpha = p[r,0].

use super::row_map::RowMap;
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Largest size of an exponent.
pub const LIMIT: f32 = 60.0;

/// Images `image` [S,C,H,W], rows of p of `width` elements.
pub fn kernel(image: Map, width: usize, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let (images, p, index, e) = (args.f32(0), args.f32(1), args.u32(2), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let lines = e.par_chunks_mut(image.image()).zip(p.par_chunks(width)).enumerate();
        lines.for_each(|(r, (e, p))| {
            let from = &images[map.get(r) * image.image()..][..image.image()];
            for (e, x) in e.iter_mut().zip(from) {
                *e = (p[0] * x).clamp(-LIMIT, LIMIT).exp();
            }
        });
    })
}
