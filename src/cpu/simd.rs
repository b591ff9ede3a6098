//! Registers of eight numbers, and functions compiled for each instruction set.

/// Instruction set of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust.
    Portable,
    /// AVX2 with fused multiply-add.
    Avx2,
}

impl Isa {
    /// The best that this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            return Isa::Avx2;
        }
        Isa::Portable
    }
}

/// Eight numbers in registers. A type is used only inside functions compiled for its instruction set.
pub trait Vector: Copy {
    /// The same number everywhere.
    fn splat(x: f32) -> Self;

    /// from[at..at + 8].
    ///
    /// # Safety
    /// These are inside the slice.
    unsafe fn load(from: &[f32], at: usize) -> Self;

    /// to[at..at + 8] = self.
    ///
    /// # Safety
    /// These are inside the slice.
    unsafe fn store(self, to: &mut [f32], at: usize);

    /// self * a + b.
    fn mul_add(self, a: Self, b: Self) -> Self;

    /// b - self * a.
    fn neg_mul_add(self, a: Self, b: Self) -> Self;

    /// self + other.
    fn add(self, other: Self) -> Self;

    /// self - other.
    fn sub(self, other: Self) -> Self;

    /// self * other.
    fn mul(self, other: Self) -> Self;

    /// self where `by` is positive, 0 elsewhere.
    fn where_positive(self, by: Self) -> Self;

    /// The numbers.
    fn lanes(self) -> [f32; LEN];

    /// a * b + c of single numbers, rounded as in the vectors.
    fn scalar_mul_add(a: f32, b: f32, c: f32) -> f32;

    /// Sum of the numbers, always in the same order.
    #[inline(always)]
    fn sum(self) -> f32 {
        let l = self.lanes();
        ((l[0] + l[4]) + (l[1] + l[5])) + ((l[2] + l[6]) + (l[3] + l[7]))
    }
}

/// Numbers in a [`Vector`].
pub const LEN: usize = 8;

/// `n` rounded up to whole vectors.
pub fn padded(n: usize) -> usize {
    n.next_multiple_of(LEN)
}

/// Eight numbers in plain Rust.
#[derive(Clone, Copy)]
pub struct Portable([f32; LEN]);

impl Vector for Portable {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Portable([x; LEN])
    }

    #[inline(always)]
    unsafe fn load(from: &[f32], at: usize) -> Self {
        debug_assert!(at + LEN <= from.len(), "a vector at {at} of {}", from.len());
        // SAFETY: the caller vouches for the range.
        Portable(unsafe { from.as_ptr().add(at).cast::<[f32; LEN]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut [f32], at: usize) {
        debug_assert!(at + LEN <= to.len(), "a vector at {at} of {}", to.len());
        // SAFETY: the caller vouches for the range.
        unsafe { to.as_mut_ptr().add(at).cast::<[f32; LEN]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] * a.0[i] + b.0[i]))
    }

    #[inline(always)]
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        Portable(std::array::from_fn(|i| b.0[i] - self.0[i] * a.0[i]))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }

    #[inline(always)]
    fn where_positive(self, by: Self) -> Self {
        Portable(std::array::from_fn(|i| if by.0[i] > 0.0 { self.0[i] } else { 0.0 }))
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

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{LEN, Vector};
    use std::arch::x86_64::*;

    /// Eight numbers in an AVX register.
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256);

    // SAFETY of all: the type is used only inside functions compiled for AVX2 and FMA, see `for_each_isa`.
    impl Vector for Avx2 {
        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: as above.
            Avx2(unsafe { _mm256_set1_ps(x) })
        }

        #[inline(always)]
        unsafe fn load(from: &[f32], at: usize) -> Self {
            debug_assert!(at + LEN <= from.len(), "a vector at {at} of {}", from.len());
            // SAFETY: the caller vouches for the range.
            Avx2(unsafe { _mm256_loadu_ps(from.as_ptr().add(at)) })
        }

        #[inline(always)]
        unsafe fn store(self, to: &mut [f32], at: usize) {
            debug_assert!(at + LEN <= to.len(), "a vector at {at} of {}", to.len());
            // SAFETY: the caller vouches for the range.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr().add(at), self.0) }
        }

        #[inline(always)]
        fn mul_add(self, a: Self, b: Self) -> Self {
            // SAFETY: as above.
            Avx2(unsafe { _mm256_fmadd_ps(self.0, a.0, b.0) })
        }

        #[inline(always)]
        fn neg_mul_add(self, a: Self, b: Self) -> Self {
            // SAFETY: as above.
            Avx2(unsafe { _mm256_fnmadd_ps(self.0, a.0, b.0) })
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as above.
            Avx2(unsafe { _mm256_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: as above.
            Avx2(unsafe { _mm256_sub_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: as above.
            Avx2(unsafe { _mm256_mul_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn where_positive(self, by: Self) -> Self {
            // SAFETY: as above.
            Avx2(unsafe { _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GT_OQ>(by.0, _mm256_setzero_ps())) })
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
}

/// Defines a function whose body is compiled once for each instruction set, with the vector type as its parameter: the
/// plain loops in it are vectorised accordingly. It is called with the instruction set first.
///
/// Only what is inlined into a body has its instruction set. Helpers are `#[inline(always)]`, and registers are taken
/// through loops, not through `array::map` or `from_fn`: whether their closures are inlined changes from build to build,
/// and a Winograd transform was seen to take four times as long where they were not.
macro_rules! for_each_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$v:ident>($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "the operands of one kernel")]
        $vis fn $name(isa: $crate::cpu::simd::Isa, $($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "the operands of one kernel")]
            fn body<$v: $crate::cpu::simd::Vector>($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "the operands of one kernel")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                body::<$crate::cpu::simd::Avx2>($($arg),*)
            }

            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: AVX2 is chosen only where the processor has it.
                $crate::cpu::simd::Isa::Avx2 => unsafe { avx2($($arg),*) },
                _ => body::<$crate::cpu::simd::Portable>($($arg),*),
            }
        }
    };
}
pub(super) use for_each_isa;
