//! y[r,c] = sum over the window q of a_q x(i+q) e(i+q) / sum of a_q e(i+q); inverse = 1 / the second sum.

use super::row_map::RowMap;
use super::simd::{Isa, padded};
use super::window::{Padded, window_sums};
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Images `image` [S,C,H,W], windows of `kernel` x `kernel` pixels.
pub fn kernel(isa: Isa, image: Map, kernel: usize, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let [images, p, e] = [0, 1, 2].map(|i| args.f32(i));
        let (index, y, inverse) = (args.u32(3), args.out(0), args.out(1));
        let map = RowMap::new(rows, image.b, index);
        let (pixels, w) = (image.pixels(), image.w);
        let planes = y.par_chunks_mut(pixels).zip(inverse.par_chunks_mut(pixels)).zip(e.par_chunks(pixels));
        let sums = vec![0.0f32; image.h * padded(w)];
        let scratch = || (Padded::new(image, kernel, 0.0), Padded::new(image, kernel, 1.0), sums.clone(), sums.clone());
        planes.enumerate().for_each_init(scratch, |(xe, padded_e, u, v), (plane, ((y, inverse), e))| {
            let (r, c) = (plane / image.c, plane % image.c);
            let x = &images[(map.get(r) * image.c + c) * pixels..][..pixels];
            let from = x.chunks_exact(w).zip(e.chunks_exact(w));
            for ((xe, padded_e), (x, e)) in xe.lines_mut().zip(padded_e.lines_mut()).zip(from) {
                xe.iter_mut().zip(x.iter().zip(e)).for_each(|(xe, (x, e))| *xe = x * e);
                padded_e.copy_from_slice(e);
            }
            let weights = &p[r * (1 + kernel * kernel) + 1..][..kernel * kernel];
            window_sums(isa, weights, xe, padded_e, u, v);
            let to = y.chunks_exact_mut(w).zip(inverse.chunks_exact_mut(w));
            for ((y, inverse), (u, v)) in to.zip(u.chunks_exact(padded(w)).zip(v.chunks_exact(padded(w)))) {
                for ((y, inverse), (u, v)) in y.iter_mut().zip(inverse).zip(u.iter().zip(v)) {
                    *inverse = 1.0 / v;
                    *y = u / v;
                }
            }
        });
    })
}
