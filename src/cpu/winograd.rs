//! The transforms of Winograd's convolution F(4x4, 3x3) (Lavin and Gray 2016): tiles of 4 x 4 outputs from 6 x 6 inputs,
//! with 36 products where the window has 144. Channels last; a transformed tile of 16 channels is [36 positions, 16].
//!
//! With the matrices A, B and G of the algorithm the result is y = A^T ((G g G^T) . (B^T d B)) A, and the gradient of the
//! window is dg = G^T (sum over tiles of (A dy A^T) . (B^T d B)) G. They are those of the points 0, +-3/4, +-3/2 and
//! infinity. The usual points 0, +-1, +-2 take as many operations and leave errors about twice as large.

#![expect(clippy::needless_range_loop, reason = "loops over several arrays of registers at once")]

use super::Map;
use super::conv2d::Weights;
use super::simd::{COLUMNS, Register, for_each_isa, prefetch};
use crate::tape::ConvSpec;
use std::ops::Range;

/// Pixels of a tile of outputs in each direction.
const SIDE: usize = 4;
/// Pixels of a tile of inputs in each direction.
const WIDE: usize = SIDE + 2;
/// Positions of a transformed tile.
pub const POSITIONS: usize = WIDE * WIDE;

// The points +-P and +-Q, their powers, and what G divides by: for each point the product of its distances to the others.
// All but the reciprocals are exact in f32.
const P: f32 = 0.75;
const Q: f32 = 1.5;
const P2: f32 = P * P;
const Q2: f32 = Q * Q;
const P3: f32 = P2 * P;
const Q3: f32 = Q2 * Q;
const BY_0: f32 = 1.0 / (P2 * Q2);
const BY_P: f32 = 1.0 / (2.0 * P2 * (P2 - Q2));
const BY_Q: f32 = 1.0 / (2.0 * Q2 * (Q2 - P2));

/// Whether a convolution of maps of this size can be computed this way, and gains by it.
pub fn applies(map: Map, w: Weights, spec: ConvSpec) -> bool {
    let window = (w.kh, w.kw, spec.stride, spec.pad) == (3, 3, 1, 1);
    let products = POSITIONS * Tiles::new(map).count;
    // At most three quarters of the products, since the transforms take time too.
    let gains = 4 * products <= 3 * 9 * map.pixels();
    window && gains && w.ci.is_multiple_of(COLUMNS) && w.co.is_multiple_of(COLUMNS)
}

/// Tiles of an image of `h` x `w` pixels.
#[derive(Clone, Copy, Debug)]
pub struct Tiles {
    pub h: usize,
    pub w: usize,
    /// Tiles in a line.
    across: usize,
    /// All tiles.
    pub count: usize,
}

/// The tiles of one image in a strip of tiles of several.
#[derive(Clone, Debug)]
pub struct Piece {
    pub image: usize,
    pub tiles: Range<usize>,
    /// Where they begin in the strip.
    pub at: usize,
}

impl Tiles {
    pub fn new(map: Map) -> Self {
        let (across, down) = (map.w.div_ceil(SIDE), map.h.div_ceil(SIDE));
        Tiles { h: map.h, w: map.w, across, count: across * down }
    }

    /// Asks for the lines of a tile from one on, those that the tile below needs anew; where there is none that is about what
    /// the next image begins with.
    #[inline(always)]
    fn prefetch(&self, image: &[f32], [line, column]: [usize; 2], c: usize, channels: Range<usize>) {
        for line in line..line + SIDE {
            for column in column..column + SIDE {
                let pixel = (line * self.w + column) * c;
                channels.clone().step_by(COLUMNS).for_each(|channel| prefetch(image, pixel + channel));
            }
        }
    }

    /// A strip of the tiles of several images, by image.
    pub fn pieces(&self, strip: Range<usize>) -> impl Iterator<Item = Piece> + use<> {
        let count = self.count;
        let images = strip.start / count..strip.end.div_ceil(count);
        images.map(move |image| {
            let first = image * count;
            let tiles = strip.start.max(first)..strip.end.min(first + count);
            Piece { image, at: tiles.start - strip.start, tiles: tiles.start - first..tiles.end - first }
        })
    }
}

/// Strips of at most `most` out of `all` tiles.
pub fn strips(all: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..all).step_by(most).map(move |first| first..all.min(first + most))
}

/// Numbers from one transformed tile of 16 channels [36,16] to the next: an odd number of cache lines, else the tiles would
/// share a few sets of the cache.
pub const TILE_STEP: usize = (POSITIONS + 1) * COLUMNS;

