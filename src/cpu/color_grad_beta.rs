//! dbeta[r,c] = (sum of dy x, sum of dy) with x channel c of the row's image.

use super::row_map::RowMap;
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Images `image` [S,C,H,W].
pub fn kernel(image: Map, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let (images, dy, index, dbeta) = (args.f32(0), args.f32(1), args.u32(2), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let planes = dbeta.par_chunks_mut(2).zip(dy.par_chunks(image.pixels())).enumerate();
        planes.for_each(|(plane, (dbeta, dy))| {
            let (r, c) = (plane / image.c, plane % image.c);
            let from = &images[(map.get(r) * image.c + c) * image.pixels()..][..image.pixels()];
            let mut sums = [0.0f64; 2];
            // A line at a time in f32, lines in f64.
            for (dy, x) in dy.chunks_exact(image.w).zip(from.chunks_exact(image.w)) {
                let mut part = [0.0f32; 2];
                for (dy, x) in dy.iter().zip(x) {
                    part[0] += dy * x;
                    part[1] += dy;
                }
                sums[0] += f64::from(part[0]);
                sums[1] += f64::from(part[1]);
            }
            dbeta.copy_from_slice(&sums.map(|s| s as f32));
        });
    })
}
