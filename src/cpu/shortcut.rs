//! Every s-th pixel, its channels centred between zeros. Channels last.

use super::{Kernel, Map};
use rayon::prelude::*;

pub fn kernel(x: Map, y: Map, stride: usize) -> Kernel {
    let before = (y.c - x.c) / 2;
    Box::new(move |args| {
        let (input, output) = (args.f32(0), args.out(0));
        output.par_chunks_mut(y.image()).zip(input.par_chunks(x.image())).for_each(|(out, image)| {
            for (p, pixel) in out.chunks_exact_mut(y.c).enumerate() {
                let from = ((p / y.w * stride) * x.w + p % y.w * stride) * x.c;
                pixel.fill(0.0);
                pixel[before..before + x.c].copy_from_slice(&image[from..from + x.c]);
            }
        });
    })
}
