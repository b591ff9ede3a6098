//! Sixteen numbers in two registers of eight.

use super::{COLUMNS, Columns, LEN, Register, Vector};

/// Two vectors.
#[derive(Clone, Copy)]
pub struct Pair<V>(V, V);

impl<V: Vector> Register for Pair<V> {
    const COUNT: usize = COLUMNS;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Pair(V::splat(x), V::splat(x))
    }

    #[inline(always)]
    unsafe fn load(from: &[f32], at: usize) -> Self {
        // SAFETY: the caller vouches for the range.
        unsafe { Pair(V::load(from, at), V::load(from, at + LEN)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut [f32], at: usize) {
        // SAFETY: the caller vouches for the range.
        unsafe {
            self.0.store(to, at);
            self.1.store(to, at + LEN);
        }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Pair(self.0.mul(other.0), self.1.mul(other.1))
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Pair(self.0.mul_add(a.0, b.0), self.1.mul_add(a.1, b.1))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Pair(self.0.add(other.0), self.1.add(other.1))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Pair(self.0.sub(other.0), self.1.sub(other.1))
    }
}

impl<V: Vector> Columns for Pair<V> {
    /// 6 x 16 sums fill twelve of sixteen registers.
    const ROWS: usize = 6;
}
