//! grid[r,p] = (x, y) / w, (x, y, w) = (identity + beta) (u,v,1) at the pixel centres.

use super::affine_grid::centres;
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

/// The image of a point under a homography.
pub struct Projected {
    pub x: f32,
    pub y: f32,
    /// 1 / w, or 1 on the horizon.
    pub scale: f32,
    /// Whether the point is on the horizon, where the scale is a constant.
    pub horizon: bool,
}

/// (x, y) / w with (x, y, w) = H (u, v, 1), H = identity + `b`. Where w is no more than 1e-8 from zero it counts as 1,
/// so that no coordinate is infinite. In f64, since next to the horizon the division magnifies what rounding leaves of w.
#[inline(always)]
pub fn project(b: &[f32], u: f32, v: f32) -> Projected {
    let (u, v) = (f64::from(u), f64::from(v));
    let b: [f64; 9] = std::array::from_fn(|i| f64::from(b[i]));
    let w = 1.0 + (b[6] * u + b[7] * v + b[8]);
    let horizon = w.abs() <= 1e-8;
    let scale = if horizon { 1.0 } else { 1.0 / w };
    let x = ((u + (b[0] * u + b[1] * v + b[2])) * scale) as f32;
    let y = ((v + (b[3] * u + b[4] * v + b[5])) * scale) as f32;
    let scale = scale as f32;
    Projected { x, y, scale, horizon }
}

pub fn kernel(isa: Isa, rows: usize, h: usize, w: usize) -> RowKernel {
    let (us, vs) = (centres(w), centres(h));
    RowKernel::plain(rows, vec![Cut::Own(9)], vec![2 * h * w], move |i, [grid, _]| fill(isa, i[0], &us, &vs, grid))
}

for_each_isa! {
    fn fill<V: Vector>(b: &[f32], us: &[f32], vs: &[f32], grid: &mut [f32]) {
        for (line, v) in grid.chunks_exact_mut(2 * us.len()).zip(vs) {
            for (point, u) in line.chunks_exact_mut(2).zip(us) {
                let at = project(b, *u, *v);
                point[0] = at.x;
                point[1] = at.y;
            }
        }
    }
}
