//! A 3x3 convolution of stride 1 by Winograd's algorithm: for each of the 36 positions of the transformed tiles one
//! product [tiles,Ci] x [Ci,Co]. Its gradient with respect to the input is the same with other weights.

use super::conv2d::Weights;
use super::panel::multiply_positions;
use super::scratch;
use super::simd::{COLUMNS, Isa};
use super::winograd::{
    POSITIONS, Part, Tiles, strips, transform_input, transform_output, transform_window, transformed_len,
};
use super::{Kernel, Map};
use rayon::prelude::*;

/// Numbers of transformed inputs, and of results of one block of columns, at a position: all positions together should
/// stay in the second cache.
const NEAR: usize = 1280;
/// Rows of a panel are a multiple of this: two tiles of AVX2, or one of AVX-512.
const ROWS: usize = 12;
/// Groups of images for each thread. With more than one image the rows of a panel come from several.
const GROUPS: usize = 4;

/// Numbers of the transformed weights: [To/16][36 positions][From][16].
pub fn workspace(w: Weights) -> usize {
    POSITIONS * w.ci * w.co
}

/// y = x convolved with w; with `backward` x is the gradient of a result of w, and y that of its input.
pub fn kernel(isa: Isa, x: Map, w: Weights, backward: bool) -> Kernel {
    let (from, to) = if backward { (w.co, w.ci) } else { (w.ci, w.co) };
    let tiles = Tiles::new(x);
    let zeros = vec![0.0; from];
    let most = (NEAR / (from + COLUMNS) / ROWS).max(1) * ROWS;
    Box::new(move |args| {
        let (input, weights) = (args.f32(0), args.f32(1));
        let (output, packed) = (args.out(0), args.out(1));
        pack(isa, weights, w, backward, packed);
        // A tile's results do not depend on the others in its group.
        let group = x.b.div_ceil(GROUPS * rayon::current_num_threads());
        let groups = output.par_chunks_mut(group * x.pixels() * to).zip(input.par_chunks(group * x.image()));
        groups.for_each(|(output, input)| {
            scratch::with(transformed_len(most, from + COLUMNS), |transforms| {
                let (v, m) = transforms.split_at_mut(transformed_len(most, from));
                for strip in strips(input.len() / x.image() * tiles.count, most) {
                    let count = strip.len();
                    for piece in tiles.pieces(strip.clone()) {
                        let image = &input[piece.image * x.image()..][..x.image()];
                        let part = Part { tiles, piece, channels: 0..from, all: count };
                        transform_input(isa, part, image, &zeros, v);
                    }
                    for (block, column) in (0..to).step_by(COLUMNS).enumerate() {
                        multiply_positions(isa, count, from, v, &packed[block * POSITIONS * from * COLUMNS..], m);
                        for piece in tiles.pieces(strip.clone()) {
                            let image = &mut output[piece.image * x.pixels() * to..][..x.pixels() * to];
                            transform_output(isa, tiles, piece, m, column, to, image);
                        }
                    }
                }
            })
        });
    })
}

/// [Co,Ci,3,3] -> [To/16][36 positions][From][16]; backward, windows are turned round.
fn pack(isa: Isa, weights: &[f32], w: Weights, backward: bool, packed: &mut [f32]) {
    let from = if backward { w.co } else { w.ci };
    packed.par_chunks_mut(POSITIONS * from * COLUMNS).enumerate().for_each(|(block, packed)| {
        let mut windows = [[0.0; COLUMNS]; 9];
        for i in 0..from {
            for column in 0..COLUMNS {
                let to = block * COLUMNS + column;
                let (o, c) = if backward { (i, to) } else { (to, i) };
                let window = &weights[(o * w.ci + c) * 9..][..9];
                for (p, line) in windows.iter_mut().enumerate() {
                    line[column] = window[if backward { 8 - p } else { p }];
                }
            }
            transform_window(isa, &windows, from * COLUMNS, &mut packed[i * COLUMNS..]);
        }
    });
}
