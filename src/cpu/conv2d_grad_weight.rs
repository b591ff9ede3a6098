//! dw[o,i,window] = sum over images and output pixels p of dy[b,o,p] x[b,i, s p + window - pad].
//!
//! The rows of the register tile are (window, input channel), its columns output channels, and each line of output
//! pixels is one run. Images are summed in a fixed number of chunks, then the chunks in order.

use super::conv2d::Weights;
use super::layout::Border;
use super::simd::Isa;
use super::tile::{COLUMNS, Run, Sum, multiply};
use super::{Kernel, Map};
use crate::tape::ConvSpec;
use rayon::prelude::*;

/// Partial sums; fixed, so that the result does not depend on the number of threads.
const CHUNKS: usize = 16;

/// Numbers of the partial sums: [chunk][window][Ci][Co rounded up].
pub fn workspace(w: Weights, images: usize) -> usize {
    CHUNKS.min(images) * w.inner() * w.co.next_multiple_of(COLUMNS)
}

pub fn kernel(isa: Isa, x: Map, w: Weights, dy: Map, spec: ConvSpec) -> Kernel {
    let border = Border::even(spec.pad);
    let wide = border.width(x.w) * x.c;
    let columns = w.co.next_multiple_of(COLUMNS);
    let window = move |m: usize| (m / w.ci / w.kw, m / w.ci % w.kw, m % w.ci);
    let bases: Vec<usize> = (0..w.inner())
        .map(|m| {
            let (ky, kx, i) = window(m);
            ky * wide + kx * x.c + i
        })
        .collect();
    let rows: Vec<usize> = (0..w.inner()).map(|m| m * columns).collect();
    let runs: Vec<Run> = (0..dy.h).map(|y| Run { a: y * spec.stride * wide, b: y * dy.w * columns }).collect();
    let per_chunk = x.b.div_ceil(CHUNKS.min(x.b));
    Box::new(move |args| {
        let (input, gradient) = (args.f32(0), args.f32(1));
        let (output, partial) = (args.out(0), args.out(1));
        let sum = Sum { runs: &runs, len: dy.w, a_step: spec.stride * x.c, b_step: columns };
        let chunk = w.inner() * columns;
        let used = x.b.div_ceil(per_chunk);
        partial[..used * chunk].par_chunks_mut(chunk).enumerate().for_each(|(n, partial)| {
            partial.fill(0.0);
            let mut padded = vec![0.0; border.len(x.h, x.w, x.c)];
            let mut widened = if columns == w.co { Vec::new() } else { vec![0.0; dy.pixels() * columns] };
            for b in (n * per_chunk)..((n + 1) * per_chunk).min(x.b) {
                border.copy_into(&input[b * x.image()..][..x.image()], x.h, x.w, x.c, &mut padded);
                let mut right = &gradient[b * dy.image()..][..dy.image()];
                if columns != w.co {
                    for (to, from) in widened.chunks_exact_mut(columns).zip(right.chunks_exact(w.co)) {
                        to[..w.co].copy_from_slice(from);
                    }
                    right = &widened;
                }
                for column in (0..columns).step_by(COLUMNS) {
                    let out = &mut partial[column..];
                    multiply(isa, sum, &padded, &bases, right, column, out, &rows, COLUMNS, true);
                }
            }
        });
        // [window][Ci][Co] of every chunk -> [Co,Ci,window].
        output.par_chunks_mut(w.inner()).enumerate().for_each(|(o, filter)| {
            for m in 0..w.inner() {
                let (ky, kx, i) = window(m);
                let total: f32 = (0..used).map(|n| partial[n * chunk + m * columns + o]).sum();
                filter[(i * w.kh + ky) * w.kw + kx] = total;
            }
        });
    })
}
