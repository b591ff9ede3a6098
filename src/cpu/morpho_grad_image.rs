//! dimage[r,c] = e (U + alpha (x U - V)), U and V the sums over the window q of a_q g(s-q) and a_q g(s-q) y(s-q) with
//! g = dy inverse.

use super::morpho_exp::LIMIT;
use super::row_map::RowMap;
use super::simd::{Isa, padded};
use super::window::{Padded, window_sums};
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// What a thread needs to go back through windows.
pub struct Back {
    isa: Isa,
    w: usize,
    g: Padded,
    gy: Padded,
    reversed: Vec<f32>,
    /// U and V, lines of whole vectors.
    pub u: Vec<f32>,
    pub v: Vec<f32>,
}

impl Back {
    pub fn new(isa: Isa, image: Map, kernel: usize) -> Self {
        let sums = || vec![0.0f32; image.h * padded(image.w)];
        let plane = || Padded::new(image, kernel, 0.0);
        Back { isa, w: image.w, g: plane(), gy: plane(), reversed: vec![0.0; kernel * kernel], u: sums(), v: sums() }
    }

    /// Computes U and V of a plane for the weights of its window.
    pub fn sums(&mut self, weights: &[f32], [y, inverse, dy]: [&[f32]; 3]) {
        let w = self.w;
        let from = dy.chunks_exact(w).zip(inverse.chunks_exact(w)).zip(y.chunks_exact(w));
        for ((g, gy), ((dy, inverse), y)) in self.g.lines_mut().zip(self.gy.lines_mut()).zip(from) {
            for ((g, gy), ((dy, inverse), y)) in g.iter_mut().zip(gy).zip(dy.iter().zip(inverse).zip(y)) {
                *g = dy * inverse;
                *gy = *g * y;
            }
        }
        self.reversed.iter_mut().zip(weights.iter().rev()).for_each(|(to, a)| *to = *a);
        window_sums(self.isa, &self.reversed, &self.g, &self.gy, &mut self.u, &mut self.v);
    }
}

/// Images `image` [S,C,H,W], windows of `kernel` x `kernel` pixels.
pub fn kernel(isa: Isa, image: Map, kernel: usize, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let [images, p, e, y, inverse, dy] = std::array::from_fn(|i| args.f32(i));
        let (index, dimage) = (args.u32(6), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let (pixels, w) = (image.pixels(), image.w);
        let planes = dimage.par_chunks_mut(pixels).enumerate();
        planes.for_each_init(
            || Back::new(isa, image, kernel),
            |back, (plane, dimage)| {
                let (r, c) = (plane / image.c, plane % image.c);
                let x = &images[(map.get(r) * image.c + c) * pixels..][..pixels];
                let [e, y, inverse, dy] = [e, y, inverse, dy].map(|t| &t[plane * pixels..][..pixels]);
                let p = &p[r * (1 + kernel * kernel)..][..1 + kernel * kernel];
                back.sums(&p[1..], [y, inverse, dy]);
                let sums = back.u.chunks_exact(padded(w)).zip(back.v.chunks_exact(padded(w)));
                let lines = dimage.chunks_exact_mut(w).zip(x.chunks_exact(w).zip(e.chunks_exact(w)));
                for ((dimage, (x, e)), (u, v)) in lines.zip(sums) {
                    for ((dx, (x, e)), (u, v)) in dimage.iter_mut().zip(x.iter().zip(e)).zip(u.iter().zip(v)) {
                        let alpha = if (p[0] * x).abs() < LIMIT { p[0] } else { 0.0 };
                        *dx = e * (u + alpha * (x * u - v));
                    }
                }
            },
        );
    })
}
