//! dgrid[r,p] = sum over channels of dy times the slope of the image, zero where the coordinate was clamped.

use super::Map;
use super::bilinear::{BLOCK, Source};
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};
use crate::tape::Rows;

/// Images `image` [S,C,Hs,Ws], gradients `out` [R,C,H,W].
pub fn kernel(isa: Isa, image: Map, out: Map, source: Source, rows: Rows) -> RowKernel {
    let points = 2 * out.pixels();
    let inputs = vec![Cut::new(rows, image.image(), image.b), Cut::Own(points), Cut::Own(out.image()), Cut::Index];
    RowKernel::plain(out.b, inputs, vec![points], move |i, [dgrid, _]| slopes(isa, source, i[0], i[1], i[2], dgrid))
}

for_each_isa! {
    fn slopes<V: Vector>(source: Source, image: &[f32], grid: &[f32], dy: &[f32], dgrid: &mut [f32]) {
        let pixels = grid.len() / 2;
        for (first, (dgrid, grid)) in dgrid.chunks_mut(2 * BLOCK).zip(grid.chunks(2 * BLOCK)).enumerate() {
            let (at, count) = (first * BLOCK, grid.len() / 2);
            let cells = source.cells(grid);
            let (mut sx, mut sy) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
            for (plane, dy) in image.chunks_exact(source.h * source.w).zip(dy.chunks_exact(pixels)) {
                let values = cells.gather(plane, source);
                let mut gradient = [0.0f32; BLOCK];
                gradient[..count].copy_from_slice(&dy[at..at + count]);
                for j in 0..BLOCK {
                    let (a, b) = (cells.inside[0][j] * values[0][j], cells.inside[1][j] * values[1][j]);
                    let (c, d) = (cells.inside[2][j] * values[2][j], cells.inside[3][j] * values[3][j]);
                    sx[j] += gradient[j] * ((b - a) * (1.0 - cells.fy[j]) + (d - c) * cells.fy[j]);
                    sy[j] += gradient[j] * ((c - a) * (1.0 - cells.fx[j]) + (d - b) * cells.fx[j]);
                }
            }
            for (j, slope) in dgrid.chunks_exact_mut(2).enumerate() {
                slope[0] = sx[j] * cells.dx[j];
                slope[1] = sy[j] * cells.dy[j];
            }
        }
    }
}
