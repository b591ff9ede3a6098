//! grid[r,p] = (identity + beta) (u,v,1) at the pixel centres.

use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

/// Centre of pixel `i` of `size` in [-1,1].
pub fn centre(i: usize, size: usize) -> f32 {
    (2 * i + 1) as f32 / size as f32 - 1.0
}

/// Centres of all pixels along a side.
pub fn centres(size: usize) -> Vec<f32> {
    (0..size).map(|i| centre(i, size)).collect()
}

pub fn kernel(isa: Isa, rows: usize, h: usize, w: usize) -> RowKernel {
    let (us, vs) = (centres(w), centres(h));
    RowKernel::plain(rows, vec![Cut::Own(6)], vec![2 * h * w], move |i, [grid, _]| fill(isa, i[0], &us, &vs, grid))
}

for_each_isa! {
    fn fill<V: Vector>(b: &[f32], us: &[f32], vs: &[f32], grid: &mut [f32]) {
        let theta = [1.0 + b[0], b[1], b[2], b[3], 1.0 + b[4], b[5]];
        for (line, v) in grid.chunks_exact_mut(2 * us.len()).zip(vs) {
            for (point, u) in line.chunks_exact_mut(2).zip(us) {
                point[0] = theta[0] * u + theta[1] * v + theta[2];
                point[1] = theta[3] * u + theta[4] * v + theta[5];
            }
        }
    }
}
