//! Registers of AVX-512: 32 of them, each of sixteen numbers or used as one of eight.

use super::{COLUMNS, Register};
use std::arch::x86_64::*;

/// Eight numbers, as with AVX2: results are the same to the bit.
pub use super::avx2::Vector;

/// Sixteen numbers in one register.
#[derive(Clone, Copy)]
pub struct Columns(__m512);

/// The same as a line of a tile.
pub type Widest = Columns;

// SAFETY of all: the type is used only inside functions compiled for AVX-512, see `for_each_isa`.
impl Register for Columns {
    const COUNT: usize = COLUMNS;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: as above.
        Columns(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(from: &[f32], at: usize) -> Self {
        debug_assert!(at + COLUMNS <= from.len(), "a line at {at} of {}", from.len());
        // SAFETY: the caller vouches for the range.
        Columns(unsafe { _mm512_loadu_ps(from.as_ptr().add(at)) })
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut [f32], at: usize) {
        debug_assert!(at + COLUMNS <= to.len(), "a line at {at} of {}", to.len());
        // SAFETY: the caller vouches for the range.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr().add(at), self.0) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: as above.
        Columns(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: as above.
        Columns(unsafe { _mm512_fmadd_ps(self.0, a.0, b.0) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Columns(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as above.
        Columns(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
}

impl super::Columns for Columns {
    /// 24 sums leave room in 32 registers; with k rows a tile loads k + 1 numbers for k products, two of each a cycle.
    const ROWS: usize = 24;
}

impl super::Widest for Columns {}
