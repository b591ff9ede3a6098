//! dx[b,c,p] = dy[b,c] / (H W). Channels last.

use super::{Kernel, Map};
use rayon::prelude::*;

pub fn kernel(map: Map) -> Kernel {
    Box::new(move |args| {
        let (dy, dx) = (args.f32(0), args.out(0));
        let scale = 1.0 / map.pixels() as f32;
        dx.par_chunks_mut(map.image()).zip(dy.par_chunks(map.c)).for_each(|(image, dy)| {
            for pixel in image.chunks_exact_mut(map.c) {
                for (dx, dy) in pixel.iter_mut().zip(dy) {
                    *dx = dy * scale;
                }
            }
        });
    })
}
