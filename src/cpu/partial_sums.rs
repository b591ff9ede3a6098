//! Weight gradients of convolutions are summed over a fixed number of chunks of images, then over the chunks in order.

use super::conv2d::Weights;
use super::simd::COLUMNS;
use rayon::prelude::*;

/// Partial sums at most; fixed, so that the result does not depend on the number of threads.
const CHUNKS: usize = 16;
/// Numbers of all partial sums together. Large weights have many blocks of columns to share out and need few chunks.
const PARTIAL: usize = 1 << 22;

/// Chunks of images: at most so many, that their partial sums stay within bounds.
fn chunks(w: Weights, images: usize) -> usize {
    CHUNKS.min(images).min(PARTIAL / partial(w)).max(1)
}

/// Images of a chunk.
pub fn images_of_chunk(w: Weights, images: usize) -> usize {
    images.div_ceil(chunks(w, images))
}

/// Numbers of one partial sum, [block][window][Ci][16].
fn partial(w: Weights) -> usize {
    w.inner() * w.co.next_multiple_of(COLUMNS)
}

/// Numbers of all partial sums.
pub fn workspace(w: Weights, images: usize) -> usize {
    chunks(w, images) * partial(w)
}

/// Partial sums [chunk][block][window][Ci][16] of `used` chunks -> [Co,Ci,window].
pub fn sum_chunks(partial: &[f32], used: usize, w: Weights, output: &mut [f32]) {
    let (blocks, size) = (w.co.div_ceil(COLUMNS), w.inner() * COLUMNS);
    output.par_chunks_mut(w.inner() * COLUMNS).enumerate().for_each(|(block, filters)| {
        let window = w.kh * w.kw;
        for n in 0..w.inner() {
            let mut total = [0.0f32; COLUMNS];
            for chunk in 0..used {
                let at = (chunk * blocks + block) * size + (n % window * w.ci + n / window) * COLUMNS;
                total.iter_mut().zip(&partial[at..at + COLUMNS]).for_each(|(total, part)| *total += part);
            }
            filters[n..].iter_mut().step_by(w.inner()).zip(total).for_each(|(to, total)| *to = total);
        }
    });
}
