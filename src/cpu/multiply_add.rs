//! y = x after `rounds` times v = v / 2 + 1: arithmetic and next to no memory.

#![expect(clippy::needless_range_loop, reason = "loops over several registers at once")]

use super::Kernel;
use super::relu::TASK;
use super::simd::{Isa, LEN, for_each_isa};
use rayon::prelude::*;

/// Vectors in registers: with fewer, the latency of an addition would show.
const BLOCK: usize = 12;

pub fn kernel(isa: Isa, rounds: u32) -> Kernel {
    Box::new(move |args| {
        let (x, y) = (args.f32(0), args.out(0));
        y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| fill(isa, x, y, rounds));
    })
}

for_each_isa! {
    fn fill<V>(x: &[f32], y: &mut [f32], rounds: u32) {
        let (half, one) = (V::splat(0.5), V::splat(1.0));
        for (y, x) in y.chunks_mut(BLOCK * LEN).zip(x.chunks(BLOCK * LEN)) {
            let mut block = [0.0; BLOCK * LEN];
            block[..x.len()].copy_from_slice(x);
            let mut v = [half; BLOCK];
            for i in 0..BLOCK {
                // SAFETY: vector i of a block of as many.
                v[i] = unsafe { V::load(&block, i * LEN) };
            }
            for _ in 0..rounds {
                for i in 0..BLOCK {
                    v[i] = v[i].mul_add(half, one);
                }
            }
            for i in 0..BLOCK {
                // SAFETY: as above.
                unsafe { v[i].store(&mut block, i * LEN) };
            }
            y.copy_from_slice(&block[..y.len()]);
        }
    }
}
