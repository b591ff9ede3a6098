//! dx = dy - exp(y) sum over k of dy, row by row.

use super::Kernel;
use rayon::prelude::*;

pub fn kernel(columns: usize) -> Kernel {
    Box::new(move |args| {
        let (y, dy, dx) = (args.f32(0), args.f32(1), args.out(0));
        let rows = dx.par_chunks_mut(columns).zip(y.par_chunks(columns)).zip(dy.par_chunks(columns));
        rows.for_each(|((dx, y), dy)| {
            let sum: f64 = dy.iter().map(|&dy| f64::from(dy)).sum();
            for (dx, (&y, &dy)) in dx.iter_mut().zip(y.iter().zip(dy)) {
                *dx = (f64::from(dy) - f64::from(y).exp() * sum) as f32;
            }
        });
    })
}
