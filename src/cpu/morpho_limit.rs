//! y[r,c] = the largest (alpha > 0) or smallest (alpha < 0) x(i+q) over the window positions q with a_q > 1/2, over the
//! centre if there are none; with alpha = 0 the mean sum a_q x(i+q) / sum a_q.

use super::row_map::RowMap;
use super::window::Padded;
use super::{Kernel, Map};
use crate::tape::Rows;
use rayon::prelude::*;

/// Images `image` [S,C,H,W], windows of `kernel` x `kernel` pixels.
pub fn kernel(image: Map, kernel: usize, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let (images, p, index, y) = (args.f32(0), args.f32(1), args.u32(2), args.out(0));
        let map = RowMap::new(rows, image.b, index);
        let pixels = image.pixels();
        let planes = y.par_chunks_mut(pixels).enumerate();
        planes.for_each_init(
            || Padded::new(image, kernel, 0.0),
            |padded, (plane, y)| {
                let (r, c) = (plane / image.c, plane % image.c);
                let x = &images[(map.get(r) * image.c + c) * pixels..][..pixels];
                padded.lines_mut().zip(x.chunks_exact(image.w)).for_each(|(to, x)| to.copy_from_slice(x));
                let [alpha, weights @ ..] = &p[r * (1 + kernel * kernel)..][..1 + kernel * kernel] else { return };
                let mut shape: Vec<usize> = (0..weights.len()).filter(|&q| weights[q] > 0.5).collect();
                if shape.is_empty() {
                    shape.push(weights.len() / 2);
                }
                let total: f32 = weights.iter().sum();
                for (i, y) in y.chunks_exact_mut(image.w).enumerate() {
                    let line = |q: usize| padded.line(i + q / kernel, q % kernel);
                    if *alpha == 0.0 {
                        y.fill(0.0);
                        for (q, a) in weights.iter().enumerate() {
                            y.iter_mut().zip(line(q)).for_each(|(y, x)| *y += a * x);
                        }
                        y.iter_mut().for_each(|y| *y /= total);
                        continue;
                    }
                    y.copy_from_slice(line(shape[0]));
                    for &q in &shape[1..] {
                        let pairs = y.iter_mut().zip(line(q));
                        if *alpha > 0.0 {
                            pairs.for_each(|(y, &x)| *y = if x > *y { x } else { *y });
                        } else {
                            pairs.for_each(|(y, &x)| *y = if x < *y { x } else { *y });
                        }
                    }
                }
            },
        );
    })
}
