//! The register tile behind every product: P rows times 16 columns, accumulated in registers.
//!
//! out[p, 0..16] (+)= sum over runs r and j < len of a[base[p] + r.a + j a_step] * b[r.b + j b_step + 0..16]
//!
//! A convolution is such a sum over window rows, its weight gradient one over image rows, a linear layer one over its
//! inputs; they differ only in bases and runs. Instruction sets are chosen at run time.

use super::simd::{Isa, LEN, Vector, for_each_isa};

/// Columns of a tile.
pub const COLUMNS: usize = 16;
/// Most rows of a tile: 6 x 16 accumulators fill twelve of the sixteen AVX registers.
pub const ROWS: usize = 6;

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

    let tiles = bases.len().div_ceil(ROWS);
    let mut start = 0;
    for t in 0..tiles {
        let end = (t + 1) * bases.len() / tiles;
        let (base, row) = (&bases[start..end], &rows[start..end]);
        let tile = Tile { sum, a, b: &b[b_offset..], base, out, row, width, accumulate };
        // SAFETY: the assertions above bound every index; Avx2 is chosen only where the processor has it.
        unsafe {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::run(tile),
                _ => run::<portable::Lanes>(tile),
            }
        }
        start = end;
    }
}

/// A product whose rows are evenly spaced: out[r ldo + 0..16] = sum over j < k of a[r k + j] b[16 j + 0..16].
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    pub rows: usize,
    pub k: usize,
    pub ldo: usize,
}

for_each_isa! {
    /// Computes a panel of 16 columns. The loop over its tiles is inside, which short sums need.
    pub fn multiply_panel<V>(panel: Panel, a: &[f32], b: &[f32], out: &mut [f32]) {
        let Panel { rows, k, ldo } = panel;
        if rows == 0 {
            return;
        }
        // These bound every access of the tiles.
        assert!(rows * k <= a.len(), "{panel:?} reads a of {}", a.len());
        assert!(k * COLUMNS <= b.len(), "{panel:?} reads b of {}", b.len());
        assert!((rows - 1) * ldo + COLUMNS <= out.len(), "{panel:?} writes out of {}", out.len());
        let tiles = rows.div_ceil(ROWS);
        let mut start = 0;
        for t in 0..tiles {
            let end = (t + 1) * rows / tiles;
            let (a, out) = (&a[start * k..], &mut out[start * ldo..]);
            // SAFETY: asserted above.
            unsafe {
                match end - start {
                    1 => panel_tile::<V, 1>(panel, a, b, out),
                    2 => panel_tile::<V, 2>(panel, a, b, out),
                    3 => panel_tile::<V, 3>(panel, a, b, out),
                    4 => panel_tile::<V, 4>(panel, a, b, out),
                    5 => panel_tile::<V, 5>(panel, a, b, out),
                    _ => panel_tile::<V, ROWS>(panel, a, b, out),
                }
            }
            start = end;
        }
    }
}

/// The first P rows of a panel.
///
/// # Safety
/// As [`multiply_panel`] asserts.
#[inline(always)]
unsafe fn panel_tile<V: Vector, const P: usize>(panel: Panel, a: &[f32], b: &[f32], out: &mut [f32]) {
    let mut acc = [[V::splat(0.0); 2]; P];
    for j in 0..panel.k {
        // SAFETY: passed on to the caller.
        unsafe {
            let w = [V::load(b, j * COLUMNS), V::load(b, j * COLUMNS + LEN)];
            for (p, acc) in acc.iter_mut().enumerate() {
                let scalar = V::splat(*a.get_unchecked(p * panel.k + j));
                acc[0] = scalar.mul_add(w[0], acc[0]);
                acc[1] = scalar.mul_add(w[1], acc[1]);
            }
        }
    }
    for (p, acc) in acc.into_iter().enumerate() {
        for (half, sum) in acc.into_iter().enumerate() {
            let at = p * panel.ldo + half * LEN;
            // SAFETY: passed on to the caller.
            unsafe { sum.store(out, at) };
        }
    }
}

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

/// Sixteen numbers in registers.
trait Lanes: Copy {
    fn zero() -> Self;
    /// # Safety
    /// 16 numbers can be read at `p`; the processor has the instruction set.
    unsafe fn load(p: *const f32) -> Self;
    /// # Safety
    /// 16 numbers can be written at `p`; the processor has the instruction set.
    unsafe fn store(self, p: *mut f32);
    /// self + scalar * w.
    ///
    /// # Safety
    /// The processor has the instruction set.
    unsafe fn add_scaled(self, scalar: f32, w: Self) -> Self;
    /// self + other.
    ///
    /// # Safety
    /// The processor has the instruction set.
    unsafe fn plus(self, other: Self) -> Self;
}

