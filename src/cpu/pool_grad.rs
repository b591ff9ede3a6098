//! dx[b,q,c] = sum of dy[b,p,c] over the windows p whose first position with x = y is q, in the order of p. Channels last.

use super::pool::Window;
use super::{Kernel, Map};
use crate::tape::ConvSpec;
use rayon::prelude::*;

pub fn kernel(dx: Map, dy: Map, window: usize, spec: ConvSpec) -> Kernel {
    Box::new(move |args| {
        let ([input, extreme, gradient], output) = ([0, 1, 2].map(|i| args.f32(i)), args.out(0));
        let maps = extreme.par_chunks(dy.image()).zip(gradient.par_chunks(dy.image()));
        let images = output.par_chunks_mut(dx.image()).zip(input.par_chunks(dx.image())).zip(maps);
        images.for_each_init(
            || vec![0.0f32; dy.c],
            |left, ((out, x), (y, gradient))| {
                out.fill(0.0);
                for (p, (y, gradient)) in y.chunks_exact(dy.c).zip(gradient.chunks_exact(dy.c)).enumerate() {
                    // What no position has taken yet.
                    left.copy_from_slice(gradient);
                    for at in Window::new(p, dy.w, dx, window, spec).pixels(dx) {
                        let pixel = out[at..at + dx.c].iter_mut().zip(&x[at..at + dx.c]);
                        for ((dx, x), (y, left)) in pixel.zip(y.iter().zip(left.iter_mut())) {
                            let taken = x == y;
                            *dx += if taken { *left } else { 0.0 };
                            *left = if taken { 0.0 } else { *left };
                        }
                    }
                }
            },
        );
    })
}
