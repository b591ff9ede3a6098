//! A 3x3 convolution of stride 1 by Winograd's algorithm: for each of the 16 positions of the transformed tiles one product
//! [tiles,Ci] x [Ci,Co]. Its gradient with respect to the input is the same with other weights.

use super::conv2d::Weights;
use super::simd::Isa;
use super::tile::{COLUMNS, Panel, multiply_panel};
use super::winograd::{POSITIONS, Tiles, transform_input, transform_output, transform_window};
use super::{Kernel, Map};
use rayon::prelude::*;

/// Numbers of the transformed weights: [To/16][16 positions][From][16].
pub fn workspace(w: Weights) -> usize {
    POSITIONS * w.ci * w.co
}

/// y = x convolved with w; with `backward` x is the gradient of a result of w, and y that of its input.
pub fn kernel(isa: Isa, x: Map, w: Weights, backward: bool) -> Kernel {
    let (from, to) = if backward { (w.co, w.ci) } else { (w.ci, w.co) };
    let tiles = Tiles::new(x, from + to);
    let border = tiles.border();
    let wide = border.width(x.w) * from;
    Box::new(move |args| {
        let (input, weights) = (args.f32(0), args.f32(1));
        let (output, packed) = (args.out(0), args.out(1));
        pack(weights, w, backward, packed);
        let transforms = |c: usize| vec![0.0f32; POSITIONS * tiles.strip * c];
        let scratch = || (vec![0.0; border.len(x.h, x.w, from)], transforms(from), transforms(to));
        let images = output.par_chunks_mut(x.pixels() * to).zip(input.par_chunks(x.pixels() * from));
        images.for_each_init(scratch, |(padded, v, m), (out, image)| {
            border.copy_into(image, x.h, x.w, from, padded);
            for strip in tiles.strips() {
                let n = strip.len();
                let panel = Panel { rows: n, k: from, ldo: to };
                transform_input(isa, tiles, strip.clone(), padded, wide, from, v);
                for position in 0..POSITIONS {
                    let v = &v[position * n * from..][..n * from];
                    let m = &mut m[position * n * to..][..n * to];
                    for (block, column) in (0..to).step_by(COLUMNS).enumerate() {
                        let offset = (block * POSITIONS + position) * from * COLUMNS;
                        multiply_panel(isa, panel, v, &packed[offset..], &mut m[column..]);
                    }
                }
                transform_output(isa, tiles, strip, m, to, out);
            }
        });
    })
}

/// [Co,Ci,3,3] -> [To/16][16 positions][From][16]; backward, windows are turned round.
fn pack(weights: &[f32], w: Weights, backward: bool, packed: &mut [f32]) {
    let from = if backward { w.co } else { w.ci };
    packed.par_chunks_mut(POSITIONS * from * COLUMNS).enumerate().for_each(|(block, packed)| {
        for (i, column) in (0..from).flat_map(|i| (0..COLUMNS).map(move |column| (i, column))) {
            let to = block * COLUMNS + column;
            let (o, c) = if backward { (i, to) } else { (to, i) };
            let window = &weights[(o * w.ci + c) * 9..][..9];
            let turned = |p: usize| window[if backward { 8 - p } else { p }];
            for (position, u) in transform_window(std::array::from_fn(turned)).into_iter().enumerate() {
                packed[(position * from + i) * COLUMNS + column] = u;
            }
        }
    });
}
