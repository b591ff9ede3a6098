//! y = gamma (x - mean) / sqrt(variance + eps) + beta; optionally plus a residual and rectified in the same pass.

use super::channels::repeated;
use super::simd::{Isa, for_each_isa};
use super::{Kernel, Map};
use rayon::prelude::*;

/// What follows the normalisation in the same pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Nothing,
    Relu,
    /// Input 5 is added first.
    AddRelu,
}

pub fn kernel(isa: Isa, map: Map, eps: f32, then: Then) -> Kernel {
    Box::new(move |args| {
        let (x, y) = (args.f32(0), args.out(0));
        let [mean, variance, gamma, beta, residual] = [1, 2, 3, 4, 5].map(|i| args.f32(i));
        let scale: Vec<f32> = gamma.iter().zip(variance).map(|(g, v)| g / (v + eps).sqrt()).collect();
        let [mean, scale, beta] = [mean, &scale, beta].map(repeated);
        let images = y.par_chunks_mut(map.image()).zip(x.par_chunks(map.image())).enumerate();
        images.for_each(|(b, (y, x))| match then {
            Then::Nothing => normalise(isa, x, &mean, &scale, &beta, y),
            Then::Relu => rectified(isa, x, &mean, &scale, &beta, y),
            Then::AddRelu => {
                let residual = &residual[b * map.image()..][..map.image()];
                added(isa, x, residual, &mean, &scale, &beta, y);
            }
        });
    })
}

/// max(x, 0), but what is not a number stays so: a network that broke must show in the loss.
#[inline(always)]
fn rectify(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

for_each_isa! {
    fn normalise<V: Vector>(x: &[f32], mean: &[f32], scale: &[f32], beta: &[f32], y: &mut [f32]) {
        for (y, x) in y.chunks_mut(mean.len()).zip(x.chunks(mean.len())) {
            for ((y, x), ((m, s), b)) in y.iter_mut().zip(x).zip(mean.iter().zip(scale).zip(beta)) {
                *y = (x - m) * s + b;
            }
        }
    }
}

for_each_isa! {
    fn rectified<V: Vector>(x: &[f32], mean: &[f32], scale: &[f32], beta: &[f32], y: &mut [f32]) {
        for (y, x) in y.chunks_mut(mean.len()).zip(x.chunks(mean.len())) {
            for ((y, x), ((m, s), b)) in y.iter_mut().zip(x).zip(mean.iter().zip(scale).zip(beta)) {
                *y = rectify((x - m) * s + b);
            }
        }
    }
}

for_each_isa! {
    fn added<V: Vector>(x: &[f32], residual: &[f32], mean: &[f32], scale: &[f32], beta: &[f32], y: &mut [f32]) {
        let stretch = mean.len();
        for ((y, x), r) in y.chunks_mut(stretch).zip(x.chunks(stretch)).zip(residual.chunks(stretch)) {
            for (((y, x), r), ((m, s), b)) in y.iter_mut().zip(x).zip(r).zip(mean.iter().zip(scale).zip(beta)) {
                *y = rectify((x - m) * s + b + r);
            }
        }
    }
}
