//! y = x - log sum over k of exp x, row by row.

use super::Kernel;
use rayon::prelude::*;

pub fn kernel(columns: usize) -> Kernel {
    Box::new(move |args| {
        let (x, y) = (args.f32(0), args.out(0));
        y.par_chunks_mut(columns).zip(x.par_chunks(columns)).for_each(|(y, x)| {
            let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let below = |x: f32| f64::from(x) - f64::from(largest);
            let sum: f64 = x.iter().map(|&x| below(x).exp()).sum();
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (below(x) - sum.ln()) as f32;
            }
        });
    })
}
