//! Products of transformed tiles: one position of all tiles of a strip times one block of 16 columns.

use super::simd::{COLUMNS, Columns, Isa, for_each_isa, with_rows};
use super::winograd::{POSITIONS, TILE_STEP};

/// out[tile,p,0..16] = sum over j < k of a[tile,p,j] b[p,j,0..16] for every position p: a is [k/16,tiles,36,16], b [36,k,16], out
/// [tiles,36,16].
pub fn multiply_positions(isa: Isa, tiles: usize, k: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    for position in 0..POSITIONS {
        let at = position * COLUMNS;
        multiply_panel(isa, tiles, k, &a[at..], &b[at * k..], &mut out[at..]);
    }
}

for_each_isa! {
    /// out[tile,0..16] = sum over j < k of a[tile,j] b[j,0..16] of one position: a is [k/16,tiles,36,16] from that position
    /// on, b [k,16], out [tiles,36,16]. k is a multiple of 16. The loop over register tiles is inside, which short sums need.
    fn multiply_panel<C: Columns>(tiles: usize, k: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
        if tiles == 0 || k == 0 {
            return;
        }
        // These bound every access of the register tiles.
        assert!(k.is_multiple_of(COLUMNS) && k * COLUMNS <= b.len(), "k {k}, b of {}", b.len());
        assert!((k / COLUMNS * tiles - 1) * TILE_STEP + COLUMNS <= a.len(), "{tiles} tiles, k {k} of {}", a.len());
        assert!((tiles - 1) * TILE_STEP + COLUMNS <= out.len(), "{tiles} tiles to {}", out.len());
        let parts = tiles.div_ceil(C::ROWS);
        let mut start = 0;
        for part in 0..parts {
            let end = (part + 1) * tiles / parts;
            let (a, out) = (&a[start * TILE_STEP..], &mut out[start * TILE_STEP..]);
            // SAFETY: asserted above.
            unsafe { with_rows!(end - start, rows::<C>(tiles, k, a, b, out)) }
            start = end;
        }
    }
}

/// The first P tiles of a panel.
///
/// # Safety
/// As [`multiply_panel`] asserts.
#[inline(always)]
unsafe fn rows<C: Columns, const P: usize>(tiles: usize, k: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    let mut acc = [C::splat(0.0); P];
    for block in 0..k / COLUMNS {
        let (from, line) = (block * tiles * TILE_STEP, block * COLUMNS);
        for j in 0..COLUMNS {
            // SAFETY: passed on to the caller.
            unsafe {
                let w = C::load(b, (line + j) * COLUMNS);
                for (p, acc) in acc.iter_mut().enumerate() {
                    *acc = C::splat(*a.get_unchecked(from + j + p * TILE_STEP)).mul_add(w, *acc);
                }
            }
        }
    }
    for (p, acc) in acc.into_iter().enumerate() {
        // SAFETY: passed on to the caller.
        unsafe { acc.store(out, p * TILE_STEP) };
    }
}
