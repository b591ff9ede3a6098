//! y[r,c,p] = bilinear sample of channel c of the row's image at grid[r,p].

use super::Map;
use super::bilinear::{BLOCK, Source};
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};
use crate::tape::Rows;

/// Images `image` [S,C,Hs,Ws], outputs `out` [R,C,H,W].
pub fn kernel(isa: Isa, image: Map, out: Map, source: Source, rows: Rows) -> RowKernel {
    let inputs = vec![Cut::new(rows, image.image(), image.b), Cut::Own(2 * out.pixels()), Cut::Index];
    RowKernel::new(out.b, inputs, vec![out.image()], move || {
        let mut copy = Vec::new();
        move |i: &[&[f32]], [y, _]: [&mut [f32]; 2]| sample(isa, source, source.planes(i[0], &mut copy), i[1], y)
    })
}

for_each_isa! {
    fn sample<V: Vector>(source: Source, planes: &[f32], grid: &[f32], y: &mut [f32]) {
        let (pixels, plane) = (grid.len() / 2, source.plane());
        for (first, grid) in grid.chunks(2 * BLOCK).enumerate() {
            let (at, count) = (first * BLOCK, grid.len() / 2);
            let cells = source.cells(grid);
            for (values, y) in planes.chunks_exact(plane.h * plane.w).zip(y.chunks_exact_mut(pixels)) {
                let [top, bottom] = cells.gather(values);
                let mut sums = [0.0f32; BLOCK];
                for j in 0..BLOCK {
                    let (fx, fy) = (cells.fx[j], cells.fy[j]);
                    let above = top[j][0] * (1.0 - fx) + top[j][1] * fx;
                    let below = bottom[j][0] * (1.0 - fx) + bottom[j][1] * fx;
                    sums[j] = above * (1.0 - fy) + below * fy;
                }
                y[at..at + count].copy_from_slice(&sums[..count]);
            }
        }
    }
}
