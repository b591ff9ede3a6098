//! dx = dy where y > 0, else 0. Where dy is a sum of two, they are added in the same pass.

use super::Kernel;
use super::relu::TASK;
use super::simd::{Isa, for_each_isa};
use rayon::prelude::*;

/// `summed` adds input 2, which is added to dy.
pub fn kernel(isa: Isa, summed: bool) -> Kernel {
    Box::new(move |args| {
        let (y, dy, dx) = (args.f32(0), args.f32(1), args.out(0));
        let more = if summed { args.f32(2) } else { dy };
        let operands = y.par_chunks(TASK).zip(dy.par_chunks(TASK)).zip(more.par_chunks(TASK));
        dx.par_chunks_mut(TASK)
            .zip(operands)
            .for_each(|(dx, ((y, dy), more))| if summed { sum(isa, y, dy, more, dx) } else { plain(isa, y, dy, dx) });
    })
}

for_each_isa! {
    fn plain<V: Vector>(y: &[f32], dy: &[f32], dx: &mut [f32]) {
        for (dx, (y, dy)) in dx.iter_mut().zip(y.iter().zip(dy)) {
            // A mask instead of a branch, which would be mispredicted half of the time.
            let mask = u32::from(*y > 0.0).wrapping_neg();
            *dx = f32::from_bits(dy.to_bits() & mask);
        }
    }
}

for_each_isa! {
    fn sum<V: Vector>(y: &[f32], dy: &[f32], more: &[f32], dx: &mut [f32]) {
        for (dx, ((y, dy), more)) in dx.iter_mut().zip(y.iter().zip(dy).zip(more)) {
            let mask = u32::from(*y > 0.0).wrapping_neg();
            *dx = f32::from_bits((dy + more).to_bits() & mask);
        }
    }
}
