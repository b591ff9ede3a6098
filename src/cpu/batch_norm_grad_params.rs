//! dgamma = sum dy xhat, dbeta = sum dy, finished in f64: the next gradient is dy without its mean, so that rounding here is
//! an error that all pixels share. Image by image, in order. Rectified, dy counts only where `y` is positive.

use super::channels::sums;
use super::simd::{Isa, Vector, for_each_isa};
use super::{Kernel, Map};
use rayon::prelude::*;

/// `rectified` adds input 4, the rectified result y.
pub fn kernel(isa: Isa, map: Map, eps: f32, rectified: bool) -> Kernel {
    Box::new(move |args| {
        let [x, dy, mean, variance] = [0, 1, 2, 3].map(|i| args.f32(i));
        let (dgamma, dbeta) = (args.out(0), args.out(1));
        // Where nothing was rectified, dy stands in for y and is not looked at.
        let y = if rectified { args.f32(4) } else { dy };
        let images = x.par_chunks(map.image()).zip(dy.par_chunks(map.image())).zip(y.par_chunks(map.image()));
        let sums =
            images.map(|((x, dy), y)| if rectified { masked(isa, x, dy, y, mean) } else { plain(isa, x, dy, mean) });
        let sums: Vec<[Vec<f64>; 2]> = sums.collect();
        for c in 0..map.c {
            let total = |k: usize| sums.iter().map(|s| s[k][c]).sum::<f64>();
            dgamma[c] = (total(0) / f64::from((variance[c] + eps).sqrt())) as f32;
            dbeta[c] = total(1) as f32;
        }
    })
}

for_each_isa! {
    fn plain<V: Vector>(x: &[f32], dy: &[f32], mean: &[f32]) -> [Vec<f64>; 2] {
        image::<V>(x, dy, mean, #[inline(always)] |_, dy| dy, |_, dy| dy)
    }
}

for_each_isa! {
    fn masked<V: Vector>(x: &[f32], dy: &[f32], y: &[f32], mean: &[f32]) -> [Vec<f64>; 2] {
        assert!(y.len() >= x.len(), "y of {} for x of {}", y.len(), x.len());
        image::<V>(
            x,
            dy,
            mean,
            // SAFETY: `image` asks for whole vectors of the map.
            #[inline(always)]
            |at, dy| dy.where_positive(unsafe { V::load(y, at) }),
            |at, dy| if y[at] > 0.0 { dy } else { 0.0 },
        )
    }
}

/// Sums of dy (x - mean) and of dy over an image, dy after a mask.
#[inline(always)]
fn image<V: Vector>(
    x: &[f32],
    dy: &[f32],
    mean: &[f32],
    mask: impl Fn(usize, V) -> V,
    mask_scalar: impl Fn(usize, f32) -> f32,
) -> [Vec<f64>; 2] {
    assert!(dy.len() >= x.len(), "dy of {} for x of {}", dy.len(), x.len());
    let mut totals = [vec![0.0; mean.len()], vec![0.0; mean.len()]];
    sums(
        x.len() / mean.len(),
        mean.len(),
        #[inline(always)]
        |at, c| {
            // SAFETY: `sums` asks for whole vectors of the map and of channels.
            let (x, dy, mean) = unsafe { (V::load(x, at), V::load(dy, at), V::load(mean, c)) };
            let dy = mask(at, dy);
            [dy.mul(x.sub(mean)), dy]
        },
        |at, c| {
            let dy = mask_scalar(at, dy[at]);
            [dy * (x[at] - mean[c]), dy]
        },
        &mut totals,
    );
    totals
}
