//! dbeta[r] = sum over pixels of dgrid (u,v,1)^T.

use super::affine_grid::centres;
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

pub fn kernel(isa: Isa, rows: usize, h: usize, w: usize) -> RowKernel {
    let (us, vs) = (centres(w), centres(h));
    RowKernel::plain(rows, vec![Cut::Own(2 * h * w)], vec![6], move |i, [dbeta, _]| sums(isa, i[0], &us, &vs, dbeta))
}

for_each_isa! {
    fn sums<V: Vector>(dgrid: &[f32], us: &[f32], vs: &[f32], dbeta: &mut [f32]) {
        let mut sums = [0.0f64; 6];
        // A line at a time in f32, lines in f64.
        for (line, &v) in dgrid.chunks_exact(2 * us.len()).zip(vs) {
            let mut part = [0.0f32; 4];
            for (point, u) in line.chunks_exact(2).zip(us) {
                part[0] += point[0] * u;
                part[1] += point[0];
                part[2] += point[1] * u;
                part[3] += point[1];
            }
            let [xu, x, yu, y] = part.map(f64::from);
            let v = f64::from(v);
            for (sum, term) in sums.iter_mut().zip([xu, x * v, x, yu, y * v, y]) {
                *sum += term;
            }
        }
        for (to, sum) in dbeta.iter_mut().zip(sums) {
            *to = sum as f32;
        }
    }
}
