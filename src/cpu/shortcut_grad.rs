//! The transpose of the shortcut: kept pixels take the gradient of their channels. Channels last.

use super::{Kernel, Map};
use rayon::prelude::*;

pub fn kernel(dx: Map, dy: Map, stride: usize) -> Kernel {
    let before = (dy.c - dx.c) / 2;
    Box::new(move |args| {
        let (gradient, output) = (args.f32(0), args.out(0));
        output.par_chunks_mut(dx.image()).zip(gradient.par_chunks(dy.image())).for_each(|(out, image)| {
            out.fill(0.0);
            for (p, pixel) in image.chunks_exact(dy.c).enumerate() {
                let to = ((p / dy.w * stride) * dx.w + p % dy.w * stride) * dx.c;
                out[to..to + dx.c].copy_from_slice(&pixel[before..before + dx.c]);
            }
        });
    })
}
