//! y[b,o,p] = sum over i and window of w[o,i,window] x[b,i, s p + window - pad], channels last.
//!
//! Each image is copied into a zero-padded buffer; then every output pixel is a row of the register tile whose base is
//! the corner of its window, and each line of the window is one run: kw * Ci consecutive numbers.

use super::layout::Border;
use super::simd::Isa;
use super::tile::{COLUMNS, Run, Sum, multiply};
use super::{Kernel, Map};
use crate::tape::ConvSpec;
use rayon::prelude::*;

/// Shape of weights [Co,Ci,kh,kw].
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    pub co: usize,
    pub ci: usize,
    pub kh: usize,
    pub kw: usize,
}

impl Weights {
    pub fn new([co, ci, kh, kw]: [usize; 4]) -> Self {
        Weights { co, ci, kh, kw }
    }

    /// Numbers of one output channel.
    pub fn inner(&self) -> usize {
        self.ci * self.kh * self.kw
    }
}

/// Numbers of the packed weights: [Co/16][kh][kw][Ci][16].
pub fn workspace(w: Weights) -> usize {
    w.co.div_ceil(COLUMNS) * w.inner() * COLUMNS
}

pub fn kernel(isa: Isa, x: Map, w: Weights, y: Map, spec: ConvSpec) -> Kernel {
    let border = Border::even(spec.pad);
    let wide = border.width(x.w) * x.c;
    let bases: Vec<usize> =
        (0..y.pixels()).map(|p| (p / y.w) * spec.stride * wide + (p % y.w) * spec.stride * x.c).collect();
    let rows: Vec<usize> = (0..y.pixels()).map(|p| p * y.c).collect();
    let runs: Vec<Run> = (0..w.kh).map(|k| Run { a: k * wide, b: k * w.kw * w.ci * COLUMNS }).collect();
    Box::new(move |args| {
        let (input, weights) = (args.f32(0), args.f32(1));
        let (output, packed) = (args.out(0), args.out(1));
        pack(weights, w, packed);
        let sum = Sum { runs: &runs, len: w.kw * w.ci, a_step: 1, b_step: COLUMNS };
        let scratch = || vec![0.0; border.len(x.h, x.w, x.c)];
        let images = output.par_chunks_mut(y.image()).zip(input.par_chunks(x.image()));
        images.for_each_init(scratch, |padded, (out, image)| {
            border.copy_into(image, x.h, x.w, x.c, padded);
            for block in 0..w.co.div_ceil(COLUMNS) {
                let column = block * COLUMNS;
                let width = COLUMNS.min(w.co - column);
                let offset = block * w.inner() * COLUMNS;
                multiply(isa, sum, padded, &bases, packed, offset, &mut out[column..], &rows, width, false);
            }
        });
    })
}

/// [Co,Ci,kh,kw] -> [Co/16][kh][kw][Ci][16], zeros beyond Co.
fn pack(weights: &[f32], w: Weights, packed: &mut [f32]) {
    let (window, inner) = (w.kh * w.kw, w.inner());
    let blocks = packed.par_chunks_mut(inner * COLUMNS).zip(weights.par_chunks(inner * COLUMNS));
    blocks.for_each(|(block, filters)| {
        for n in 0..inner {
            let to = &mut block[(n % window * w.ci + n / window) * COLUMNS..][..COLUMNS];
            to.fill(0.0);
            to.iter_mut().zip(filters[n..].iter().step_by(inner)).for_each(|(to, &value)| *to = value);
        }
    });
}
