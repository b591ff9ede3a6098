//! Registers in plain Rust.

use super::{LEN, Register};

/// Eight numbers.
#[derive(Clone, Copy)]
pub struct Vector([f32; LEN]);

/// Sixteen.
pub type Columns = super::pair::Pair<Vector>;

/// The same as a vector.
pub type Widest = Vector;

impl Register for Vector {
    const COUNT: usize = LEN;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Vector([x; LEN])
    }

    #[inline(always)]
    unsafe fn load(from: &[f32], at: usize) -> Self {
        debug_assert!(at + LEN <= from.len(), "a vector at {at} of {}", from.len());
        // SAFETY: the caller vouches for the range.
        Vector(unsafe { from.as_ptr().add(at).cast::<[f32; LEN]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut [f32], at: usize) {
        debug_assert!(at + LEN <= to.len(), "a vector at {at} of {}", to.len());
        // SAFETY: the caller vouches for the range.
        unsafe { to.as_mut_ptr().add(at).cast::<[f32; LEN]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Vector(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Vector(std::array::from_fn(|i| self.0[i] * a.0[i] + b.0[i]))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Vector(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Vector(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl super::Widest for Vector {}

impl super::Vector for Vector {
    #[inline(always)]
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        Vector(std::array::from_fn(|i| b.0[i] - self.0[i] * a.0[i]))
    }

    #[inline(always)]
    fn where_positive(self, by: Self) -> Self {
        Vector(std::array::from_fn(|i| if by.0[i] > 0.0 { self.0[i] } else { 0.0 }))
    }

    #[inline(always)]
    fn lanes(self) -> [f32; LEN] {
        self.0
    }

    #[inline(always)]
    fn scalar_mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}
