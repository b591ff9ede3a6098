//! The register tile of products whose rows may be anywhere: P rows times 16 columns, accumulated in registers.
//!
//! out[p, 0..16] (+)= sum over runs r and j < len of a[base[p] + r.a + j a_step] * b[r.b + j b_step + 0..16]
//!
//! A convolution is such a sum over window rows, a linear layer one over its inputs; they differ only in bases and runs.
//! Weight gradients of convolutions and Winograd's algorithm have loops of their own, `outer_products` and `panel`.

pub use super::simd::COLUMNS;
use super::simd::{Columns, Isa, for_each_isa};

/// Start of a stretch of the sum, in `a` (relative to each row's base) and in `b`.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub a: usize,
    pub b: usize,
}

/// The sum that a tile computes, the same for all tiles of a product.
#[derive(Clone, Copy)]
pub struct Sum<'a> {
    pub runs: &'a [Run],
    pub len: usize,
    pub a_step: usize,
    pub b_step: usize,
}

/// Most rows of a tile whose rows may be anywhere: each needs a pointer, and with more of them loops move registers about.
const APART: usize = 6;

/// Computes the rows with bases `bases` of the 16 columns that start at b[b_offset] into out[rows[p] + 0..width], adding
/// to what is there if `accumulate`. Any number of rows: they are split evenly into tiles.
#[expect(clippy::too_many_arguments, reason = "the operands of one product")]
pub fn multiply(
    isa: Isa,
    sum: Sum,
    a: &[f32],
    bases: &[usize],
    b: &[f32],
    b_offset: usize,
    out: &mut [f32],
    rows: &[usize],
    width: usize,
    accumulate: bool,
) {
    assert_eq!(bases.len(), rows.len(), "one output row a base");
    let (Some(&last_base), Some(&last_row)) = (bases.iter().max(), rows.iter().max()) else { return };
    // One check per product covers every access of its tiles.
    let a_reach = sum.runs.iter().map(|r| r.a).max().unwrap_or(0) + (sum.len.max(1) - 1) * sum.a_step;
    let b_reach = sum.runs.iter().map(|r| r.b).max().unwrap_or(0) + (sum.len.max(1) - 1) * sum.b_step;
    assert!(last_base + a_reach < a.len(), "a tile reads a[{}] of {}", last_base + a_reach, a.len());
    assert!(b_offset + b_reach + COLUMNS <= b.len(), "a tile reads b[{}] of {}", b_offset + b_reach + COLUMNS, b.len());
    assert!(
        width <= COLUMNS && last_row + width <= out.len(),
        "a tile writes out[{last_row}+{width}] of {}",
        out.len()
    );

    let tiles = bases.len().div_ceil(APART);
    let mut start = 0;
    for t in 0..tiles {
        let end = (t + 1) * bases.len() / tiles;
        let (base, row) = (&bases[start..end], &rows[start..end]);
        let tile = Tile { sum, a, b: &b[b_offset..], base, out, row, width, accumulate };
        multiply_tile(isa, tile);
        start = end;
    }
}

/// A tile whose indices were checked: only [`multiply`] makes one.
struct Tile<'a> {
    sum: Sum<'a>,
    a: &'a [f32],
    b: &'a [f32],
    base: &'a [usize],
    out: &'a mut [f32],
    row: &'a [usize],
    width: usize,
    accumulate: bool,
}

for_each_isa! {
    /// Computes a tile. By itself, and not with the loop over tiles around it: that cost accumulators their registers.
    fn multiply_tile<C: Columns>(tile: Tile) {
        // SAFETY: as many rows as the tile has.
        unsafe {
            match tile.base.len() {
                1 => rows_apart::<C, 1>(tile),
                2 => rows_apart::<C, 2>(tile),
                3 => rows_apart::<C, 3>(tile),
                4 => rows_apart::<C, 4>(tile),
                5 => rows_apart::<C, 5>(tile),
                6 => rows_apart::<C, 6>(tile),
                rows => unreachable!("a tile of {rows} rows"),
            }
        }
    }
}

