//! y = x after `rounds` times v = v / 2 + 1: arithmetic and next to no memory.

#![expect(clippy::needless_range_loop, reason = "loops over several registers at once")]

use super::Kernel;
use super::relu::TASK;
use super::simd::{COLUMNS, Isa, for_each_isa};
use rayon::prelude::*;

/// Registers: with fewer, the latency of an addition would show.
const BLOCK: usize = 12;

pub fn kernel(isa: Isa, rounds: u32) -> Kernel {
    Box::new(move |args| {
        let (x, y) = (args.f32(0), args.out(0));
        y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| fill(isa, x, y, rounds));
    })
}

for_each_isa! {
    fn fill<W: Widest>(x: &[f32], y: &mut [f32], rounds: u32) {
        let (half, one) = (W::splat(0.5), W::splat(1.0));
        for (y, x) in y.chunks_mut(BLOCK * W::COUNT).zip(x.chunks(BLOCK * W::COUNT)) {
            let mut block = [0.0; BLOCK * COLUMNS];
            block[..x.len()].copy_from_slice(x);
            let mut v = [half; BLOCK];
            for i in 0..BLOCK {
                // SAFETY: register i of a block of as many.
                v[i] = unsafe { W::load(&block, i * W::COUNT) };
            }
            for _ in 0..rounds {
                for i in 0..BLOCK {
                    v[i] = v[i].mul_add(half, one);
                }
            }
            for i in 0..BLOCK {
                // SAFETY: as above.
                unsafe { v[i].store(&mut block, i * W::COUNT) };
            }
            y.copy_from_slice(&block[..y.len()]);
        }
    }
}
