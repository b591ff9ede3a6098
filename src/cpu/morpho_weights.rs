//! p[r] = (alpha, sigmoid(b + c)), (alpha, b) = beta[r], c = 5 at the centre of the window and -5 elsewhere.

use super::Kernel;
use rayon::prelude::*;

/// Rows of `width` = 1 + K^2 elements.
pub fn kernel(width: usize) -> Kernel {
    Box::new(move |args| {
        let (beta, p) = (args.f32(0), args.out(0));
        p.par_chunks_mut(width).zip(beta.par_chunks(width)).for_each(|(p, beta)| {
            p[0] = beta[0];
            for (i, (p, b)) in p.iter_mut().zip(beta).enumerate().skip(1) {
                // The window has an odd number of elements, so that its centre is in the middle of the row.
                let identity = if i == width / 2 { 5.0 } else { -5.0 };
                *p = 1.0 / (1.0 + (-(b + identity)).exp());
            }
        });
    })
}
