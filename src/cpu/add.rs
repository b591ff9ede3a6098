//! y = a + b.

use super::Kernel;
use super::relu::TASK;
use rayon::prelude::*;

pub fn kernel() -> Kernel {
    Box::new(|args| {
        let (a, b, y) = (args.f32(0), args.f32(1), args.out(0));
        y.par_chunks_mut(TASK).zip(a.par_chunks(TASK).zip(b.par_chunks(TASK))).for_each(|(y, (a, b))| {
            for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
                *y = a + b;
            }
        });
    })
}
