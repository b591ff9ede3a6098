//! Registers, and functions compiled for each instruction set.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
mod pair;
pub mod portable;

/// Instruction set of the kernels, from the plainest to the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust.
    Portable,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 as of the x86-64-v4 processors: F, BW, DQ and VL.
    Avx512,
}

impl Isa {
    /// The best that this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            let v4 = std::is_x86_feature_detected!("avx512f")
                && std::is_x86_feature_detected!("avx512bw")
                && std::is_x86_feature_detected!("avx512dq")
                && std::is_x86_feature_detected!("avx512vl");
            return if v4 { Isa::Avx512 } else { Isa::Avx2 };
        }
        Isa::Portable
    }

    /// All that this processor has, the plainest first.
    pub fn available() -> impl Iterator<Item = Self> {
        let best = Isa::detect();
        [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(move |isa| *isa <= best)
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "AVX2",
            Isa::Avx512 => "AVX-512",
        }
    }
}

/// Some numbers in registers. A type is used only inside functions compiled for its instruction set.
pub trait Register: Copy {
    /// How many.
    const COUNT: usize;

    /// The same number everywhere.
    fn splat(x: f32) -> Self;

    /// from[at..at + COUNT].
    ///
    /// # Safety
    /// These are inside the slice.
    unsafe fn load(from: &[f32], at: usize) -> Self;

    /// to[at..at + COUNT] = self.
    ///
    /// # Safety
    /// These are inside the slice.
    unsafe fn store(self, to: &mut [f32], at: usize);

    /// self * other.
    fn mul(self, other: Self) -> Self;

    /// self * a + b.
    fn mul_add(self, a: Self, b: Self) -> Self;

    /// self + other.
    fn add(self, other: Self) -> Self;

    /// self - other.
    fn sub(self, other: Self) -> Self;
}

/// Eight numbers: what sums over a line are kept in, so that their order is the same for every instruction set.
pub trait Vector: Register {
    /// b - self * a.
    fn neg_mul_add(self, a: Self, b: Self) -> Self;

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

/// Sixteen numbers: a line of a register tile.
pub trait Columns: Register {
    /// Most rows of a tile: as many lines as the registers hold beside one line and one factor.
    const ROWS: usize;
}

/// Numbers in [`Columns`].
pub const COLUMNS: usize = 16;

/// As many numbers as one register holds, for work in which their number does not matter.
pub trait Widest: Register {}

/// Asks for the line of the cache with from[at], which may lie outside of the slice.
#[inline(always)]
pub fn prefetch(from: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (from, at);
}

/// Calls a tile's function compiled for its number of rows, at most those of its kind of [`Columns`].
macro_rules! with_rows {
    ($rows:expr, $tile:ident::<$c:ident>($($arg:expr),* $(,)?)) => {
        match $rows {
            1 => $tile::<$c, 1>($($arg),*),
            2 => $tile::<$c, 2>($($arg),*),
            3 => $tile::<$c, 3>($($arg),*),
            4 => $tile::<$c, 4>($($arg),*),
            5 => $tile::<$c, 5>($($arg),*),
            6 => $tile::<$c, 6>($($arg),*),
            // Known when this is compiled: nothing below is, where tiles are small.
            _ if $c::ROWS <= 6 => unreachable!("a tile of {} rows", $rows),
            7 => $tile::<$c, 7>($($arg),*),
            8 => $tile::<$c, 8>($($arg),*),
            9 => $tile::<$c, 9>($($arg),*),
            10 => $tile::<$c, 10>($($arg),*),
            11 => $tile::<$c, 11>($($arg),*),
            12 => $tile::<$c, 12>($($arg),*),
            13 => $tile::<$c, 13>($($arg),*),
            14 => $tile::<$c, 14>($($arg),*),
            15 => $tile::<$c, 15>($($arg),*),
            16 => $tile::<$c, 16>($($arg),*),
            17 => $tile::<$c, 17>($($arg),*),
            18 => $tile::<$c, 18>($($arg),*),
            19 => $tile::<$c, 19>($($arg),*),
            20 => $tile::<$c, 20>($($arg),*),
            21 => $tile::<$c, 21>($($arg),*),
            22 => $tile::<$c, 22>($($arg),*),
            23 => $tile::<$c, 23>($($arg),*),
            24 => $tile::<$c, 24>($($arg),*),
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
}
pub(in crate::cpu) use with_rows;

/// Defines a function whose body is compiled once for each instruction set, with a kind of register as its parameter
/// ([`Vector`], [`Columns`] or [`Widest`]): the plain loops in it are vectorised accordingly. It is called with the
/// instruction set first.
///
/// Only what is inlined into a body has its instruction set. Helpers are `#[inline(always)]`, and registers are taken
/// through loops, not through `array::map` or `from_fn`: whether their closures are inlined changes from build to build,
/// and a Winograd transform was seen to take four times as long where they were not.
macro_rules! for_each_isa {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$r:ident: $kind:ident>($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "the operands of one kernel")]
        $vis fn $name(isa: $crate::cpu::simd::Isa, $($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "the operands of one kernel")]
            fn body<$r: $crate::cpu::simd::$kind>($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "the operands of one kernel")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                body::<$crate::cpu::simd::avx2::$kind>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            #[allow(clippy::too_many_arguments, reason = "the operands of one kernel")]
            fn avx512($($arg: $type),*) $(-> $out)? {
                body::<$crate::cpu::simd::avx512::$kind>($($arg),*)
            }

            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an engine takes AVX-512 only where the processor has it.
                $crate::cpu::simd::Isa::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: and AVX2 likewise.
                $crate::cpu::simd::Isa::Avx2 => unsafe { avx2($($arg),*) },
                _ => body::<$crate::cpu::simd::portable::$kind>($($arg),*),
            }
        }
    };
}
pub(super) use for_each_isa;
