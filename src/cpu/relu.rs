//! y = max(x, 0).

use super::Kernel;
use rayon::prelude::*;

/// Elements of a task of the element-wise kernels.
pub const TASK: usize = 1 << 14;

pub fn kernel() -> Kernel {
    Box::new(|args| {
        let (x, y) = (args.f32(0), args.out(0));
        y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| {
            for (y, x) in y.iter_mut().zip(x) {
                // What is not a number stays so: a network that broke must show in the loss.
                *y = if *x < 0.0 { 0.0 } else { *x };
            }
        });
    })
}
