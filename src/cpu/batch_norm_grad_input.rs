//! dx = gamma inv_std (dy - dbeta/n - xhat dgamma/n), or gamma inv_std dy when the statistics are constants. Rectified, dy
//! counts only where `y` is positive.

use super::channels::repeated;
use super::simd::{Isa, for_each_isa};
use super::{Kernel, Map};
use rayon::prelude::*;

/// `rectified` adds input 7, the rectified result y.
pub fn kernel(isa: Isa, map: Map, eps: f32, batch_stats: bool, rectified: bool) -> Kernel {
    Box::new(move |args| {
        let [x, dy, mean, variance, gamma, dgamma, dbeta] = [0, 1, 2, 3, 4, 5, 6].map(|i| args.f32(i));
        let dx = args.out(0);
        let n = (map.b * map.pixels()) as f32;
        // dx = a (dy - m) - q (x - mean), per channel. Subtracting before scaling keeps the gradients of a channel
        // adding up to zero: a rounding that all pixels share would be most of the gradient of a bias further down.
        let (mut a, mut m, mut q) = (vec![0.0; map.c], vec![0.0; map.c], vec![0.0; map.c]);
        for c in 0..map.c {
            let inv_std = 1.0 / (variance[c] + eps).sqrt();
            a[c] = gamma[c] * inv_std;
            if batch_stats {
                m[c] = dbeta[c] / n;
                q[c] = a[c] * inv_std * dgamma[c] / n;
            }
        }
        let [mean, a, m, q] = [mean, &a, &m, &q].map(repeated);
        let images = dx.par_chunks_mut(map.image()).zip(x.par_chunks(map.image()).zip(dy.par_chunks(map.image())));
        images.enumerate().for_each(|(b, (dx, (x, dy)))| {
            if rectified {
                let y = &args.f32(7)[b * map.image()..][..map.image()];
                masked(isa, x, dy, y, &mean, &a, &m, &q, dx);
            } else {
                plain(isa, x, dy, &mean, &a, &m, &q, dx);
            }
        });
    })
}

for_each_isa! {
    fn plain<V: Vector>(x: &[f32], dy: &[f32], mean: &[f32], a: &[f32], m: &[f32], q: &[f32], dx: &mut [f32]) {
        let stretch = mean.len();
        for ((dx, x), dy) in dx.chunks_mut(stretch).zip(x.chunks(stretch)).zip(dy.chunks(stretch)) {
            let constants = mean.iter().zip(a).zip(m.iter().zip(q));
            for (((dx, x), dy), ((mean, a), (m, q))) in dx.iter_mut().zip(x).zip(dy).zip(constants) {
                *dx = a * (dy - m) - q * (x - mean);
            }
        }
    }
}

for_each_isa! {
    fn masked<V: Vector>(x: &[f32], dy: &[f32], y: &[f32], mean: &[f32], a: &[f32], m: &[f32], q: &[f32], dx: &mut [f32]) {
        let stretch = mean.len();
        let maps = x.chunks(stretch).zip(dy.chunks(stretch)).zip(y.chunks(stretch));
        for (dx, ((x, dy), y)) in dx.chunks_mut(stretch).zip(maps) {
            let constants = mean.iter().zip(a).zip(m.iter().zip(q));
            for ((dx, ((x, dy), y)), ((mean, a), (m, q))) in dx.iter_mut().zip(x.iter().zip(dy).zip(y)).zip(constants) {
                let dy = if *y > 0.0 { *dy } else { 0.0 };
                *dx = a * (dy - m) - q * (x - mean);
            }
        }
    }
}
