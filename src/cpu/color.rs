//! y[r,c] = (1 + w) x + o with x channel c of the row's image and (w, o) = beta[r,c].

use super::row_map::RowMap;
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Images `image` [S,C,H,W].
pub fn kernel(image: Map, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let (images, beta, index, y) = (args.f32(0), args.f32(1), args.u32(2), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let lines = y.par_chunks_mut(image.image()).zip(beta.par_chunks(2 * image.c)).enumerate();
        lines.for_each(|(r, (y, beta))| {
            let from = &images[map.get(r) * image.image()..][..image.image()];
            let planes = y.chunks_exact_mut(image.pixels()).zip(from.chunks_exact(image.pixels()));
            for ((y, x), b) in planes.zip(beta.chunks_exact(2)) {
                let (scale, offset) = (1.0 + b[0], b[1]);
                for (y, x) in y.iter_mut().zip(x) {
                    *y = scale * x + offset;
                }
            }
        });
    })
}
