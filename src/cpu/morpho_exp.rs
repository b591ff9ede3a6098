//! e[r] = exp(alpha x), the exponent limited, with x the row's image and alpha = p[r,0].

use super::exp::exp_scaled;
use super::row_map::RowMap;
use super::simd::Isa;
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Largest size of an exponent.
pub const LIMIT: f32 = 60.0;

/// Images `image` [S,C,H,W], rows of p of `width` elements.
pub fn kernel(isa: Isa, image: Map, width: usize, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let (images, p, index, e) = (args.f32(0), args.f32(1), args.u32(2), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let lines = e.par_chunks_mut(image.image()).zip(p.par_chunks(width)).enumerate();
        lines.for_each(|(r, (e, p))| {
            exp_scaled(isa, p[0], &images[map.get(r) * image.image()..][..image.image()], LIMIT, e);
        });
    })
}
