//! dimage[r,c] = e (U + alpha (x U - V)), U and V the sums over the window q of a_q g(s-q) and a_q g(s-q) y(s-q) with
//! g = dy inverse.

use super::Map;
use super::morpho_exp::LIMIT;
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, padded};
use super::window::{Padded, window_sums};
use crate::tape::Rows;

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

/// How the operands of the gradients of morphology are cut.
pub fn cuts(image: Map, kernel: usize, rows: Rows) -> Vec<Cut> {
    let item = image.image();
    let [image, p] = [Cut::new(rows, item, image.b), Cut::Own(1 + kernel * kernel)];
    [image, p].into_iter().chain([Cut::Own(item); 4]).chain([Cut::Index]).collect()
}

/// Images `image` [S,C,H,W], R rows, windows of `kernel` x `kernel` pixels.
pub fn kernel(isa: Isa, r: usize, image: Map, kernel: usize, rows: Rows) -> RowKernel {
    let (pixels, w) = (image.pixels(), image.w);
    RowKernel::new(r, cuts(image, kernel, rows), vec![image.image()], move || {
        let mut back = Back::new(isa, image, kernel);
        move |i: &[&[f32]], [dimage, _]: [&mut [f32]; 2]| {
            let p = i[1];
            for (c, dimage) in dimage.chunks_exact_mut(pixels).enumerate() {
                let [x, e, y, inverse, dy] = [0, 2, 3, 4, 5].map(|k| &i[k][c * pixels..][..pixels]);
                back.sums(&p[1..], [y, inverse, dy]);
                let sums = back.u.chunks_exact(padded(w)).zip(back.v.chunks_exact(padded(w)));
                let lines = dimage.chunks_exact_mut(w).zip(x.chunks_exact(w).zip(e.chunks_exact(w)));
                for ((dimage, (x, e)), (u, v)) in lines.zip(sums) {
                    for ((dx, (x, e)), (u, v)) in dimage.iter_mut().zip(x.iter().zip(e)).zip(u.iter().zip(v)) {
                        let alpha = if (p[0] * x).abs() < LIMIT { p[0] } else { 0.0 };
                        *dx = e * (u + alpha * (x * u - v));
                    }
                }
            }
        }
    })
}