/// Numbers of transformed tiles [c/16,tiles,36,16].
pub fn transformed_len(tiles: usize, c: usize) -> usize {
    c / COLUMNS * tiles * TILE_STEP
}

/// x P2 Q2 - y (P2 + Q2) + z.
#[inline(always)]
fn end<W: Register>(x: W, y: W, z: W) -> W {
    x.mul_add(W::splat(P2 * Q2), y.mul_add(W::splat(-(P2 + Q2)), z))
}

/// B^T d of six values.
#[inline(always)]
fn input<W: Register>(d: [W; WIDE]) -> [W; WIDE] {
    let by = W::splat;
    let (even_p, odd_p) = (d[2].mul_add(by(-Q2), d[4]), d[1].mul_add(by(-Q2), d[3]));
    let (even_q, odd_q) = (d[2].mul_add(by(-P2), d[4]), d[1].mul_add(by(-P2), d[3]));
    [
        end(d[0], d[2], d[4]),
        odd_p.mul_add(by(P), even_p),
        odd_p.mul_add(by(-P), even_p),
        odd_q.mul_add(by(Q), even_q),
        odd_q.mul_add(by(-Q), even_q),
        end(d[1], d[3], d[5]),
    ]
}

/// A^T m of six values.
#[inline(always)]
fn output<W: Register>(m: [W; WIDE]) -> [W; SIDE] {
    let by = W::splat;
    let (even_p, odd_p) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (even_q, odd_q) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(even_p).add(even_q),
        odd_p.mul_add(by(P), odd_q.mul(by(Q))),
        even_p.mul_add(by(P2), even_q.mul(by(Q2))),
        odd_p.mul_add(by(P3), odd_q.mul_add(by(Q3), m[5])),
    ]
}

/// A y of four values.
#[inline(always)]
fn gradient<W: Register>(y: [W; SIDE]) -> [W; WIDE] {
    let by = W::splat;
    let (even_p, odd_p) = (y[2].mul_add(by(P2), y[0]), y[3].mul_add(by(P2), y[1]));
    let (even_q, odd_q) = (y[2].mul_add(by(Q2), y[0]), y[3].mul_add(by(Q2), y[1]));
    [
        y[0],
        odd_p.mul_add(by(P), even_p),
        odd_p.mul_add(by(-P), even_p),
        odd_q.mul_add(by(Q), even_q),
        odd_q.mul_add(by(-Q), even_q),
        y[3],
    ]
}

/// G g of three values.
#[inline(always)]
fn window<W: Register>(g: [W; 3]) -> [W; WIDE] {
    let by = W::splat;
    let (even_p, odd_p) = (g[2].mul_add(by(P2), g[0]).mul(by(BY_P)), g[1].mul(by(P * BY_P)));
    let (even_q, odd_q) = (g[2].mul_add(by(Q2), g[0]).mul(by(BY_Q)), g[1].mul(by(Q * BY_Q)));
    [g[0].mul(by(BY_0)), even_p.add(odd_p), even_p.sub(odd_p), even_q.add(odd_q), even_q.sub(odd_q), g[2]]
}

/// G^T s of six values.
#[inline(always)]
fn window_gradient<W: Register>(s: [W; WIDE]) -> [W; 3] {
    let by = W::splat;
    let (even_p, odd_p) = (s[1].add(s[2]).mul(by(BY_P)), s[1].sub(s[2]).mul(by(BY_P)));
    let (even_q, odd_q) = (s[3].add(s[4]).mul(by(BY_Q)), s[3].sub(s[4]).mul(by(BY_Q)));
    [
        s[0].mul_add(by(BY_0), even_p.add(even_q)),
        odd_p.mul_add(by(P), odd_q.mul(by(Q))),
        even_p.mul_add(by(P2), even_q.mul_add(by(Q2), s[5])),
    ]
}

/// Asserts what bounds every access of the transforms of a part of an image [h,w,c].
fn check(part: &Part, image: &[f32], c: usize, to: &[f32]) {
    let Part { tiles, piece, channels, all } = part;
    let whole = channels.len().is_multiple_of(COLUMNS) && channels.start.is_multiple_of(COLUMNS) && channels.end <= c;
    assert!(whole && piece.tiles.end <= tiles.count, "{part:?} of {c} channels");
    assert!(tiles.h * tiles.w * c <= image.len(), "{tiles:?} of {c} channels in {}", image.len());
    let len = transformed_len(*all, channels.len());
    assert!(piece.at + piece.tiles.len() <= *all && len <= to.len(), "{part:?} in {}", to.len());
}

