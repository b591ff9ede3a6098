//! dbeta[r,g] = sum over pixels of matrix[g,p] dgrid[r,p].

#![expect(clippy::needless_range_loop, reason = "loops over several arrays of registers at once")]

use super::rows::{Cut, RowKernel};
use super::simd::{Isa, LEN, Vector, for_each_isa, padded};

/// Pixels whose gradients are laid out by coordinate and summed with the same control points.
const BLOCK: usize = 256;
/// Control points whose sums are accumulated together: fewer would wait for each sum.
const TOGETHER: usize = 4;

/// `controls` control points for `pixels` pixels.
pub fn kernel(isa: Isa, rows: usize, controls: usize, pixels: usize) -> RowKernel {
    let inputs = vec![Cut::Whole, Cut::Own(2 * pixels)];
    RowKernel::plain(rows, inputs, vec![2 * controls], move |i, [dbeta, _]| sums(isa, i[0], i[1], dbeta))
}

for_each_isa! {
    fn sums<V: Vector>(matrix: &[f32], dgrid: &[f32], dbeta: &mut [f32]) {
        let pixels = dgrid.len() / 2;
        dbeta.fill(0.0);
        for (first, dgrid) in dgrid.chunks(2 * BLOCK).enumerate() {
            let (mut x, mut y) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
            for ((x, y), point) in x.iter_mut().zip(&mut y).zip(dgrid.chunks_exact(2)) {
                (*x, *y) = (point[0], point[1]);
            }
            let (at, count) = (first * BLOCK, dgrid.len() / 2);
            for (lines, db) in matrix.chunks(TOGETHER * pixels).zip(dbeta.chunks_mut(2 * TOGETHER)) {
                if db.len() == 2 * TOGETHER {
                    add::<V, TOGETHER>(lines, pixels, at, count, &x, &y, db);
                } else {
                    for (line, db) in lines.chunks_exact(pixels).zip(db.chunks_exact_mut(2)) {
                        add::<V, 1>(line, pixels, at, count, &x, &y, db);
                    }
                }
            }
        }
    }
}

/// db[g] += sum over `count` pixels from the first on of lines[g,p] (x[p], y[p]) for N control points.
#[inline(always)]
fn add<V: Vector, const N: usize>(
    lines: &[f32],
    pixels: usize,
    first: usize,
    count: usize,
    x: &[f32; BLOCK],
    y: &[f32; BLOCK],
    db: &mut [f32],
) {
    assert!((N - 1) * pixels + first + count <= lines.len() && count <= BLOCK, "{count} pixels from {first}");
    let mut sums = [[V::splat(0.0); 2]; N];
    for j in (0..padded(count)).step_by(LEN) {
        // SAFETY: blocks are whole vectors.
        let point = unsafe { [V::load(x, j), V::load(y, j)] };
        for g in 0..N {
            let at = g * pixels + first + j;
            let line = if j + LEN <= count {
                // SAFETY: asserted above.
                unsafe { V::load(lines, at) }
            } else {
                let mut rest = [0.0; LEN];
                rest[..count - j].copy_from_slice(&lines[at..at + count - j]);
                // SAFETY: a vector.
                unsafe { V::load(&rest, 0) }
            };
            for k in 0..2 {
                sums[g][k] = line.mul_add(point[k], sums[g][k]);
            }
        }
    }
    for g in 0..N {
        for k in 0..2 {
            db[2 * g + k] += sums[g][k].sum();
        }
    }
}
