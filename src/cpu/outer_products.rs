//! Sums of outer products: [rows] x [16 columns] over the pixels of a strip, accumulated in registers. The rows of a pixel are
//! neighbours in memory.

#![expect(clippy::needless_range_loop, reason = "loops over several arrays of registers at once")]

use super::simd::{COLUMNS, Columns, for_each_isa, with_rows};

/// Lines of output pixels, or neighbouring tiles, whose outer products are summed.
#[derive(Clone, Copy, Debug)]
pub struct Pixels {
    /// Lines of the window.
    pub kh: usize,
    /// Numbers of a line of the window, (column, input channel).
    pub rows: usize,
    /// Numbers of a line of the inputs.
    pub wide: usize,
    pub lines: usize,
    /// Pixels of a line.
    pub len: usize,
    /// From one line and pixel to the next in the inputs and in the gradients.
    pub a_line: usize,
    pub a_step: usize,
    pub b_line: usize,
    pub b_step: usize,
    /// Whether sums are added to what is there, or take its place.
    pub add: bool,
}

impl Pixels {
    /// Neighbouring tiles, `step` numbers apart in both factors.
    pub fn of_tiles(rows: usize, tiles: usize, step: usize, add: bool) -> Self {
        Pixels { kh: 1, rows, wide: 0, lines: 1, len: tiles, a_line: 0, a_step: step, b_line: 0, b_step: step, add }
    }
}

for_each_isa! {
    /// partial [kh,rows,16] = or += what some pixels contribute, from inputs and gradients at the first of them.
    pub fn accumulate<C: Columns>(s: Pixels, inputs: &[f32], gradient: &[f32], partial: &mut [f32]) {
        assert!(s.lines > 0 && s.len > 0, "{s:?} is empty");
        // These bound every access of the tiles.
        let (lines, pixels) = (s.lines - 1, s.len - 1);
        let a_end = (s.kh - 1) * s.wide + lines * s.a_line + pixels * s.a_step + s.rows;
        let b_end = lines * s.b_line + pixels * s.b_step + COLUMNS;
        assert!(a_end <= inputs.len() && b_end <= gradient.len(), "{s:?}: {} and {}", inputs.len(), gradient.len());
        assert!(s.kh * s.rows * COLUMNS <= partial.len(), "{s:?} adds to {}", partial.len());
        let tiles = s.rows.div_ceil(C::ROWS);
        for ky in 0..s.kh {
            let mut row = 0;
            for t in 0..tiles {
                let end = (t + 1) * s.rows / tiles;
                let (a, out) = (&inputs[ky * s.wide + row..], &mut partial[(ky * s.rows + row) * COLUMNS..]);
                // SAFETY: asserted above.
                unsafe { with_rows!(end - row, tile::<C>(s, a, gradient, out)) }
                row = end;
            }
        }
    }
}

/// P rows, whose numbers are neighbours in `a`.
///
/// # Safety
/// As [`accumulate`] asserts.
#[inline(always)]
unsafe fn tile<C: Columns, const P: usize>(s: Pixels, a: &[f32], b: &[f32], out: &mut [f32]) {
    let mut acc = [C::splat(0.0); P];
    for line in 0..s.lines {
        for j in 0..s.len {
            let (at, from) = (line * s.a_line + j * s.a_step, line * s.b_line + j * s.b_step);
            // SAFETY: passed on to the caller.
            let g = unsafe { C::load(b, from) };
            for p in 0..P {
                // SAFETY: passed on to the caller.
                acc[p] = C::splat(unsafe { *a.get_unchecked(at + p) }).mul_add(g, acc[p]);
            }
        }
    }
    for p in 0..P {
        // SAFETY: passed on to the caller.
        unsafe {
            let sum = if s.add { acc[p].add(C::load(out, p * COLUMNS)) } else { acc[p] };
            sum.store(out, p * COLUMNS);
        }
    }
}