/// # Safety
/// The tile has P rows.
#[inline(always)]
unsafe fn rows_apart<C: Columns, const P: usize>(tile: Tile) {
    debug_assert_eq!(tile.base.len(), P, "rows of the tile");
    let Tile { sum, a, b, base, out, row, width, accumulate } = tile;
    let mut acc = [C::splat(0.0); P];
    // SAFETY: `multiply` checked that the largest base, run and step stay inside `a`, `b` and `out`.
    unsafe {
        for r in sum.runs {
            let mut pa = [a.as_ptr(); P];
            for p in 0..P {
                pa[p] = a.as_ptr().add(base[p] + r.a);
            }
            if sum.a_step == 1 && sum.b_step == COLUMNS {
                for j in 0..sum.len {
                    let w = C::load(b, r.b + j * COLUMNS);
                    for p in 0..P {
                        acc[p] = C::splat(*pa[p].add(j)).mul_add(w, acc[p]);
                    }
                }
            } else {
                for j in 0..sum.len {
                    let w = C::load(b, r.b + j * sum.b_step);
                    for p in 0..P {
                        acc[p] = C::splat(*pa[p].add(j * sum.a_step)).mul_add(w, acc[p]);
                    }
                }
            }
        }
        for p in 0..P {
            if width == COLUMNS {
                let value = if accumulate { C::load(out, row[p]).add(acc[p]) } else { acc[p] };
                value.store(out, row[p]);
            } else {
                let mut buffer = [0.0; COLUMNS];
                acc[p].store(&mut buffer, 0);
                for (to, value) in out[row[p]..].iter_mut().zip(&buffer[..width]) {
                    *to = if accumulate { *to + value } else { *value };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Isa;
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let next = |i: u32| (i.wrapping_mul(2654435761).wrapping_add(seed) >> 8) as f32 / 8388608.0 - 1.0;
        (0..n as u32).map(next).collect()
    }

    /// Every number of rows, odd widths, strided steps, every instruction set, against a plain sum.
    #[test]
    fn tiles_agree_with_a_plain_sum() {
        for isa in Isa::available() {
            for count in 1..=20 {
                for (a_step, b_step, width, accumulate) in [(1, 16, 16, false), (3, 20, 5, true), (2, 16, 16, true)] {
                    let (a, b) = (numbers(900, 1), numbers(2000, 2));
                    let bases: Vec<usize> = (0..count).map(|p| p * 7 % 50).collect();
                    let rows: Vec<usize> = (0..count).map(|p| p * 19).collect();
                    let runs = [Run { a: 0, b: 0 }, Run { a: 101, b: 600 }];
                    let sum = Sum { runs: &runs, len: 29, a_step, b_step };
                    let start = numbers(count * 19 + 16, 3);
                    let mut out = start.clone();
                    multiply(isa, sum, &a, &bases, &b, 4, &mut out, &rows, width, accumulate);
                    let mut expected: Vec<f64> = start.iter().map(|&x| f64::from(x)).collect();
                    for p in 0..count {
                        for c in 0..width {
                            let mut total = 0.0;
                            for r in &runs {
                                for j in 0..29 {
                                    total += f64::from(a[bases[p] + r.a + j * a_step])
                                        * f64::from(b[4 + r.b + j * b_step + c]);
                                }
                            }
                            let old = if accumulate { expected[rows[p] + c] } else { 0.0 };
                            expected[rows[p] + c] = old + total;
                        }
                    }
                    for (i, (&got, want)) in out.iter().zip(expected).enumerate() {
                        assert!((f64::from(got) - want).abs() < 1e-5, "{isa:?} {count} rows: out[{i}] {got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a tile reads a")]
    fn reading_past_the_end_is_refused() {
        let sum = Sum { runs: &[Run { a: 0, b: 0 }], len: 11, a_step: 1, b_step: 16 };
        multiply(Isa::detect(), sum, &[0.0; 10], &[0], &[0.0; 500], 0, &mut [0.0; 16], &[0], 16, false);
    }
}
