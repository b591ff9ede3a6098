//! dp[r,1+q] = sum over channels and pixels i of g(i) e(i+q) (x(i+q) - y(i)), g = dy inverse; dp[r,0] = sum over pixels of
//! x e (x U - V), U and V as in `morpho_grad_image`, leaving out pixels whose exponent was limited.

use super::Map;
use super::morpho::Terms;
use super::morpho_exp::LIMIT;
use super::morpho_grad_image::{Back, cuts};
use super::rows::RowKernel;
use super::simd::{Isa, LEN, padded};
use super::window::window_products;
use crate::tape::Rows;

/// Images `image` [S,C,H,W], R rows, windows of `kernel` x `kernel` pixels.
pub fn kernel(isa: Isa, r: usize, image: Map, kernel: usize, rows: Rows) -> RowKernel {
    let (pixels, w) = (image.pixels(), image.w);
    RowKernel::new(r, cuts(image, kernel, rows), vec![1 + kernel * kernel], move || {
        let (mut back, mut terms) = (Back::new(isa, image, kernel), Terms::new(image, kernel));
        let [mut g, mut padded_y] = [(); 2].map(|()| vec![0.0f32; image.h * padded(w)]);
        move |i: &[&[f32]], [dp, _]: [&mut [f32]; 2]| {
            let p = i[1];
            dp.fill(0.0);
            for c in 0..image.c {
                let [x, e, y, inverse, dy] = [0, 2, 3, 4, 5].map(|k| &i[k][c * pixels..][..pixels]);
                terms.set(x, e);
                let to = g.chunks_exact_mut(padded(w)).zip(padded_y.chunks_exact_mut(padded(w)));
                let from = dy.chunks_exact(w).zip(inverse.chunks_exact(w)).zip(y.chunks_exact(w));
                for ((g, padded_y), ((dy, inverse), y)) in to.zip(from) {
                    g.iter_mut().zip(dy.iter().zip(inverse)).for_each(|(g, (dy, inverse))| *g = dy * inverse);
                    padded_y[..w].copy_from_slice(y);
                }
                window_products(isa, &g, &padded_y, &terms.xe, &terms.e, &mut dp[1..]);

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
        }
    })
}