/// The square of N x N pixels whose corner is line `top` and column `left` of an image, `zeros` for those beyond it.
///
/// # Safety
/// The image has the pixels of `tiles`, of as many channels as there are zeros.
#[inline(always)]
unsafe fn square<'a, const N: usize>(
    tiles: Tiles,
    image: &'a [f32],
    [top, left]: [isize; 2],
    zeros: &'a [f32],
) -> [[&'a [f32]; N]; N] {
    let c = zeros.len();
    let mut pixels = [[zeros; N]; N];
    for i in 0..N {
        for j in 0..N {
            let (line, column) = ((top + i as isize) as usize, (left + j as isize) as usize);
            let at = (line.wrapping_mul(tiles.w).wrapping_add(column)).wrapping_mul(c);
            if line < tiles.h && column < tiles.w {
                // SAFETY: a pixel of the image.
                pixels[i][j] = unsafe { image.get_unchecked(at..at + c) };
            }
        }
    }
    pixels
}

/// The transform along one direction of squares of N x N pixels.
trait Along<const N: usize> {
    /// Pixels from the corner of a square to that of its tile.
    const BEFORE: usize;

    fn along<W: Register>(values: [W; N]) -> [W; WIDE];
}

struct Input;

impl Along<WIDE> for Input {
    const BEFORE: usize = 1;

    #[inline(always)]
    fn along<W: Register>(values: [W; WIDE]) -> [W; WIDE] {
        input(values)
    }
}

struct Gradient;

impl Along<SIDE> for Gradient {
    const BEFORE: usize = 0;

    #[inline(always)]
    fn along<W: Register>(values: [W; SIDE]) -> [W; WIDE] {
        gradient(values)
    }
}

/// Some channels of the tiles of an image.
#[derive(Clone, Debug)]
pub struct Part {
    pub tiles: Tiles,
    pub piece: Piece,
    /// Whole blocks of 16.
    pub channels: Range<usize>,
    /// All tiles of the strip.
    pub all: usize,
}

/// Transforms squares along both directions; see [`transform_input`].
#[inline(always)]
fn transform<W: Register, A: Along<N>, const N: usize>(part: Part, image: &[f32], zeros: &[f32], to: &mut [f32]) {
    check(&part, image, zeros.len(), to);
    let Part { tiles, piece, channels, all } = part;
    for (n, tile) in piece.tiles.enumerate() {
        let (line, column) = (tile / tiles.across * SIDE, tile % tiles.across * SIDE);
        let corner = [line, column].map(|i| i as isize - A::BEFORE as isize);
        tiles.prefetch(image, [line + SIDE + A::BEFORE, column], zeros.len(), channels.clone());
        // SAFETY: checked above.
        let pixels = unsafe { square::<N>(tiles, image, corner, zeros) };
        for channel in channels.clone().step_by(W::COUNT) {
            let at = channel - channels.start;
            let to = &mut to[(at / COLUMNS * all + piece.at + n) * TILE_STEP + at % COLUMNS..];
            let mut columns = [[W::splat(0.0); WIDE]; N];
            for j in 0..N {
                let mut column = [W::splat(0.0); N];
                for i in 0..N {
                    // SAFETY: a pixel has as many channels as there are zeros, which was checked.
                    column[i] = unsafe { W::load(pixels[i][j], channel) };
                }
                columns[j] = A::along(column);
            }
            for i in 0..WIDE {
                let mut line = [W::splat(0.0); N];
                for j in 0..N {
                    line[j] = columns[j][i];
                }
                let line = A::along(line);
                for j in 0..WIDE {
                    // SAFETY: checked above.
                    unsafe { line[j].store(to, (WIDE * i + j) * COLUMNS) };
                }
            }
        }
    }
}

for_each_isa! {
    /// v [channels/16,all,36,16] = B^T d B of tiles of an image [h,w,c]; `zeros` has c of them.
    pub fn transform_input<W: Widest>(part: Part, image: &[f32], zeros: &[f32], v: &mut [f32]) {
        transform::<W, Input, WIDE>(part, image, zeros, v);
    }
}

for_each_isa! {
    /// u [channels/16,all,36,16] = A dy A^T of tiles of a gradient [h,w,c]; `zeros` has c of them.
    pub fn transform_gradient<W: Widest>(part: Part, dy: &[f32], zeros: &[f32], u: &mut [f32]) {
        transform::<W, Gradient, SIDE>(part, dy, zeros, u);
    }
}

for_each_isa! {
    /// 16 channels, from `first` on, of the tiles of an image y [h,w,c] = A^T m A, from m [tiles,36,16].
    pub fn transform_output<W: Widest>(tiles: Tiles, piece: Piece, m: &[f32], first: usize, c: usize, y: &mut [f32]) {
        // These bound every access below.
        assert!((piece.at + piece.tiles.len()) * TILE_STEP <= m.len(), "{piece:?} in {}", m.len());
        assert!(piece.tiles.end <= tiles.count && y.len() >= tiles.h * tiles.w * c, "{piece:?} of {tiles:?}");
        assert!(first + COLUMNS <= c, "channels from {first} of {c}");
        for (n, tile) in piece.tiles.enumerate() {
            let (line, column) = (tile / tiles.across * SIDE, tile % tiles.across * SIDE);
            let (high, wide) = (tiles.h - line, tiles.w - column);
            let whole = high >= SIDE && wide >= SIDE;
            for channel in (0..COLUMNS).step_by(W::COUNT) {
                let from = &m[(piece.at + n) * TILE_STEP + channel..];
                let to = &mut y[(line * tiles.w + column) * c + first + channel..];
                let mut columns = [[W::splat(0.0); SIDE]; WIDE];
                for j in 0..WIDE {
                    let mut column = [W::splat(0.0); WIDE];
                    for i in 0..WIDE {
                        // SAFETY: asserted above.
                        column[i] = unsafe { W::load(from, (WIDE * i + j) * COLUMNS) };
                    }
                    columns[j] = output(column);
                }
                for i in 0..SIDE {
                    let mut line = [W::splat(0.0); WIDE];
                    for j in 0..WIDE {
                        line[j] = columns[j][i];
                    }
                    let line = output(line);
                    for j in 0..SIDE {
                        if whole || i < high && j < wide {
                            // SAFETY: a pixel of the image.
                            unsafe { line[j].store(to, (i * tiles.w + j) * c) };
                        }
                    }
                }
            }
        }
    }
}

for_each_isa! {
    /// u [36] = G g G^T of windows g [9], for 16 columns each; in `u` the positions are so many numbers apart.
    pub fn transform_window<C: Columns>(g: &[[f32; COLUMNS]; 9], apart: usize, u: &mut [f32]) {
        assert!((POSITIONS - 1) * apart + COLUMNS <= u.len(), "positions {apart} apart in {}", u.len());
        let mut columns = [[C::splat(0.0); WIDE]; 3];
        for j in 0..3 {
            let mut column = [C::splat(0.0); 3];
            for i in 0..3 {
                // SAFETY: sixteen numbers.
                column[i] = unsafe { C::load(&g[3 * i + j], 0) };
            }
            columns[j] = window(column);
        }
        for i in 0..WIDE {
            let line = window([columns[0][i], columns[1][i], columns[2][i]]);
            for j in 0..WIDE {
                // SAFETY: asserted above.
                unsafe { line[j].store(u, (WIDE * i + j) * apart) };
            }
        }
    }
}

for_each_isa! {
    /// dg [9,rows,16] = G^T s G of sums s [36,rows,16].
    pub fn transform_sums<C: Columns>(s: &[f32], rows: usize, dg: &mut [f32]) {
        assert_eq!((s.len(), dg.len()), (POSITIONS * rows * COLUMNS, 9 * rows * COLUMNS), "{rows} rows");
        for row in 0..rows {
            let mut columns = [[C::splat(0.0); 3]; WIDE];
            for j in 0..WIDE {
                let mut column = [C::splat(0.0); WIDE];
                for i in 0..WIDE {
                    // SAFETY: asserted above.
                    column[i] = unsafe { C::load(s, ((WIDE * i + j) * rows + row) * COLUMNS) };
                }
                columns[j] = window_gradient(column);
            }
            for i in 0..3 {
                let mut line = [C::splat(0.0); WIDE];
                for j in 0..WIDE {
                    line[j] = columns[j][i];
                }
                let line = window_gradient(line);
                for j in 0..3 {
                    // SAFETY: asserted above.
                    unsafe { line[j].store(dg, ((3 * i + j) * rows + row) * COLUMNS) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::panel::multiply_positions;
    use super::super::simd::Isa;
    use super::*;

    const C: usize = 2 * COLUMNS;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let next = |i: u32| (i.wrapping_mul(2654435761).wrapping_add(seed) >> 8) as f32 / 8388608.0 - 1.0;
        (0..n as u32).map(next).collect()
    }

    /// Weights [16,C,9] of a convolution to 16 channels, and their transforms [36,C,16].
    fn weights(isa: Isa) -> (Vec<f32>, Vec<f32>) {
        let (w, mut u) = (numbers(COLUMNS * C * 9, 5), vec![0.0; POSITIONS * C * COLUMNS]);
        for i in 0..C {
            let windows = std::array::from_fn(|p| std::array::from_fn(|o| w[(o * C + i) * 9 + p]));
            transform_window(isa, &windows, C * COLUMNS, &mut u[i * COLUMNS..]);
        }
        (w, u)
    }

    /// y[p,o] of the direct form, in f64 and in f32.
    fn direct(tiles: Tiles, x: &[f32], w: &[f32]) -> Vec<(f64, f32)> {
        let mut y = vec![(0.0, 0.0); tiles.h * tiles.w * COLUMNS];
        for (at, y) in y.iter_mut().enumerate() {
            let (pixel, o) = (at / COLUMNS, at % COLUMNS);
            for (p, i) in (0..9).flat_map(|p| (0..C).map(move |i| (p, i))) {
                let (line, column) = (pixel / tiles.w + p / 3, pixel % tiles.w + p % 3);
                if (1..=tiles.h).contains(&line) && (1..=tiles.w).contains(&column) {
                    let (x, w) = (x[((line - 1) * tiles.w + column - 1) * C + i], w[(o * C + i) * 9 + p]);
                    *y = (y.0 + f64::from(x) * f64::from(w), y.1 + x * w);
                }
            }
        }
        y
    }

    /// They are 2.5 to 4.4 times as large, and 4.2 to 8.7 times with the points 0, +-1, +-2. Sizes with whole tiles and with
    /// parts of them, every instruction set, a strip in two pieces.
    #[test]
    fn errors_are_about_four_times_those_of_the_direct_form() {
        for (h, w) in [(8, 12), (7, 7), (5, 10), (1, 9)] {
            let tiles = Tiles::new(Map { b: 1, c: C, h, w });
            let x = numbers(h * w * C, 3);
            for isa in Isa::available() {
                let (filters, u) = weights(isa);
                let expected = direct(tiles, &x, &filters);
                let (mut v, mut m) =
                    (vec![0.0; transformed_len(tiles.count, C)], vec![0.0; transformed_len(tiles.count, COLUMNS)]);
                let mut y = vec![f32::NAN; h * w * COLUMNS];
                let half = tiles.count / 2;
                let pieces = [0..half, half..tiles.count].map(|part| Piece { image: 0, at: part.start, tiles: part });
                for piece in pieces.clone() {
                    let part = Part { tiles, piece, channels: 0..C, all: tiles.count };
                    transform_input(isa, part, &x, &[0.0; C], &mut v);
                }
                multiply_positions(isa, tiles.count, C, &v, &u, &mut m);
                for piece in pieces {
                    transform_output(isa, tiles, piece, &m, 0, COLUMNS, &mut y);
                }
                let error = |other: &dyn Fn(usize) -> f32| -> f64 {
                    let squares =
                        expected.iter().enumerate().map(|(i, &(exact, _))| (f64::from(other(i)) - exact).powi(2));
                    (squares.sum::<f64>() / y.len() as f64).sqrt()
                };
                let (ours, theirs) = (error(&|i| y[i]), error(&|i| expected[i].1));
                assert!(ours < 5.5 * theirs, "{isa:?}, {h} x {w}: {ours:e}, the direct form {theirs:e}");
                assert!(ours > 0.1 * theirs, "{isa:?}, {h} x {w}: errors of {ours:e} are too good to be true");
            }
        }
    }

    #[test]
    #[should_panic(expected = "Piece")]
    fn tiles_beyond_the_image_are_refused() {
        let tiles = Tiles::new(Map { b: 1, c: COLUMNS, h: 8, w: 8 });
        let piece = Piece { image: 0, tiles: 0..5, at: 0 };
        let part = Part { tiles, piece, channels: 0..COLUMNS, all: 8 };
        transform_input(Isa::detect(), part, &[0.0; 1024], &[0.0; COLUMNS], &mut [0.0; 8 * TILE_STEP]);
    }
}
