//! y = a + b.

use super::Kernel;
use super::relu::TASK;
use super::simd::{Isa, for_each_isa};
use rayon::prelude::*;

pub fn kernel(isa: Isa) -> Kernel {
    Box::new(move |args| {
        let (a, b, y) = (args.f32(0), args.f32(1), args.out(0));
        let operands = a.par_chunks(TASK).zip(b.par_chunks(TASK));
        y.par_chunks_mut(TASK).zip(operands).for_each(|(y, (a, b))| add(isa, a, b, y));
    })
}

for_each_isa! {
    fn add<V: Vector>(a: &[f32], b: &[f32], y: &mut [f32]) {
        for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
            *y = a + b;
        }
    }
}
