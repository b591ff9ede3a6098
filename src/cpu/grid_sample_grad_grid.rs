//! dgrid[r,p] = sum over channels of dy times the slope of the image, zero where the coordinate was clamped.

use super::bilinear::Source;
use super::row_map::RowMap;
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Images `image` [S,C,Hs,Ws], gradients `out` [R,C,H,W].
pub fn kernel(image: Map, out: Map, source: Source, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let [images, grid, dy] = [0, 1, 2].map(|i| args.f32(i));
        let (index, dgrid) = (args.u32(3), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let points = 2 * out.pixels();
        dgrid.par_chunks_mut(points).zip(grid.par_chunks(points)).enumerate().for_each(|(r, (dgrid, grid))| {
            let from = &images[map.get(r) * image.image()..][..image.image()];
            let dy = &dy[r * out.image()..][..out.image()];
            for (p, (slope, point)) in dgrid.chunks_exact_mut(2).zip(grid.chunks_exact(2)).enumerate() {
                let cell = source.cell(point[0], point[1]);
                let (mut sx, mut sy) = (0.0, 0.0);
                for c in 0..out.c {
                    let plane = &from[c * image.pixels()..][..image.pixels()];
                    let (gradient, [a, b, c, d]) = (dy[c * out.pixels() + p], cell.read(plane));
                    sx += gradient * ((b - a) * (1.0 - cell.fy) + (d - c) * cell.fy);
                    sy += gradient * ((c - a) * (1.0 - cell.fx) + (d - b) * cell.fx);
                }
                slope[0] = sx * cell.dx;
                slope[1] = sy * cell.dy;
            }
        });
    })
}
