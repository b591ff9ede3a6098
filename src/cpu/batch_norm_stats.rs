//! Mean and biased variance of each channel. Each image gives its own mean and sum of squared deviations, which are
//! merged in order, in double precision (Chan, Golub and LeVeque 1979).

use super::channels::sums;
use super::simd::{Isa, for_each_isa};
use super::{Kernel, Map};
use rayon::prelude::*;

pub fn kernel(isa: Isa, map: Map) -> Kernel {
    Box::new(move |args| {
        let (x, mean, variance) = (args.f32(0), args.out(0), args.out(1));
        let pixels = map.pixels() as f64;
        let per_image: Vec<Moments> = x.par_chunks(map.image()).map(|image| moments(isa, image, map.c)).collect();
        for c in 0..map.c {
            let (mut count, mut average, mut squares) = (0.0, 0.0, 0.0);
            for [m, q] in per_image.iter().map(|image| [image[0][c], image[1][c]]) {
                let delta = m - average;
                let total = count + pixels;
                average += delta * pixels / total;
                squares += q + delta * delta * count * pixels / total;
                count = total;
            }
            mean[c] = average as f32;
            variance[c] = (squares / count) as f32;
        }
    })
}

/// Mean and sum of squared deviations of each channel.
type Moments = [Vec<f64>; 2];

for_each_isa! {
    /// Those of an image [P,C].
    fn moments<V: Vector>(x: &[f32], channels: usize) -> Moments {
        let pixels = x.len() / channels;
        let mut means = [vec![0.0; channels]];
        sums(
            pixels,
            channels,
            // SAFETY: `sums` asks for whole vectors of the map.
            #[inline(always)]
            |at, _| [unsafe { V::load(x, at) }],
            |at, _| [x[at]],
            &mut means,
        );
        let [mut mean] = means;
        mean.iter_mut().for_each(|m| *m /= pixels as f64);
        let near: Vec<f32> = mean.iter().map(|&m| m as f32).collect();
        let mut deviations = [vec![0.0; channels], vec![0.0; channels]];
        sums(
            pixels,
            channels,
            #[inline(always)]
            |at, c| {
                // SAFETY: `sums` asks for whole vectors of the map and of channels.
                let d = unsafe { V::load(x, at).sub(V::load(&near, c)) };
                [d.mul(d), d]
            },
            |at, c| {
                let d = x[at] - near[c];
                [d * d, d]
            },
            &mut deviations,
        );
        let [mut squares, rest] = deviations;
        // What rounding left in the deviations corrects the mean and the squares.
        for c in 0..channels {
            let rest = rest[c] / pixels as f64;
            squares[c] -= rest * rest * pixels as f64;
            mean[c] = f64::from(near[c]) + rest;
        }
        [mean, squares]
    }
}
