//! dp[r,1+q] = sum over channels and pixels i of g(i) e(i+q) (x(i+q) - y(i)), g = dy inverse; dp[r,0] = sum over pixels of
//! x e (x U - V), U and V as in `morpho_grad_image`, leaving out pixels whose exponent was limited.

use super::morpho_exp::LIMIT;
use super::morpho_grad_image::Back;
use super::row_map::RowMap;
use super::simd::{Isa, LEN, padded};
use super::window::{Padded, window_products};
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Images `image` [S,C,H,W], windows of `kernel` x `kernel` pixels.
pub fn kernel(isa: Isa, image: Map, kernel: usize, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let [images, p, e, y, inverse, dy] = std::array::from_fn(|i| args.f32(i));
        let (index, dp) = (args.u32(6), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let (pixels, w, width) = (image.pixels(), image.w, 1 + kernel * kernel);
        let lines = vec![0.0f32; image.h * padded(w)];
        let scratch = || {
            let planes = [0.0, 1.0].map(|outside| Padded::new(image, kernel, outside));
            (Back::new(isa, image, kernel), planes, lines.clone(), lines.clone())
        };
        let rows = dp.par_chunks_mut(width).zip(p.par_chunks(width)).enumerate();
        rows.for_each_init(scratch, |(back, [xe, padded_e], g, padded_y), (r, (dp, p))| {
            dp.fill(0.0);
            for c in 0..image.c {
                let at = (r * image.c + c) * pixels;
                let x = &images[(map.get(r) * image.c + c) * pixels..][..pixels];
                let [e, y, inverse, dy] = [e, y, inverse, dy].map(|t| &t[at..][..pixels]);
                let from = x.chunks_exact(w).zip(e.chunks_exact(w));
                for ((xe, padded_e), (x, e)) in xe.lines_mut().zip(padded_e.lines_mut()).zip(from) {
                    xe.iter_mut().zip(x.iter().zip(e)).for_each(|(xe, (x, e))| *xe = x * e);
                    padded_e.copy_from_slice(e);
                }
                let to = g.chunks_exact_mut(padded(w)).zip(padded_y.chunks_exact_mut(padded(w)));
                let from = dy.chunks_exact(w).zip(inverse.chunks_exact(w)).zip(y.chunks_exact(w));
                for ((g, padded_y), ((dy, inverse), y)) in to.zip(from) {
                    g.iter_mut().zip(dy.iter().zip(inverse)).for_each(|(g, (dy, inverse))| *g = dy * inverse);
                    padded_y[..w].copy_from_slice(y);
                }
                window_products(isa, g, padded_y, xe, padded_e, &mut dp[1..]);

                back.sums(&p[1..], [y, inverse, dy]);
                let sums = back.u.chunks_exact(padded(w)).zip(back.v.chunks_exact(padded(w)));
                let mut total = [0.0f32; LEN];
                for ((x, e), (u, v)) in x.chunks_exact(w).zip(e.chunks_exact(w)).zip(sums) {
                    for (j, (x, e)) in x.iter().zip(e).enumerate() {
                        let factor = if (p[0] * x).abs() < LIMIT { *x } else { 0.0 };
                        total[j % LEN] += factor * e * (x * u[j] - v[j]);
                    }
                }
                dp[0] += total.iter().sum::<f32>();
            }
        });
    })
}
