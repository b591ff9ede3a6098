//! dw[o,i,window] = sum over images and output pixels p of dy[b,o,p] x[b,i, s p + window - pad].
//!
//! The rows of the register tile are (window, input channel), its columns 16 output channels, and each line of output
//! pixels is one run. Images are summed in a fixed number of chunks, then the chunks in order; a task is one chunk of
//! images for one block of columns.

use super::conv2d::Weights;
use super::layout::Border;
use super::simd::Isa;
use super::tile::{COLUMNS, Run, Sum, multiply};
use super::{Kernel, Map};
use crate::tape::ConvSpec;
use rayon::prelude::*;

/// Partial sums at most; fixed, so that the result does not depend on the number of threads.
const CHUNKS: usize = 16;
/// Numbers of all partial sums together. Large weights have many blocks of columns to share out and need few chunks.
const PARTIAL: usize = 1 << 22;
/// Numbers of padded images that go into one product: small maps are summed over several images in registers.
const GROUP: usize = 1 << 14;

/// Chunks of images: at most so many, that their partial sums stay within bounds.
fn chunks(w: Weights, images: usize) -> usize {
    CHUNKS.min(images).min(PARTIAL / partial(w)).max(1)
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
    let bases: Vec<usize> = (0..w.inner())
        .map(|m| {
            let (ky, kx, i) = (m / w.ci / w.kw, m / w.ci % w.kw, m % w.ci);
            ky * wide + kx * x.c + i
        })
        .collect();
    let rows: Vec<usize> = (0..w.inner()).map(|m| m * COLUMNS).collect();
    let per_chunk = x.b.div_ceil(chunks(w, x.b));
    let group = (GROUP / padded_image).clamp(1, per_chunk);
    // Of one group, for gradients whose pixels are `step` numbers apart.
    let runs = move |step: usize| -> Vec<Run> {
        let line = |image: usize, y: usize| Run {
            a: image * padded_image + y * spec.stride * wide,
            b: (image * dy.pixels() + y * dy.w) * step,
        };
        (0..group).flat_map(|image| (0..dy.h).map(move |y| line(image, y))).collect()
    };
    let blocks = w.co.div_ceil(COLUMNS);
    let (runs, widened_runs) = (runs(w.co), runs(COLUMNS));
    Box::new(move |args| {
        let (input, gradient) = (args.f32(0), args.f32(1));
        let (output, partial) = (args.out(0), args.out(1));
        let size = w.inner() * COLUMNS;
        let used = x.b.div_ceil(per_chunk);
        partial[..used * blocks * size].par_chunks_mut(size).enumerate().for_each(|(task, partial)| {
            let (first, column) = (task / blocks * per_chunk, task % blocks * COLUMNS);
            let end = (first + per_chunk).min(x.b);
            // The tile reads 16 columns: where there are fewer, from a copy with zeros beside them.
            let width = COLUMNS.min(w.co - column);
            let whole = width == COLUMNS;
            let mut widened = if whole { Vec::new() } else { vec![0.0; group * dy.pixels() * COLUMNS] };
            let mut padded = vec![0.0; group * padded_image];
            partial.fill(0.0);
            for b in (first..end).step_by(group) {
                let images = group.min(end - b);
                let from = input[b * x.image()..].chunks_exact(x.image()).take(images);
                for (to, from) in padded.chunks_exact_mut(padded_image).zip(from) {
                    border.copy_into(from, x.h, x.w, x.c, to);
                }
                let gradient = &gradient[b * dy.image()..][..images * dy.image()];
                for (to, from) in widened.chunks_exact_mut(COLUMNS).zip(gradient.chunks_exact(w.co)) {
                    to[..width].copy_from_slice(&from[column..]);
                }
                let (right, offset, runs, b_step) = match whole {
                    true => (gradient, column, &runs, w.co),
                    false => (&widened[..], 0, &widened_runs, COLUMNS),
                };
                let sum = Sum { runs: &runs[..images * dy.h], len: dy.w, a_step: spec.stride * x.c, b_step };
                multiply(isa, sum, &padded, &bases, right, offset, partial, &rows, COLUMNS, true);
            }
        });
        // [block][window][Ci][16] of every chunk -> [Co,Ci,window].
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
    })
}
