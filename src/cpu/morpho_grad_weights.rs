//! dp[r,1+q] = sum over channels and pixels i of g(i) e(i+q) (x(i+q) - y(i)), g = dy inverse; dp[r,0] = sum over q of a_q
//! times the same sum with x(i+q) as another factor.

use super::morpho::Padded;
use super::morpho_exp::LIMIT;
use super::row_map::RowMap;
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Images `image` [S,C,H,W], windows of `kernel` x `kernel` pixels.
pub fn kernel(image: Map, kernel: usize, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let [images, p, e, y, inverse, dy] = std::array::from_fn(|i| args.f32(i));
        let (index, dp) = (args.u32(6), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let (pixels, width) = (image.pixels(), 1 + kernel * kernel);
        let scratch = || {
            // x, e, and x again that counts as 0 where the exponent was limited.
            let planes = [0.0, 1.0, 0.0].map(|outside| Padded::new(image, kernel, outside));
            (planes, vec![0.0f32; pixels], vec![0.0f32; image.w], vec![0.0f32; image.w])
        };
        let lines = dp.par_chunks_mut(width).zip(p.par_chunks(width)).enumerate();
        lines.for_each_init(scratch, |([px, pe, factor], g, sum, sum_x), (r, (dp, p))| {
            dp.fill(0.0);
            for c in 0..image.c {
                let at = (r * image.c + c) * pixels;
                let x = &images[(map.get(r) * image.c + c) * pixels..][..pixels];
                let [e, y, inverse, dy] = [e, y, inverse, dy].map(|t| &t[at..][..pixels]);
                px.set(x.iter().copied());
                pe.set(e.iter().copied());
                factor.set(x.iter().map(|x| if (p[0] * x).abs() < LIMIT { *x } else { 0.0 }));
                for (g, (dy, inverse)) in g.iter_mut().zip(dy.iter().zip(inverse)) {
                    *g = dy * inverse;
                }
                for q in 0..kernel * kernel {
                    let (di, dj) = (q / kernel, q % kernel);
                    // Sums by column first.
                    sum.fill(0.0);
                    sum_x.fill(0.0);
                    for (i, (g, y)) in g.chunks_exact(image.w).zip(y.chunks_exact(image.w)).enumerate() {
                        let (x, e, factor) = (px.line(i + di, dj), pe.line(i + di, dj), factor.line(i + di, dj));
                        for j in 0..image.w {
                            let term = g[j] * e[j] * (x[j] - y[j]);
                            sum[j] += term;
                            sum_x[j] += term * factor[j];
                        }
                    }
                    dp[1 + q] += sum.iter().sum::<f32>();
                    dp[0] += p[1 + q] * sum_x.iter().sum::<f32>();
                }
            }
        });
    })
}
