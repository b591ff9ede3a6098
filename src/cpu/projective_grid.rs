//! grid[r,p] = (x, y) / w, (x, y, w) = (identity + beta) (u,v,1) at the pixel centres.

use super::Kernel;
use super::affine_grid::centre;
use rayon::prelude::*;

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

pub fn kernel(h: usize, w: usize) -> Kernel {
    Box::new(move |args| {
        let (beta, grid) = (args.f32(0), args.out(0));
        grid.par_chunks_mut(2 * h * w).zip(beta.par_chunks(9)).for_each(|(grid, b)| {
            for (p, point) in grid.chunks_exact_mut(2).enumerate() {
                let at = project(b, centre(p % w, w), centre(p / w, h));
                point.copy_from_slice(&[at.x, at.y]);
            }
        });
    })
}
