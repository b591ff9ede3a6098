//! dw[o,i,window] = sum over images and output pixels p of dy[b,o,p] x[b,i, s p + window - pad].
//!
//! The rows of the register tile are (window column, input channel), neighbours in memory for one line of the window; its
//! columns are 16 output channels. A tile sums over a strip of output pixels that stays in the first cache while all tiles
//! read it. Images are summed in a fixed number of chunks, then the chunks in order; a task is one chunk of images for
//! one block of columns.

use super::conv2d::Weights;
use super::layout::Border;
use super::outer_products::{Pixels, accumulate};
use super::partial_sums::{images_of_chunk, sum_chunks};
use super::simd::{COLUMNS, Isa};
use super::{Kernel, Map};
use crate::tape::ConvSpec;
use rayon::prelude::*;

/// Numbers of inputs and gradients that are worked on at once, meant to stay in the first cache.
const NEAR: usize = 6400;

pub fn kernel(isa: Isa, x: Map, w: Weights, dy: Map, spec: ConvSpec) -> Kernel {
    let border = Border::even(spec.pad);
    let wide = border.width(x.w) * x.c;
    let padded_image = border.len(x.h, x.w, x.c);
    let per_chunk = images_of_chunk(w, x.b);
    let blocks = w.co.div_ceil(COLUMNS);
    // Strips of nearly equal size.
    let strips = dy.h.div_ceil(lines_of_strip(wide, w, dy, spec));
    let strips: Vec<[usize; 2]> = (0..strips).map(|i| [i, i + 1].map(|i| i * dy.h / strips)).collect();
    Box::new(move |args| {
        let (input, gradient) = (args.f32(0), args.f32(1));
        let (output, partial) = (args.out(0), args.out(1));
        let size = w.inner() * COLUMNS;
        let used = x.b.div_ceil(per_chunk);
        partial[..used * blocks * size].par_chunks_mut(size).enumerate().for_each(|(task, partial)| {
            let (first, column) = (task / blocks * per_chunk, task % blocks * COLUMNS);
            let images = first..(first + per_chunk).min(x.b);
            // The tile reads 16 columns: where there are fewer, from a copy with zeros beside them.
            let width = COLUMNS.min(w.co - column);
            let whole = width == COLUMNS;
            let mut widened = if whole { Vec::new() } else { vec![0.0; dy.pixels() * COLUMNS] };
            let mut padded = vec![0.0; padded_image];
            partial.fill(0.0);
            for b in images {
                border.copy_into(&input[b * x.image()..][..x.image()], x.h, x.w, x.c, &mut padded);
                let gradient = &gradient[b * dy.image()..][..dy.image()];
                for (to, from) in widened.chunks_exact_mut(COLUMNS).zip(gradient.chunks_exact(w.co)) {
                    to[..width].copy_from_slice(&from[column..][..width]);
                }
                let (right, b_step) = if whole { (&gradient[column..], w.co) } else { (&widened[..], COLUMNS) };
                for &[start, end] in &strips {
                    let strip = Pixels {
                        kh: w.kh,
                        rows: w.kw * w.ci,
                        wide,
                        lines: end - start,
                        len: dy.w,
                        a_line: spec.stride * wide,
                        a_step: spec.stride * x.c,
                        b_line: dy.w * b_step,
                        b_step,
                        add: true,
                    };
                    let (left, right) = (&padded[start * strip.a_line..], &right[start * strip.b_line..]);
                    accumulate(isa, strip, left, right, partial);
                }
            }
        });
        sum_chunks(partial, used, w, output);
    })
}

/// Lines of output pixels that keep what they need near.
fn lines_of_strip(wide: usize, w: Weights, dy: Map, spec: ConvSpec) -> usize {
    (NEAR.saturating_sub(w.kh * wide) / (spec.stride * wide + dy.w * COLUMNS)).clamp(1, dy.h)
}