/// # Safety
/// As [`multiply`] asserts; the processor has the instruction set of `L`.
#[inline(always)]
unsafe fn run<L: Lanes>(tile: Tile) {
    // SAFETY: passed on to the caller.
    unsafe {
        match tile.base.len() {
            1 => rows::<L, 1>(tile),
            2 => rows::<L, 2>(tile),
            3 => rows::<L, 3>(tile),
            4 => rows::<L, 4>(tile),
            5 => rows::<L, 5>(tile),
            _ => rows::<L, 6>(tile),
        }
    }
}

/// # Safety
/// As [`run`]; the tile has P rows.
#[inline(always)]
unsafe fn rows<L: Lanes, const P: usize>(tile: Tile) {
    debug_assert_eq!(tile.base.len(), P, "rows of the tile");
    let Tile { sum, a, b, base, out, row, width, accumulate } = tile;
    let mut acc = [L::zero(); P];
    // SAFETY: `multiply` checked that the largest base, run and step stay inside `a`, `b` and `out`.
    unsafe {
        for r in sum.runs {
            let pa: [*const f32; P] = std::array::from_fn(|p| a.as_ptr().add(base[p] + r.a));
            let pb = b.as_ptr().add(r.b);
            if sum.a_step == 1 && sum.b_step == COLUMNS {
                for j in 0..sum.len {
                    let w = L::load(pb.add(j * COLUMNS));
                    for p in 0..P {
                        acc[p] = acc[p].add_scaled(*pa[p].add(j), w);
                    }
                }
            } else {
                for j in 0..sum.len {
                    let w = L::load(pb.add(j * sum.b_step));
                    for p in 0..P {
                        acc[p] = acc[p].add_scaled(*pa[p].add(j * sum.a_step), w);
                    }
                }
            }
        }
        for p in 0..P {
            let to = out.as_mut_ptr().add(row[p]);
            if width == COLUMNS {
                let value = if accumulate { L::load(to).plus(acc[p]) } else { acc[p] };
                value.store(to);
            } else {
                let mut buffer = [0.0; COLUMNS];
                acc[p].store(buffer.as_mut_ptr());
                for (c, &value) in buffer[..width].iter().enumerate() {
                    *to.add(c) = if accumulate { *to.add(c) + value } else { value };
                }
            }
        }
    }
}

mod portable {
    #[derive(Clone, Copy)]
    pub struct Lanes([f32; 16]);

    impl super::Lanes for Lanes {
        #[inline(always)]
        fn zero() -> Self {
            Lanes([0.0; 16])
        }

        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            // SAFETY: the caller vouches for 16 readable numbers.
            Lanes(unsafe { p.cast::<[f32; 16]>().read_unaligned() })
        }

        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            // SAFETY: the caller vouches for 16 writable numbers.
            unsafe { p.cast::<[f32; 16]>().write_unaligned(self.0) }
        }

        #[inline(always)]
        unsafe fn add_scaled(mut self, scalar: f32, w: Self) -> Self {
            for (x, y) in self.0.iter_mut().zip(w.0) {
                *x += scalar * y;
            }
            self
        }

        #[inline(always)]
        unsafe fn plus(mut self, other: Self) -> Self {
            for (x, y) in self.0.iter_mut().zip(other.0) {
                *x += y;
            }
            self
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    struct Lanes(__m256, __m256);

    /// # Safety
    /// The processor has AVX2 and FMA; the tile's indices were checked.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn run(tile: super::Tile) {
        // SAFETY: as above.
        unsafe { super::run::<Lanes>(tile) }
    }

    impl super::Lanes for Lanes {
        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: zero bits are valid numbers.
            unsafe { std::mem::zeroed() }
        }

        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            // SAFETY: the caller vouches for 16 readable numbers and AVX2.
            unsafe { Lanes(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
        }

        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            // SAFETY: the caller vouches for 16 writable numbers and AVX2.
            unsafe {
                _mm256_storeu_ps(p, self.0);
                _mm256_storeu_ps(p.add(8), self.1);
            }
        }

        #[inline(always)]
        unsafe fn add_scaled(self, scalar: f32, w: Self) -> Self {
            // SAFETY: the caller vouches for AVX2 and FMA.
            unsafe {
                let s = _mm256_set1_ps(scalar);
                Lanes(_mm256_fmadd_ps(s, w.0, self.0), _mm256_fmadd_ps(s, w.1, self.1))
            }
        }

        #[inline(always)]
        unsafe fn plus(self, other: Self) -> Self {
            // SAFETY: the caller vouches for AVX2.
            unsafe { Lanes(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let next = |i: u32| (i.wrapping_mul(2654435761).wrapping_add(seed) >> 8) as f32 / 8388608.0 - 1.0;
        (0..n as u32).map(next).collect()
    }

    /// Every number of rows, odd widths, strided steps, both instruction sets, against a plain sum.
    #[test]
    fn tiles_agree_with_a_plain_sum() {
        for isa in [Isa::Portable, Isa::detect()] {
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
