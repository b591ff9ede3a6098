//! y[r,c,p] = bilinear sample of channel c of the row's image at grid[r,p].

use super::bilinear::Source;
use super::row_map::RowMap;
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Images `image` [S,C,Hs,Ws], outputs `out` [R,C,H,W].
pub fn kernel(image: Map, out: Map, source: Source, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let (images, grid, index, y) = (args.f32(0), args.f32(1), args.u32(2), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let lines = y.par_chunks_mut(out.image()).zip(grid.par_chunks(2 * out.pixels())).enumerate();
        lines.for_each(|(r, (y, grid))| {
            let from = &images[map.get(r) * image.image()..][..image.image()];
            for (p, point) in grid.chunks_exact(2).enumerate() {
                let cell = source.cell(point[0], point[1]);
                let weights = cell.weights();
                for c in 0..out.c {
                    let plane = &from[c * image.pixels()..][..image.pixels()];
                    let terms: [f32; 4] = std::array::from_fn(|k| plane[cell.corners[k]] * weights[k]);
                    y[c * out.pixels() + p] = terms[0] + terms[1] + terms[2] + terms[3];
                }
            }
        });
    })
}
