//! y[b,p,c] = the largest or smallest x[b, s p + window - pad, c] inside the image. Channels last.

use super::{Kernel, Map};
use crate::tape::{ConvSpec, Extreme};
use rayon::prelude::*;

/// The part of a window that lies inside the image: first line and column, and the ends of both.
#[derive(Clone, Copy)]
pub struct Window {
    first: [usize; 2],
    end: [usize; 2],
}

impl Window {
    /// The window of `size` x `size` pixels at output pixel `p` of a map of `columns` columns, on image `x`.
    pub fn new(p: usize, columns: usize, x: Map, size: usize, spec: ConvSpec) -> Self {
        let start = [p / columns, p % columns].map(|at| at * spec.stride);
        let end = |i: usize, limit: usize| (start[i] + size - spec.pad).min(limit);
        Window { first: start.map(|at| at.saturating_sub(spec.pad)), end: [end(0, x.h), end(1, x.w)] }
    }

    /// Where its pixels begin in an image of `x`'s extents, line by line.
    pub fn pixels(self, x: Map) -> impl Iterator<Item = usize> {
        let columns = move |i: usize| (self.first[1]..self.end[1]).map(move |j| (i * x.w + j) * x.c);
        (self.first[0]..self.end[0]).flat_map(columns)
    }
}

pub fn kernel(x: Map, y: Map, kind: Extreme, window: usize, spec: ConvSpec) -> Kernel {
    Box::new(move |args| {
        let (input, output) = (args.f32(0), args.out(0));
        output.par_chunks_mut(y.image()).zip(input.par_chunks(x.image())).for_each(|(out, image)| {
            for (p, best) in out.chunks_exact_mut(y.c).enumerate() {
                let mut pixels = Window::new(p, y.w, x, window, spec).pixels(x).map(|at| &image[at..at + x.c]);
                // Less padding than window: there is a first pixel.
                pixels.by_ref().take(1).for_each(|pixel| best.copy_from_slice(pixel));
                for pixel in pixels {
                    let pairs = best.iter_mut().zip(pixel);
                    match kind {
                        Extreme::Max => pairs.for_each(|(best, &x)| *best = if x > *best { x } else { *best }),
                        Extreme::Min => pairs.for_each(|(best, &x)| *best = if x < *best { x } else { *best }),
                    }
                }
            }
        });
    })
}
