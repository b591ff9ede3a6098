//! Mean and biased variance of each channel. Each image gives its own mean and sum of squared deviations, which are
//! merged in order, in double precision (Chan, Golub and LeVeque 1979).

use super::{Kernel, Map};
use rayon::prelude::*;

pub fn kernel(map: Map) -> Kernel {
    Box::new(move |args| {
        let (x, mean, variance) = (args.f32(0), args.out(0), args.out(1));
        let pixels = map.pixels() as f64;
        let per_image: Vec<Vec<[f64; 2]>> = x.par_chunks(map.image()).map(|image| moments(image, map.c)).collect();
        for c in 0..map.c {
            let (mut count, mut average, mut squares) = (0.0, 0.0, 0.0);
            for image in &per_image {
                let [m, q] = image[c];
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

/// Mean and sum of squared deviations of each channel of an image [P,C].
fn moments(image: &[f32], channels: usize) -> Vec<[f64; 2]> {
    let pixels = (image.len() / channels) as f32;
    let mut mean = vec![0.0f32; channels];
    for pixel in image.chunks_exact(channels) {
        for (m, x) in mean.iter_mut().zip(pixel) {
            *m += x;
        }
    }
    for m in &mut mean {
        *m /= pixels;
    }
    let mut squares = vec![0.0f32; channels];
    let mut rest = vec![0.0f32; channels];
    for pixel in image.chunks_exact(channels) {
        for ((q, r), (x, m)) in squares.iter_mut().zip(&mut rest).zip(pixel.iter().zip(&mean)) {
            let d = x - m;
            *q += d * d;
            *r += d;
        }
    }
    // What rounding left in the deviations corrects the mean and the squares.
    (0..channels)
        .map(|c| {
            let rest = f64::from(rest[c]) / f64::from(pixels);
            [f64::from(mean[c]) + rest, f64::from(squares[c]) - rest * rest * f64::from(pixels)]
        })
        .collect()
}
