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
    RowKernel::new(out.b, inputs, vec![points], move || {
        let mut copy = Vec::new();
        move |i: &[&[f32]], [dgrid, _]: [&mut [f32]; 2]| {
            slopes(isa, source, source.planes(i[0], &mut copy), i[1], i[2], dgrid)
        }
    })
}

for_each_isa! {
    fn slopes<V: Vector>(source: Source, planes: &[f32], grid: &[f32], dy: &[f32], dgrid: &mut [f32]) {
        let (pixels, plane) = (grid.len() / 2, source.plane());
        for (first, (dgrid, grid)) in dgrid.chunks_mut(2 * BLOCK).zip(grid.chunks(2 * BLOCK)).enumerate() {
            let (at, count) = (first * BLOCK, grid.len() / 2);
            let cells = source.cells(grid);
            let (mut sx, mut sy) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
            for (values, dy) in planes.chunks_exact(plane.h * plane.w).zip(dy.chunks_exact(pixels)) {
                let [top, bottom] = cells.gather(values);
                let mut gradient = [0.0f32; BLOCK];
                gradient[..count].copy_from_slice(&dy[at..at + count]);
                for j in 0..BLOCK {
                    let ([a, b], [c, d]) = (top[j], bottom[j]);
                    sx[j] += gradient[j] * ((b - a) * (1.0 - cells.fy[j]) + (d - c) * cells.fy[j]);
                    sy[j] += gradient[j] * ((c - a) * (1.0 - cells.fx[j]) + (d - b) * cells.fx[j]);
                }
            }
            let mut slopes = [[0.0f32; 2]; BLOCK];
            for (j, slope) in slopes.iter_mut().enumerate() {
                *slope = [sx[j] * cells.dx[j], sy[j] * cells.dy[j]];
            }
            dgrid.copy_from_slice(&slopes.as_flattened()[..2 * count]);
        }
    }
}
