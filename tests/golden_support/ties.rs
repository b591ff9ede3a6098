//! Pixels whose gradient hangs on rounding: those under two values of one pooling window that are nearly equal. Which of
//! the two is the maximum, and gets the gradient, is then decided by the order of a sum.

use super::formula;
use super::vectors::Vectors;

/// Values nearer than this are ties: a few units in the last place of the values, which are below 4.
const NEAR: f64 = 2e-6;
/// Window, stride and padding of the stem of ResNet-18, and of the pooling after it.
const STEM: (usize, usize, usize) = (7, 2, 3);
const POOL: (usize, usize, usize) = (3, 2, 1);

/// First pixel and end of window `p` among `size` pixels.
fn window(p: usize, size: usize, (window, stride, pad): (usize, usize, usize)) -> std::ops::Range<usize> {
    (p * stride).saturating_sub(pad)..(p * stride + window - pad).min(size)
}

fn outputs(size: usize, (window, stride, pad): (usize, usize, usize)) -> usize {
    (size + 2 * pad - window) / stride + 1
}

/// For every element of x [B,C,H,W] whether it lies under such a tie, computed in f64 from the input on.
pub fn under_ties(vectors: &Vectors) -> Result<Vec<bool>, String> {
    let x = vectors.tensor("x")?;
    let [b, c, h, w] = x.shape[..] else { return Err(format!("x has shape {:?}", x.shape)) };
    let weights = formula::weights(vectors)?;
    let weight = |name: &str| weights.get(name).ok_or_else(|| format!("no {name}"));
    let (filters, gamma, beta) = (weight("encoder.0.weight")?, weight("encoder.1.weight")?, weight("encoder.1.bias")?);
    let (oh, ow) = (outputs(h, STEM), outputs(w, STEM));
    let mut tied = vec![false; x.values.len()];
    for (filter, (gamma, beta)) in filters.values.chunks(c * STEM.0 * STEM.0).zip(gamma.values.iter().zip(&beta.values))
    {
        let stem = |n: usize, p: usize| -> f64 {
            let (oy, ox) = (p / ow, p % ow);
            let mut sum = 0.0;
            for (i, iy) in (0..c).flat_map(|i| window(oy, h, STEM).map(move |iy| (i, iy))) {
                for ix in window(ox, w, STEM) {
                    let (ky, kx) = (iy + STEM.2 - oy * STEM.1, ix + STEM.2 - ox * STEM.1);
                    let pixel = x.values[((n * c + i) * h + iy) * w + ix];
                    sum += f64::from(pixel) * f64::from(filter[(i * STEM.0 + ky) * STEM.0 + kx]);
                }
            }
            sum
        };
        let mut map: Vec<f64> = (0..b * oh * ow).map(|at| stem(at / (oh * ow), at % (oh * ow))).collect();
        let mean = map.iter().sum::<f64>() / map.len() as f64;
        let variance = map.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / map.len() as f64;
        let scale = f64::from(*gamma) / (variance + 1e-5).sqrt();
        map.iter_mut().for_each(|z| *z = ((*z - mean) * scale + f64::from(*beta)).max(0.0));
        for (n, py) in (0..b).flat_map(|n| (0..outputs(oh, POOL)).map(move |py| (n, py))) {
            for px in 0..outputs(ow, POOL) {
                let places = window(py, oh, POOL).flat_map(|y| window(px, ow, POOL).map(move |x| (y, x)));
                let values: Vec<_> = places.map(|(y, x)| (map[(n * oh + y) * ow + x], y, x)).collect();
                let best = values.iter().fold(0.0, |m: f64, v| m.max(v.0));
                let near: Vec<_> = values.into_iter().filter(|v| v.0 > best - NEAR).collect();
                if best > 0.0 && near.len() > 1 {
                    for (_, y, x) in near {
                        let rows = window(y, h, STEM).flat_map(|iy| (0..c).map(move |i| ((n * c + i) * h + iy) * w));
                        rows.for_each(|row| window(x, w, STEM).for_each(|ix| tied[row + ix] = true));
                    }
                }
            }
        }
    }
    Ok(tied)
}
