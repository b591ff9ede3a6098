//! y[r,c] = sum over the window q of a_q x(i+q) e(i+q) / sum of a_q e(i+q); inverse = 1 / the second sum.

use super::row_map::RowMap;
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// A plane with a margin, so that windows need no bounds.
pub struct Padded {
    values: Vec<f32>,
    /// Elements of a line with its margins.
    pub stride: usize,
    margin: usize,
    w: usize,
}

impl Padded {
    /// Planes of the size of `image` for windows of `kernel` pixels, the margin filled with `outside`.
    pub fn new(image: Map, kernel: usize, outside: f32) -> Self {
        let margin = kernel / 2;
        let stride = image.w + 2 * margin;
        Padded { values: vec![outside; stride * (image.h + 2 * margin)], stride, margin, w: image.w }
    }

    /// Replaces the plane, leaving the margin.
    pub fn set(&mut self, plane: impl Iterator<Item = f32>) {
        let lines = self.values.chunks_exact_mut(self.stride).skip(self.margin);
        let inside = lines.flat_map(|line| &mut line[self.margin..self.margin + self.w]);
        inside.zip(plane).for_each(|(to, value)| *to = value);
    }

    /// The `w` elements at line `i`, column `j` of the plane with its margin.
    pub fn line(&self, i: usize, j: usize) -> &[f32] {
        &self.values[i * self.stride + j..][..self.w]
    }
}

/// Images `image` [S,C,H,W], windows of `kernel` x `kernel` pixels.
pub fn kernel(image: Map, kernel: usize, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let [images, p, e] = [0, 1, 2].map(|i| args.f32(i));
        let (index, y, inverse) = (args.u32(3), args.out(0), args.out(1));
        let map = RowMap::new(rows, image.b, index);
        let pixels = image.pixels();
        let planes = y.par_chunks_mut(pixels).zip(inverse.par_chunks_mut(pixels)).zip(e.par_chunks(pixels));
        let scratch = || (Padded::new(image, kernel, 0.0), Padded::new(image, kernel, 1.0));
        planes.enumerate().for_each_init(scratch, |(xe, padded_e), (plane, ((y, inverse), e))| {
            let (r, c) = (plane / image.c, plane % image.c);
            let x = &images[(map.get(r) * image.c + c) * pixels..][..pixels];
            xe.set(x.iter().zip(e).map(|(x, e)| x * e));
            padded_e.set(e.iter().copied());
            let weights = &p[r * (1 + kernel * kernel) + 1..][..kernel * kernel];
            let lines = y.chunks_exact_mut(image.w).zip(inverse.chunks_exact_mut(image.w));
            for (i, (numerator, denominator)) in lines.enumerate() {
                numerator.fill(0.0);
                denominator.fill(0.0);
                for (q, a) in weights.iter().enumerate() {
                    let (di, dj) = (q / kernel, q % kernel);
                    let terms = xe.line(i + di, dj).iter().zip(padded_e.line(i + di, dj));
                    for ((n, d), (xe, e)) in numerator.iter_mut().zip(denominator.iter_mut()).zip(terms) {
                        *n += a * xe;
                        *d += a * e;
                    }
                }
                for (y, inverse) in numerator.iter_mut().zip(denominator) {
                    *y /= *inverse;
                    *inverse = 1.0 / *inverse;
                }
            }
        });
    })
}
