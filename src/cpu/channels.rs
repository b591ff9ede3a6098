//! Numbers by channel along feature maps that are channels last.

#![expect(clippy::needless_range_loop, reason = "loops over several arrays of registers at once")]

use super::simd::{LEN, Vector};

/// Values of the channels, repeated so that whole pixels make a stretch long enough for vectors.
pub fn repeated(values: &[f32]) -> Vec<f32> {
    /// Numbers of a stretch, at least.
    const STRETCH: usize = 64;
    values.repeat(STRETCH.div_ceil(values.len()))
}

/// Vectors that are accumulated together.
const BLOCK: usize = 4;
/// Numbers in them.
const LANES: usize = BLOCK * LEN;
/// Pixels whose terms are added in f32; the sums of these are added in f64.
const PART: usize = 16;

/// totals[k][c] = sum over pixels of term k of channel c, for N terms at a time. `terms` computes those of eight neighbouring
/// numbers of the map that start at the given one, whose channels start at the second. A map has `pixels` x `channels` numbers.
#[inline(always)]
pub fn sums<V: Vector, const N: usize>(
    pixels: usize,
    channels: usize,
    terms: impl Fn(usize, usize) -> [V; N],
    scalar: impl Fn(usize, usize) -> [f32; N],
    totals: &mut [Vec<f64>; N],
) {
    totals.iter_mut().for_each(|t| t.fill(0.0));
    let mut end = 0;
    if channels.is_multiple_of(LEN) {
        end = pixels;
        let mut first = 0;
        while first < channels {
            // Whole blocks of vectors where there are enough channels, single vectors otherwise.
            if channels - first >= LANES {
                columns::<V, N, BLOCK>(pixels, channels, first, &terms, totals);
                first += LANES;
            } else if channels - first >= 2 * LEN {
                columns::<V, N, 2>(pixels, channels, first, &terms, totals);
                first += 2 * LEN;
            } else {
                columns::<V, N, 1>(pixels, channels, first, &terms, totals);
                first += LEN;
            }
        }
    }
    for at in end * channels..pixels * channels {
        for (total, term) in totals.iter_mut().zip(scalar(at, at % channels)) {
            total[at % channels] += f64::from(term);
        }
    }
}

/// The sums of M vectors of channels from `first` on.
#[inline(always)]
fn columns<V: Vector, const N: usize, const M: usize>(
    pixels: usize,
    channels: usize,
    first: usize,
    terms: &impl Fn(usize, usize) -> [V; N],
    totals: &mut [Vec<f64>; N],
) {
    let mut pixel = 0;
    while pixel < pixels {
        let end = pixels.min(pixel + PART);
        let mut sums = [[V::splat(0.0); M]; N];
        for p in pixel..end {
            for m in 0..M {
                let channel = first + m * LEN;
                let new = terms(p * channels + channel, channel);
                for n in 0..N {
                    sums[n][m] = sums[n][m].add(new[n]);
                }
            }
        }
        for (total, sums) in totals.iter_mut().zip(sums) {
            for (m, sum) in sums.into_iter().enumerate() {
                for (total, x) in total[first + m * LEN..].iter_mut().zip(sum.lanes()) {
                    *total += f64::from(x);
                }
            }
        }
        pixel = end;
    }
}
