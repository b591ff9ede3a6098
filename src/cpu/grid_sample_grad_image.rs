//! dimage[r] = sum over output pixels of dy times the bilinear weights, scattered row by row.

use super::bilinear::Source;
use super::{Kernel, Map};
use rayon::prelude::*;

/// Gradients `out` [R,C,H,W] to images `image` [R,C,Hs,Ws].
pub fn kernel(image: Map, out: Map, source: Source) -> Kernel {
    Box::new(move |args| {
        let (grid, dy, dimage) = (args.f32(0), args.f32(1), args.out(0));
        let lines = dimage.par_chunks_mut(image.image()).zip(grid.par_chunks(2 * out.pixels())).enumerate();
        lines.for_each(|(r, (dimage, grid))| {
            let dy = &dy[r * out.image()..][..out.image()];
            dimage.fill(0.0);
            for (p, point) in grid.chunks_exact(2).enumerate() {
                let cell = source.cell(point[0], point[1]);
                let weights = cell.weights();
                for c in 0..out.c {
                    let gradient = dy[c * out.pixels() + p];
                    for (at, weight) in cell.corners.into_iter().zip(weights) {
                        dimage[c * image.pixels() + at] += gradient * weight;
                    }
                }
            }
        });
    })
}
