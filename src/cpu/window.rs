//! Weighted sums over the windows of two planes at once, accumulated in registers.

#![expect(clippy::needless_range_loop, reason = "loops over several arrays of registers at once")]

use super::Map;
use super::simd::{LEN, Vector, for_each_isa, padded};

/// A plane with a margin, so that windows need no bounds; lines are whole vectors.
pub struct Padded {
    values: Vec<f32>,
    stride: usize,
    margin: usize,
    w: usize,
}

impl Padded {
    /// Planes of the size of `image` for windows of `kernel` pixels, the margin filled with `outside`.
    pub fn new(image: Map, kernel: usize, outside: f32) -> Self {
        let margin = kernel / 2;
        let stride = padded(image.w) + 2 * margin;
        Padded { values: vec![outside; stride * (image.h + 2 * margin)], stride, margin, w: image.w }
    }

    /// The `w` elements at line `i`, column `j` of the plane with its margin.
    pub fn line(&self, i: usize, j: usize) -> &[f32] {
        &self.values[i * self.stride + j..][..self.w]
    }

    /// The lines of the plane, without margins.
    pub fn lines_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let (margin, w) = (self.margin, self.w);
        let h = self.values.len() / self.stride - 2 * margin;
        self.values.chunks_exact_mut(self.stride).skip(margin).take(h).map(move |line| &mut line[margin..margin + w])
    }
}

/// Vectors of a line that are accumulated together: with two planes, eight registers.
const BLOCK: usize = 4;

for_each_isa! {
    /// u[i] = sum over the window q of weights[q] a(i+q), and v likewise of b. The weights are those of a square window row
    /// by row; `u` and `v` have lines of whole vectors, see [`padded`].
    pub fn window_sums<V: Vector>(weights: &[f32], a: &Padded, b: &Padded, u: &mut [f32], v: &mut [f32]) {
        let (kernel, line) = (2 * a.margin + 1, padded(a.w));
        let h = a.values.len() / a.stride - 2 * a.margin;
        // These bound every access below.
        assert!(weights.len() == kernel * kernel && a.values.len() == b.values.len() && a.stride == b.stride);
        assert!(u.len() >= h * line && v.len() >= h * line, "{} and {} for {h} lines of {line}", u.len(), v.len());
        for i in 0..h {
            let mut j = 0;
            while j < line {
                let count = ((line - j) / LEN).min(BLOCK);
                let at = [i * a.stride + j, i * line + j];
                match count {
                    1 => block::<V, 1>(weights, kernel, a, b, at, u, v),
                    2 => block::<V, 2>(weights, kernel, a, b, at, u, v),
                    3 => block::<V, 3>(weights, kernel, a, b, at, u, v),
                    _ => block::<V, BLOCK>(weights, kernel, a, b, at, u, v),
                }
                j += count * LEN;
            }
        }
    }
}

/// N vectors of a line, from a[from] and into u[to].
#[inline(always)]
fn block<V: Vector, const N: usize>(
    weights: &[f32],
    kernel: usize,
    a: &Padded,
    b: &Padded,
    [from, to]: [usize; 2],
    u: &mut [f32],
    v: &mut [f32],
) {
    let mut sums = [[V::splat(0.0); N]; 2];
    for (di, weights) in weights.chunks_exact(kernel).enumerate() {
        for (dj, &weight) in weights.iter().enumerate() {
            let (weight, at) = (V::splat(weight), from + di * a.stride + dj);
            for n in 0..N {
                // SAFETY: line i + di of the padded plane, columns up to those of the last vector plus the margins.
                unsafe {
                    sums[0][n] = weight.mul_add(V::load(&a.values, at + n * LEN), sums[0][n]);
                    sums[1][n] = weight.mul_add(V::load(&b.values, at + n * LEN), sums[1][n]);
                }
            }
        }
    }
    for n in 0..N {
        // SAFETY: the caller's lines are whole vectors.
        unsafe {
            sums[0][n].store(u, to + n * LEN);
            sums[1][n].store(v, to + n * LEN);
        }
    }
}

/// Taps of a row of the window that are accumulated together.
const TAPS: usize = 8;

for_each_isa! {
    /// sums[q] += sum over pixels i of g(i) (a(i+q) - y(i) b(i+q)) for every position q of the window. `g` and `y` have lines
    /// of whole vectors, zero beyond the image in `g`.
    pub fn window_products<V: Vector>(g: &[f32], y: &[f32], a: &Padded, b: &Padded, sums: &mut [f32]) {
        let (kernel, line) = (2 * a.margin + 1, padded(a.w));
        let h = a.values.len() / a.stride - 2 * a.margin;
        // These bound every access below.
        assert!(sums.len() == kernel * kernel && a.values.len() == b.values.len() && a.stride == b.stride);
        assert!(g.len() >= h * line && y.len() >= h * line, "{} and {} for {h} lines of {line}", g.len(), y.len());
        for (di, sums) in sums.chunks_exact_mut(kernel).enumerate() {
            for (dj, sums) in sums.chunks_mut(TAPS).enumerate() {
                let from = di * a.stride + dj * TAPS;
                match sums.len() {
                    1 => taps::<V, 1>(g, y, a, b, from, h, sums),
                    2 => taps::<V, 2>(g, y, a, b, from, h, sums),
                    3 => taps::<V, 3>(g, y, a, b, from, h, sums),
                    4 => taps::<V, 4>(g, y, a, b, from, h, sums),
                    5 => taps::<V, 5>(g, y, a, b, from, h, sums),
                    6 => taps::<V, 6>(g, y, a, b, from, h, sums),
                    7 => taps::<V, 7>(g, y, a, b, from, h, sums),
                    _ => taps::<V, TAPS>(g, y, a, b, from, h, sums),
                }
            }
        }
    }
}

/// N neighbouring positions of the window, the first of them reading from a[from].
#[inline(always)]
fn taps<V: Vector, const N: usize>(
    g: &[f32],
    y: &[f32],
    a: &Padded,
    b: &Padded,
    from: usize,
    h: usize,
    sums: &mut [f32],
) {
    let line = padded(a.w);
    let mut total = [V::splat(0.0); N];
    for i in 0..h {
        for j in (0..line).step_by(LEN) {
            // SAFETY: inside lines of whole vectors; in the padded planes, line i + di and columns up to those of the
            // last vector plus the margins.
            unsafe {
                let (g, y) = (V::load(g, i * line + j), V::load(y, i * line + j));
                for (n, total) in total.iter_mut().enumerate() {
                    let at = from + i * a.stride + j + n;
                    let difference = y.neg_mul_add(V::load(&b.values, at), V::load(&a.values, at));
                    *total = g.mul_add(difference, *total);
                }
            }
        }
    }
    for (sum, total) in sums.iter_mut().zip(total) {
        *sum += total.sum();
    }
}
