//! dbeta[r] = sum over pixels of (g_x, g_y, -(g_x x + g_y y)) (u,v,1)^T / w with g = dgrid and (x, y) = grid.

use super::affine_grid::centres;
use super::projective_grid::project;
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

pub fn kernel(isa: Isa, rows: usize, h: usize, w: usize) -> RowKernel {
    let (us, vs) = (centres(w), centres(h));
    let inputs = vec![Cut::Own(9), Cut::Own(2 * h * w)];
    RowKernel::plain(rows, inputs, vec![9], move |i, [dbeta, _]| sums(isa, i[0], i[1], &us, &vs, dbeta))
}

for_each_isa! {
    fn sums<V: Vector>(b: &[f32], dgrid: &[f32], us: &[f32], vs: &[f32], dbeta: &mut [f32]) {
        let mut sums = [[0.0f64; 3]; 3];
        // A line at a time in f32, lines in f64.
        for (line, &v) in dgrid.chunks_exact(2 * us.len()).zip(vs) {
            // For each of (x, y, w) the sums times u and 1.
            let mut part = [[0.0f32; 2]; 3];
            for (g, &u) in line.chunks_exact(2).zip(us) {
                let at = project(b, u, v);
                let (gx, gy) = (g[0] * at.scale, g[1] * at.scale);
                let gw = if at.horizon { 0.0 } else { -(gx * at.x + gy * at.y) };
                for (part, d) in part.iter_mut().zip([gx, gy, gw]) {
                    part[0] += d * u;
                    part[1] += d;
                }
            }
            for (sums, part) in sums.iter_mut().zip(part) {
                let [by_u, by_1] = part.map(f64::from);
                sums[0] += by_u;
                sums[1] += by_1 * f64::from(v);
                sums[2] += by_1;
            }
        }
        for (to, sum) in dbeta.iter_mut().zip(sums.as_flattened()) {
            *to = *sum as f32;
        }
    }
}
