//! The weight gradient of a 3x3 convolution of stride 1 by Winograd's algorithm: for each of the 36 positions of the
//! transformed tiles one product [Ci,tiles] x [tiles,Co]. Each chunk of images transforms its sums back by itself.

use super::conv2d::Weights;
use super::conv2d_grad_weight::{chunk, sum_chunks};
use super::outer_products::{Strip, accumulate};
use super::scratch;
use super::simd::{COLUMNS, Isa};
use super::winograd::{
    POSITIONS, TILE, Tiles, strips, transform_gradient, transform_input, transform_sums, transformed,
};
use super::{Kernel, Map};
use rayon::prelude::*;

/// Numbers of transformed inputs and gradients at a position, meant to stay in the first cache.
const NEAR: usize = 4096;
/// Numbers of the sums of a chunk, at most.
const SUMS: usize = 1 << 18;

/// Whether the sums of a chunk are few enough to be worked on at once.
pub fn applies(w: Weights) -> bool {
    POSITIONS * w.ci * w.co <= SUMS
}

/// The same workspace as the direct form: partial sums [chunk][Co/16][window][Ci][16].
pub fn kernel(isa: Isa, x: Map, w: Weights, dy: Map) -> Kernel {
    let tiles = Tiles::new(x);
    let zeros = vec![0.0; w.ci.max(w.co)];
    let per_chunk = chunk(w, x.b);
    let most = (NEAR / (w.ci + w.co)).max(1);
    let (rows, blocks) = (w.ci / COLUMNS, w.co / COLUMNS);
    Box::new(move |args| {
        let (input, gradient) = (args.f32(0), args.f32(1));
        let (output, partial) = (args.out(0), args.out(1));
        let used = x.b.div_ceil(per_chunk);
        let chunks = partial[..used * w.inner() * w.co].par_chunks_mut(w.inner() * w.co).enumerate();
        let [of_x, of_dy] = [w.ci, w.co].map(|c| transformed(most, c));
        let numbers = of_x + of_dy + POSITIONS * w.ci * w.co;
        chunks.for_each(|(chunk, partial)| {
            scratch::with(numbers, |scratch| {
                let (v, scratch) = scratch.split_at_mut(of_x);
                let (u, sums) = scratch.split_at_mut(of_dy);
                let images = chunk * per_chunk..((chunk + 1) * per_chunk).min(x.b);
                for strip in strips(images.len() * tiles.count, most) {
                    for piece in tiles.pieces(strip.clone()) {
                        let image = images.start + piece.image;
                        let (input, gradient) = (&input[image * x.image()..], &gradient[image * dy.image()..]);
                        transform_input(isa, tiles, piece.clone(), input, &zeros[..w.ci], strip.len(), v);
                        transform_gradient(isa, tiles, piece, gradient, &zeros[..w.co], strip.len(), u);
                    }
                    let product = Strip::of_pixels(COLUMNS, strip.len(), TILE, strip.start > 0);
                    for position in 0..POSITIONS {
                        let (v, u) = (&v[position * COLUMNS..], &u[position * COLUMNS..]);
                        for (block, row) in (0..blocks).flat_map(|block| (0..rows).map(move |row| (block, row))) {
                            let sums = &mut sums[((block * POSITIONS + position) * rows + row) * COLUMNS * COLUMNS..];
                            let (v, u) = (&v[row * strip.len() * TILE..], &u[block * strip.len() * TILE..]);
                            accumulate(isa, product, v, u, sums);
                        }
                    }
                }
                // Sums are [Co/16][36][Ci][16].
                let sums = sums.chunks_exact(POSITIONS * w.ci * COLUMNS);
                sums.zip(partial.chunks_exact_mut(w.inner() * COLUMNS))
                    .for_each(|(sums, partial)| transform_sums(isa, sums, w.ci, partial));
            })
        });
        sum_chunks(partial, used, w, output);
    })
}
