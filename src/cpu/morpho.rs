//! y[r,c] = sum over the window q of a_q x(i+q) e(i+q) / sum of a_q e(i+q); inverse = 1 / the second sum.

use super::Map;
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, padded};
use super::window::{Padded, window_sums};
use crate::tape::Rows;

/// Images `image` [S,C,H,W], R rows, windows of `kernel` x `kernel` pixels.
pub fn kernel(isa: Isa, r: usize, image: Map, kernel: usize, rows: Rows) -> RowKernel {
    let (item, pixels, w) = (image.image(), image.pixels(), image.w);
    let inputs = vec![Cut::new(rows, item, image.b), Cut::Own(1 + kernel * kernel), Cut::Own(item), Cut::Index];
    RowKernel::new(r, inputs, vec![item; 2], move || {
        let mut planes = Terms::new(image, kernel);
        let [mut u, mut v] = [(); 2].map(|()| vec![0.0f32; image.h * padded(w)]);
        move |i: &[&[f32]], [y, inverse]: [&mut [f32]; 2]| {
            let from = i[0].chunks_exact(pixels).zip(i[2].chunks_exact(pixels));
            let to = y.chunks_exact_mut(pixels).zip(inverse.chunks_exact_mut(pixels));
            for ((x, e), (y, inverse)) in from.zip(to) {
                planes.set(x, e);
                window_sums(isa, &i[1][1..], &planes.xe, &planes.e, &mut u, &mut v);
                let lines = y.chunks_exact_mut(w).zip(inverse.chunks_exact_mut(w));
                for ((y, inverse), (u, v)) in lines.zip(u.chunks_exact(padded(w)).zip(v.chunks_exact(padded(w)))) {
                    for ((y, inverse), (u, v)) in y.iter_mut().zip(inverse).zip(u.iter().zip(v)) {
                        *inverse = 1.0 / v;
                        *y = u / v;
                    }
                }
            }
        }
    })
}

/// x e and e of a plane, with margins of 0 and 1.
pub struct Terms {
    pub xe: Padded,
    pub e: Padded,
    w: usize,
}

impl Terms {
    pub fn new(image: Map, kernel: usize) -> Self {
        Terms { xe: Padded::new(image, kernel, 0.0), e: Padded::new(image, kernel, 1.0), w: image.w }
    }

    pub fn set(&mut self, x: &[f32], e: &[f32]) {
        let from = x.chunks_exact(self.w).zip(e.chunks_exact(self.w));
        for ((xe, padded_e), (x, e)) in self.xe.lines_mut().zip(self.e.lines_mut()).zip(from) {
            xe.iter_mut().zip(x.iter().zip(e)).for_each(|(xe, (x, e))| *xe = x * e);
            padded_e.copy_from_slice(e);
        }
    }
}
