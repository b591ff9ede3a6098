//! y[r,c,p] = bilinear sample of channel c of the row's image at grid[r,p].

use super::Map;
use super::bilinear::{BLOCK, Source};
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};
use crate::tape::Rows;

/// Images `image` [S,C,Hs,Ws], outputs `out` [R,C,H,W].
pub fn kernel(isa: Isa, image: Map, out: Map, source: Source, rows: Rows) -> RowKernel {
    let inputs = vec![Cut::new(rows, image.image(), image.b), Cut::Own(2 * out.pixels()), Cut::Index];
    RowKernel::plain(out.b, inputs, vec![out.image()], move |i, [y, _]| sample(isa, source, i[0], i[1], y))
}

for_each_isa! {
    fn sample<V: Vector>(source: Source, image: &[f32], grid: &[f32], y: &mut [f32]) {
        let pixels = grid.len() / 2;
        for (first, grid) in grid.chunks(2 * BLOCK).enumerate() {
            let (at, count) = (first * BLOCK, grid.len() / 2);
            let cells = source.cells(grid);
            let weights = cells.weights();
            for (plane, y) in image.chunks_exact(source.h * source.w).zip(y.chunks_exact_mut(pixels)) {
                let values = cells.gather(plane, source);
                let mut sums = [0.0f32; BLOCK];
                for j in 0..BLOCK {
                    sums[j] = values[0][j] * weights[0][j]
                        + values[1][j] * weights[1][j]
                        + values[2][j] * weights[2][j]
                        + values[3][j] * weights[3][j];
                }
                y[at..at + count].copy_from_slice(&sums[..count]);
            }
        }
    }
}
