//! dimage[r] = sum over output pixels of dy times the bilinear weights, scattered row by row.

use super::Map;
use super::bilinear::{BLOCK, Source};
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

/// Gradients `out` [R,C,H,W] to images `image` [R,C,Hs,Ws].
pub fn kernel(isa: Isa, image: Map, out: Map, source: Source) -> RowKernel {
    let inputs = vec![Cut::Own(2 * out.pixels()), Cut::Own(out.image())];
    RowKernel::plain(out.b, inputs, vec![image.image()], move |i, [dimage, _]| scatter(isa, source, i[0], i[1], dimage))
}

for_each_isa! {
    fn scatter<V: Vector>(source: Source, grid: &[f32], dy: &[f32], dimage: &mut [f32]) {
        let pixels = grid.len() / 2;
        dimage.fill(0.0);
        for (first, grid) in grid.chunks(2 * BLOCK).enumerate() {
            let (at, count) = (first * BLOCK, grid.len() / 2);
            let cells = source.cells(grid);
            let weights = cells.weights();
            for (plane, dy) in dimage.chunks_exact_mut(source.h * source.w).zip(dy.chunks_exact(pixels)) {
                for (j, gradient) in dy[at..at + count].iter().enumerate() {
                    for corner in 0..4 {
                        plane[cells.corners[corner][j] as usize] += gradient * weights[corner][j];
                    }
                }
            }
        }
    }
}
