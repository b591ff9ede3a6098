//! dimage[r] = sum over output pixels of dy times the bilinear weights, scattered row by row.

use super::Map;
use super::bilinear::{BLOCK, Source};
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

/// Gradients `out` [R,C,H,W] to images `image` [R,C,Hs,Ws].
pub fn kernel(isa: Isa, image: Map, out: Map, source: Source) -> RowKernel {
    let inputs = vec![Cut::Own(2 * out.pixels()), Cut::Own(out.image())];
    RowKernel::new(out.b, inputs, vec![image.image()], move || {
        let plane = source.plane();
        // Before the first cell there are as many as its upper neighbours reach.
        let mut cells = vec![[0.0; 4]; image.c * (plane.h * plane.w + plane.w + 1)];
        move |i: &[&[f32]], [dimage, _]: [&mut [f32]; 2]| scatter(isa, source, i[0], i[1], &mut cells, dimage)
    })
}

for_each_isa! {
    /// Each point adds to one cell, the four pixels whose top left one it is; then pixels collect from the four cells that they
    /// are in. So neighbouring points seldom wait for each other's sums.
    fn scatter<V: Vector>(source: Source, grid: &[f32], dy: &[f32], sums: &mut [[f32; 4]], dimage: &mut [f32]) {
        let (pixels, plane) = (grid.len() / 2, source.plane());
        let (above, size) = (plane.w + 1, plane.h * plane.w + plane.w + 1);
        sums.fill([0.0; 4]);
        for (first, grid) in grid.chunks(2 * BLOCK).enumerate() {
            let (at, count) = (first * BLOCK, grid.len() / 2);
            let cells = source.cells(grid);
            let mut weights = [[0.0f32; 4]; BLOCK];
            for (j, weights) in weights.iter_mut().enumerate() {
                let (fx, fy) = (cells.fx[j], cells.fy[j]);
                let (gx, gy) = (1.0 - fx, 1.0 - fy);
                *weights = [gx * gy, fx * gy, gx * fy, fx * fy];
            }
            for (sums, dy) in sums.chunks_exact_mut(size).zip(dy.chunks_exact(pixels)) {
                for (j, gradient) in dy[at..at + count].iter().enumerate() {
                    let cell = &mut sums[above + cells.at[j] as usize];
                    for (sum, weight) in cell.iter_mut().zip(weights[j]) {
                        *sum += gradient * weight;
                    }
                }
            }
        }
        for (image, sums) in dimage.chunks_exact_mut(source.h * source.w).zip(sums.chunks_exact(size)) {
            for (y, line) in image.chunks_exact_mut(source.w).enumerate() {
                // No cell begins in the last column, so those to the left of the first are zero.
                let at = (y + plane.origin) * plane.w + plane.origin;
                let upper = sums[at..].windows(2);
                for ((pixel, upper), lower) in line.iter_mut().zip(upper).zip(sums[at + plane.w..].windows(2)) {
                    *pixel = lower[1][0] + lower[0][1] + upper[1][2] + upper[0][3];
                }
            }
        }
    }
}
