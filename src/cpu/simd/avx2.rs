//! Registers of AVX2.

use super::{LEN, Register};
use std::arch::x86_64::*;

/// Eight numbers in one register.
#[derive(Clone, Copy)]
pub struct Vector(__m256);

/// Sixteen in two.
pub type Columns = super::pair::Pair<Vector>;

/// The same as a vector.
pub type Widest = Vector;

// SAFETY of all: the type is used only inside functions compiled for AVX2 and FMA, see `for_each_isa`.
impl Register for Vector {
    const COUNT: usize = LEN;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: as above.
        Vector(unsafe { _mm256_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(from: &[f32], at: usize) -> Self {
        debug_assert!(at + LEN <= from.len(), "a vector at {at} of {}", from.len());
        // SAFETY: the caller vouches for the range.
        Vector(unsafe { _mm256_loadu_ps(from.as_ptr().add(at)) })
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut [f32], at: usize) {
        debug_assert!(at + LEN <= to.len(), "a vector at {at} of {}", to.len());
        // SAFETY: the caller vouches for the range.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr().add(at), self.0) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: as above.
        Vector(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: as above.
        Vector(unsafe { _mm256_fmadd_ps(self.0, a.0, b.0) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Vector(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as above.
        Vector(unsafe { _mm256_sub_ps(self.0, other.0) })
    }
}

impl super::Widest for Vector {}

impl super::Vector for Vector {
    #[inline(always)]
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: as above.
        Vector(unsafe { _mm256_fnmadd_ps(self.0, a.0, b.0) })
    }

    #[inline(always)]
    fn where_positive(self, by: Self) -> Self {
        // SAFETY: as above.
        Vector(unsafe { _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GT_OQ>(by.0, _mm256_setzero_ps())) })
    }

    #[inline(always)]
    fn lanes(self) -> [f32; LEN] {
        // SAFETY: both are 32 bytes of plain numbers.
        unsafe { std::mem::transmute(self.0) }
    }

    #[inline(always)]
    fn scalar_mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}
