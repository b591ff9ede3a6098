//! dw[o,i,window] = sum over images and output pixels p of dy[b,o,p] x[b,i, s p + window - pad].
//!
//! The rows of the register tile are (window column, input channel), neighbours in memory for one line of the window; its
//! columns are 16 output channels. A tile sums over a strip of output pixels that stays in the first cache while all tiles
//! read it. Images are summed in a fixed number of chunks, then the chunks in order; a task is one chunk of images for
//! one block of columns.

use super::conv2d::Weights;
use super::layout::Border;
use super::outer_products::{Strip, accumulate};
use super::simd::{COLUMNS, Isa};
use super::{Kernel, Map};
use crate::tape::ConvSpec;
use rayon::prelude::*;

/// Partial sums at most; fixed, so that the result does not depend on the number of threads.
const CHUNKS: usize = 16;
/// Numbers of all partial sums together. Large weights have many blocks of columns to share out and need few chunks.
const PARTIAL: usize = 1 << 22;
/// Numbers of inputs and gradients that are worked on at once, meant to stay in the first cache.
const NEAR: usize = 6400;

/// Chunks of images: at most so many, that their partial sums stay within bounds.
fn chunks(w: Weights, images: usize) -> usize {
    CHUNKS.min(images).min(PARTIAL / partial(w)).max(1)
}

/// Images of a chunk.
pub fn chunk(w: Weights, images: usize) -> usize {
    images.div_ceil(chunks(w, images))
}

/// Numbers of one partial sum, [block][window][Ci][16].
fn partial(w: Weights) -> usize {
    w.inner() * w.co.next_multiple_of(COLUMNS)
}

/// Numbers of all partial sums.
pub fn workspace(w: Weights, images: usize) -> usize {
    chunks(w, images) * partial(w)
}

pub fn kernel(isa: Isa, x: Map, w: Weights, dy: Map, spec: ConvSpec) -> Kernel {
    let border = Border::even(spec.pad);
    let wide = border.width(x.w) * x.c;
    let padded_image = border.len(x.h, x.w, x.c);
    let per_chunk = chunk(w, x.b);
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
                    let strip = Strip {
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

/// Partial sums [chunk][block][window][Ci][16] of `used` chunks -> [Co,Ci,window].
pub fn sum_chunks(partial: &[f32], used: usize, w: Weights, output: &mut [f32]) {
    let (blocks, size) = (w.co.div_ceil(COLUMNS), w.inner() * COLUMNS);
    output.par_chunks_mut(w.inner() * COLUMNS).enumerate().for_each(|(block, filters)| {
        let window = w.kh * w.kw;
        for n in 0..w.inner() {
            let mut total = [0.0f32; COLUMNS];
            for chunk in 0..used {
                let at = (chunk * blocks + block) * size + (n % window * w.ci + n / window) * COLUMNS;
                total.iter_mut().zip(&partial[at..at + COLUMNS]).for_each(|(total, part)| *total += part);
            }
            filters[n..].iter_mut().step_by(w.inner()).zip(total).for_each(|(to, total)| *to = total);
        }
    });
}

/// Lines of output pixels that keep what they need near.
fn lines_of_strip(wide: usize, w: Weights, dy: Map, spec: ConvSpec) -> usize {
    (NEAR.saturating_sub(w.kh * wide) / (spec.stride * wide + dy.w * COLUMNS)).clamp(1, dy.h)
}
