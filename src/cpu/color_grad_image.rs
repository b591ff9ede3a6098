//! dimage[r,c] = (1 + w) dy with (w, o) = beta[r,c].

use super::{Kernel, Map};
use rayon::prelude::*;

/// Images `image` [R,C,H,W].
pub fn kernel(image: Map) -> Kernel {
    Box::new(move |args| {
        let (beta, dy, dimage) = (args.f32(0), args.f32(1), args.out(0));
        let planes = dimage.par_chunks_mut(image.pixels()).zip(dy.par_chunks(image.pixels()));
        planes.zip(beta.par_chunks(2)).for_each(|((dimage, dy), b)| {
            let scale = 1.0 + b[0];
            for (dx, dy) in dimage.iter_mut().zip(dy) {
                *dx = scale * dy;
            }
        });
    })
}
