//! y[b,c] = mean over pixels. Channels last.

use super::{Kernel, Map};
use rayon::prelude::*;

pub fn kernel(map: Map) -> Kernel {
    Box::new(move |args| {
        let (x, y) = (args.f32(0), args.out(0));
        y.par_chunks_mut(map.c).zip(x.par_chunks(map.image())).for_each(|(y, image)| {
            y.fill(0.0);
            for pixel in image.chunks_exact(map.c) {
                for (sum, value) in y.iter_mut().zip(pixel) {
                    *sum += value;
                }
            }
            for sum in y {
                *sum /= map.pixels() as f32;
            }
        });
    })
}
