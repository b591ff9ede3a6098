//! The weight gradient of a 3x3 convolution of stride 1 by Winograd's algorithm: for each of the 36 positions of the
//! transformed tiles one product [Ci,tiles] x [tiles,Co]. Each chunk of images transforms its sums back by itself.

use super::conv2d::Weights;
use super::conv2d_grad_weight::{chunk, sum_chunks};
use super::outer_products::{Strip, accumulate};
use super::simd::{COLUMNS, Isa};
use super::winograd::{POSITIONS, Spread, Tiles, strips, transform_gradient, transform_input, transform_sums};
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

/// What a thread works with.
struct Scratch {
    x: Vec<f32>,
    dy: Vec<f32>,
    v: Vec<f32>,
    u: Vec<f32>,
    sums: Vec<f32>,
}

/// The same workspace as the direct form: partial sums [chunk][Co/16][window][Ci][16].
pub fn kernel(isa: Isa, x: Map, w: Weights, dy: Map) -> Kernel {
    let tiles = Tiles::new(x);
    let (around_x, around_dy) = (tiles.around_input(), tiles.around_output());
    let (wide_x, wide_dy) = (around_x.width(x.w) * x.c, around_dy.width(dy.w) * dy.c);
    let per_chunk = chunk(w, x.b);
    let most = NEAR / (w.ci + w.co);
    let (spread_x, spread_dy) = (Spread::by_tile(most, w.ci), Spread::by_tile(most, w.co));
    let size = w.ci * COLUMNS;
    Box::new(move |args| {
        let (input, gradient) = (args.f32(0), args.f32(1));
        let (output, partial) = (args.out(0), args.out(1));
        let used = x.b.div_ceil(per_chunk);
        let scratch = || Scratch {
            x: vec![0.0; around_x.len(x.h, x.w, x.c)],
            dy: vec![0.0; around_dy.len(dy.h, dy.w, dy.c)],
            v: vec![0.0; spread_x.len()],
            u: vec![0.0; spread_dy.len()],
            sums: vec![0.0; POSITIONS * w.ci * w.co],
        };
        let chunks = partial[..used * w.inner() * w.co].par_chunks_mut(w.inner() * w.co).enumerate();
        chunks.for_each_init(scratch, |s, (chunk, partial)| {
            let images = chunk * per_chunk..((chunk + 1) * per_chunk).min(x.b);
            let mut current = None;
            for strip in strips(images.len() * tiles.count, most) {
                for piece in tiles.pieces(strip.clone()) {
                    let image = images.start + piece.image;
                    if current != Some(image) {
                        around_x.copy_into(&input[image * x.image()..][..x.image()], x.h, x.w, x.c, &mut s.x);
                        around_dy.copy_into(&gradient[image * dy.image()..][..dy.image()], dy.h, dy.w, dy.c, &mut s.dy);
                        current = Some(image);
                    }
                    transform_input(isa, tiles, piece.clone(), &s.x, wide_x, x.c, spread_x, &mut s.v);
                    transform_gradient(isa, tiles, piece, &s.dy, wide_dy, dy.c, spread_dy, &mut s.u);
                }
                let product = Strip::of_rows(w.ci, strip.len(), w.co, strip.start > 0);
                for position in 0..POSITIONS {
                    let v = &s.v[position * spread_x.position..];
                    let u = &s.u[position * spread_dy.position..];
                    for (block, column) in (0..w.co).step_by(COLUMNS).enumerate() {
                        let sums = &mut s.sums[(block * POSITIONS + position) * size..][..size];
                        accumulate(isa, product, v, &u[column..], sums);
                    }
                }
            }
            let blocks = s.sums.chunks_exact(POSITIONS * size).zip(partial.chunks_exact_mut(9 * size));
            blocks.for_each(|(sums, partial)| transform_sums(isa, sums, w.ci, partial));
        });
        sum_chunks(partial, used, w, output);
    })
}
