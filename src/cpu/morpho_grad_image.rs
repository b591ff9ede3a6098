//! dimage[r,c] = e (U + alpha (x U - V)), U and V the sums over the window q of a_q g(s-q) and a_q g(s-q) y(s-q) with
//! g = dy inverse.

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
        let (index, dimage) = (args.u32(6), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let pixels = image.pixels();
        let scratch = || {
            let padded = || Padded::new(image, kernel, 0.0);
            (padded(), padded(), vec![0.0f32; image.w], vec![0.0f32; image.w])
        };
        let planes = dimage.par_chunks_mut(pixels).enumerate();
        planes.for_each_init(scratch, |(g, gy, u, v), (plane, dimage)| {
            let (r, c) = (plane / image.c, plane % image.c);
            let x = &images[(map.get(r) * image.c + c) * pixels..][..pixels];
            let [e, y, inverse, dy] = [e, y, inverse, dy].map(|t| &t[plane * pixels..][..pixels]);
            g.set(dy.iter().zip(inverse).map(|(dy, inverse)| dy * inverse));
            gy.set(dy.iter().zip(inverse).zip(y).map(|((dy, inverse), y)| dy * inverse * y));
            let p = &p[r * (1 + kernel * kernel)..][..1 + kernel * kernel];
            let lines = dimage.chunks_exact_mut(image.w).zip(x.chunks_exact(image.w).zip(e.chunks_exact(image.w)));
            for (i, (dimage, (x, e))) in lines.enumerate() {
                u.fill(0.0);
                v.fill(0.0);
                for (q, a) in p[1..].iter().enumerate() {
                    let (di, dj) = (kernel - 1 - q / kernel, kernel - 1 - q % kernel);
                    let terms = g.line(i + di, dj).iter().zip(gy.line(i + di, dj));
                    for ((u, v), (g, gy)) in u.iter_mut().zip(v.iter_mut()).zip(terms) {
                        *u += a * g;
                        *v += a * gy;
                    }
                }
                for ((dx, (x, e)), (u, v)) in dimage.iter_mut().zip(x.iter().zip(e)).zip(u.iter().zip(v.iter())) {
                    let alpha = if (p[0] * x).abs() < LIMIT { p[0] } else { 0.0 };
                    *dx = e * (u + alpha * (x * u - v));
                }
            }
        });
    })
}
