//! The weight gradient of a 3x3 convolution of stride 1 by Winograd's algorithm: for each of the 36 positions of the
//! transformed tiles one product [Ci,tiles] x [tiles,Co]. Each chunk of images transforms its sums back by itself.

use super::conv2d::Weights;
use super::outer_products::{Pixels, accumulate};
use super::partial_sums::{images_of_chunk, sum_chunks};
use super::scratch;
use super::simd::{COLUMNS, Isa};
use super::winograd::{
    POSITIONS, Part, TILE_STEP, Tiles, strips, transform_gradient, transform_input, transform_sums, transformed_len,
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

/// Tasks for each thread, where there are as many.
const TASKS: usize = 2;

/// The same workspace as the direct form: partial sums [chunk][Co/16][window][Ci][16]. A task is one chunk of images for some
/// blocks of columns; how many does not change the sums.
pub fn kernel(isa: Isa, x: Map, w: Weights, dy: Map) -> Kernel {
    let tiles = Tiles::new(x);
    let zeros = vec![0.0; w.ci.max(w.co)];
    let per_chunk = images_of_chunk(w, x.b);
    let most = (NEAR / (w.ci + w.co)).max(1);
    let (rows, blocks, size) = (w.ci / COLUMNS, w.co / COLUMNS, w.inner() * COLUMNS);
    Box::new(move |args| {
        let (input, gradient) = (args.f32(0), args.f32(1));
        let (output, partial) = (args.out(0), args.out(1));
        let used = x.b.div_ceil(per_chunk);
        let parts = (TASKS * rayon::current_num_threads()).div_ceil(used).min(blocks);
        let of_task = blocks.div_ceil(parts);
        let [of_x, of_dy] = [w.ci, of_task * COLUMNS].map(|c| transformed_len(most, c));
        let numbers = of_x + of_dy + POSITIONS * w.ci * of_task * COLUMNS;
        let tasks =
            partial[..used * blocks * size].par_chunks_mut(blocks * size).enumerate().flat_map(|(chunk, partial)| {
                partial
                    .par_chunks_mut(of_task * size)
                    .enumerate()
                    .map(move |(part, partial)| (chunk, part * of_task, partial))
            });
        tasks.for_each(|(chunk, first, partial)| {
            scratch::with(numbers, |scratch| {
                let (v, scratch) = scratch.split_at_mut(of_x);
                let (u, sums) = scratch.split_at_mut(of_dy);
                let images = chunk * per_chunk..((chunk + 1) * per_chunk).min(x.b);
                let blocks = partial.len() / size;
                let columns = first * COLUMNS..(first + blocks) * COLUMNS;
                for strip in strips(images.len() * tiles.count, most) {
                    let all = strip.len();
                    for piece in tiles.pieces(strip.clone()) {
                        let image = images.start + piece.image;
                        let (input, gradient) = (&input[image * x.image()..], &gradient[image * dy.image()..]);
                        let part = Part { tiles, piece: piece.clone(), channels: 0..w.ci, all };
                        transform_input(isa, part, input, &zeros[..w.ci], v);
                        let part = Part { tiles, piece, channels: columns.clone(), all };
                        transform_gradient(isa, part, gradient, &zeros[..w.co], u);
                    }
                    let pixels = Pixels::of_tiles(COLUMNS, all, TILE_STEP, strip.start > 0);
                    multiply_positions(isa, pixels, [rows, blocks], v, u, sums);
                }
                let sums = sums.chunks_exact(POSITIONS * w.ci * COLUMNS);
                sums.zip(partial.chunks_exact_mut(size))
                    .for_each(|(sums, partial)| transform_sums(isa, sums, w.ci, partial));
            });
        });
        sum_chunks(partial, used, w, output);
    })
}

/// sums [blocks,36,Ci,16] = or += what the tiles of a strip contribute, from transforms v [rows,tiles,36,16] of the inputs and u
/// [blocks,tiles,36,16] of the gradients. Positions are outermost: all that is read at one stays in the first cache.
fn multiply_positions(isa: Isa, tiles: Pixels, [rows, blocks]: [usize; 2], v: &[f32], u: &[f32], sums: &mut [f32]) {
    let step = tiles.len * TILE_STEP;
    for position in 0..POSITIONS {
        for (block, row) in (0..blocks).flat_map(|block| (0..rows).map(move |row| (block, row))) {
            let (v, u) = (&v[row * step + position * COLUMNS..], &u[block * step + position * COLUMNS..]);
            let sums = &mut sums[((block * POSITIONS + position) * rows + row) * COLUMNS * COLUMNS..];
            accumulate(isa, tiles, v, u, sums);
        }
    }
}
