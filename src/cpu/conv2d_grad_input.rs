//! dx[b,i,q] = sum over o and window of w[o,i,window] dy[b,o,p] with s p + window - pad = q.
//!
//! Input pixels fall into s x s phases by (q + pad) mod s; the pixels of a phase meet the same window positions
//! r, r+s, ... and consecutive output pixels, so each phase is a convolution without wasted products.

use super::conv2d::Weights;
use super::layout::Border;
use super::simd::Isa;
use super::tile::{COLUMNS, Run, Sum, multiply};
use super::{Kernel, Map};
use crate::tape::ConvSpec;
use rayon::prelude::*;

/// Numbers of the packed weights: for each phase [Ci/16][window rows][window columns][Co][16], windows descending.
pub fn workspace(w: Weights) -> usize {
    w.ci.div_ceil(COLUMNS) * w.co * w.kh * w.kw * COLUMNS
}

/// The input pixels with the same remainders.
struct Phase {
    /// First window position in each direction.
    first: [usize; 2],
    /// Number of window positions in each direction.
    taps: [usize; 2],
    bases: Vec<usize>,
    rows: Vec<usize>,
    runs: Vec<Run>,
    /// Where its packed weights begin.
    packed: usize,
}

pub fn kernel(isa: Isa, dx: Map, w: Weights, dy: Map, spec: ConvSpec) -> Kernel {
    let s = spec.stride;
    // Enough zeros that every window position of every input pixel finds an output pixel.
    let below = |size: usize, out: usize| ((size - 1 + spec.pad) / s).saturating_sub(out - 1);
    let border =
        Border { top: (w.kh - 1) / s, left: (w.kw - 1) / s, bottom: below(dx.h, dy.h), right: below(dx.w, dy.w) };
    let wide = border.width(dy.w) * dy.c;
    let mut phases = Vec::new();
    let mut packed = 0;
    for (fy, fx) in (0..s).flat_map(|fy| (0..s).map(move |fx| (fy, fx))) {
        let taps = [w.kh.saturating_sub(fy).div_ceil(s), w.kw.saturating_sub(fx).div_ceil(s)];
        let mut phase = Phase { first: [fy, fx], taps, bases: Vec::new(), rows: Vec::new(), runs: Vec::new(), packed };
        packed += w.ci.div_ceil(COLUMNS) * w.co * taps[0] * taps[1] * COLUMNS;
        let (skip_y, skip_x) = (taps[0].max(1) - 1, taps[1].max(1) - 1);
        for (y, x) in (0..dx.h).flat_map(|y| (0..dx.w).map(move |x| (y, x))) {
            if (y + spec.pad) % s == fy && (x + spec.pad) % s == fx {
                // The last window position meets the first output pixel.
                let (oy, ox) = ((y + spec.pad) / s + border.top - skip_y, (x + spec.pad) / s + border.left - skip_x);
                phase.bases.push(oy * wide + ox * dy.c);
                phase.rows.push((y * dx.w + x) * dx.c);
            }
        }
        if taps[0] * taps[1] > 0 {
            phase.runs = (0..taps[0]).map(|t| Run { a: t * wide, b: t * taps[1] * w.co * COLUMNS }).collect();
        }
        phases.push(phase);
    }

    Box::new(move |args| {
        let (gradient, weights) = (args.f32(0), args.f32(1));
        let (output, packed) = (args.out(0), args.out(1));
        for phase in phases.iter().filter(|phase| !phase.runs.is_empty()) {
            pack(weights, w, s, phase, &mut packed[phase.packed..]);
        }
        let scratch = || vec![0.0; border.len(dy.h, dy.w, dy.c)];
        let images = output.par_chunks_mut(dx.image()).zip(gradient.par_chunks(dy.image()));
        images.for_each_init(scratch, |padded, (out, image)| {
            border.copy_into(image, dy.h, dy.w, dy.c, padded);
            for phase in &phases {
                if phase.runs.is_empty() {
                    // No window reaches these pixels: the stride exceeds the kernel.
                    phase.rows.iter().for_each(|&row| out[row..row + w.ci].fill(0.0));
                    continue;
                }
                let len = phase.taps[1] * w.co;
                let sum = Sum { runs: &phase.runs, len, a_step: 1, b_step: COLUMNS };
                for block in 0..w.ci.div_ceil(COLUMNS) {
                    let column = block * COLUMNS;
                    let width = COLUMNS.min(w.ci - column);
                    let offset = phase.packed + block * phase.taps[0] * len * COLUMNS;
                    let out = &mut out[column..];
                    multiply(isa, sum, padded, &phase.bases, packed, offset, out, &phase.rows, width, false);
                }
            }
        });
    })
}

fn pack(weights: &[f32], w: Weights, stride: usize, phase: &Phase, packed: &mut [f32]) {
    let ([th, tw], window) = (phase.taps, w.kh * w.kw);
    let size = th * tw * w.co * COLUMNS;
    packed[..w.ci.div_ceil(COLUMNS) * size].par_chunks_mut(size).enumerate().for_each(|(block, packed)| {
        let first = block * COLUMNS;
        let planes = first * window..(first + COLUMNS).min(w.ci) * window;
        for (o, filter) in weights.chunks_exact(w.inner()).enumerate() {
            for (ty, tx) in (0..th).flat_map(|ty| (0..tw).map(move |tx| (ty, tx))) {
                // Descending windows meet ascending output pixels.
                let ky = phase.first[0] + stride * (th - 1 - ty);
                let kx = phase.first[1] + stride * (tw - 1 - tx);
                let to = &mut packed[((ty * tw + tx) * w.co + o) * COLUMNS..][..COLUMNS];
                to.fill(0.0);
                let values = filter[planes.clone()].chunks_exact(window).map(|plane| plane[ky * w.kw + kx]);
                to.iter_mut().zip(values).for_each(|(to, value)| *to = value);
            }
        }
    });
}
