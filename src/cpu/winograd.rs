//! The transforms of Winograd's convolution F(4x4, 3x3) (Lavin and Gray 2016): tiles of 4 x 4 outputs from 6 x 6 inputs,
//! with 36 products where the window has 144. Channels last; a transformed tile is 36 positions, and positions come first.
//!
//! With the matrices A, B and G of the algorithm the result is y = A^T ((G g G^T) . (B^T d B)) A, and the gradient of the
//! window is dg = G^T (sum over tiles of (A dy A^T) . (B^T d B)) G. They are those of the points 0, +-3/4, +-3/2 and
//! infinity. The usual points 0, +-1, +-2 take as many operations and leave errors twice to five times as large.

#![expect(clippy::needless_range_loop, reason = "loops over several arrays of registers at once")]

use super::Map;
use super::conv2d::Weights;
use super::layout::Border;
use super::simd::{COLUMNS, Register, for_each_isa};
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
    // A transform takes about as long as a quarter of what it saves with 16 channels.
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

    /// Pixels to the right of and below the image that its tiles reach.
    fn beyond(&self) -> [usize; 2] {
        [SIDE * self.across - self.w, SIDE * (self.count / self.across) - self.h]
    }

    /// Zeros around an input, so that every tile finds its 6 x 6 pixels.
    pub fn around_input(&self) -> Border {
        let [right, bottom] = self.beyond();
        Border { top: 1, left: 1, bottom: bottom + 1, right: right + 1 }
    }

    /// Zeros around an output, so that it consists of whole tiles.
    pub fn around_output(&self) -> Border {
        let [right, bottom] = self.beyond();
        Border { top: 0, left: 0, bottom, right }
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

/// Where the number of a transformed tile is: from one position, block of 16 channels and tile to the next.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub position: usize,
    pub block: usize,
    pub tile: usize,
}

impl Spread {
    /// [36,tiles,c].
    pub fn by_tile(tiles: usize, c: usize) -> Self {
        Spread { position: apart(tiles * c), block: COLUMNS, tile: c }
    }

    /// [36,c/16,tiles,16].
    pub fn by_block(tiles: usize, c: usize) -> Self {
        Spread { position: apart(tiles * c), block: tiles * COLUMNS, tile: COLUMNS }
    }

    /// Numbers of all positions.
    pub fn len(&self) -> usize {
        POSITIONS * self.position
    }
}

/// At least so many numbers, and an odd number of cache lines: else positions would share a few sets of the cache.
fn apart(numbers: usize) -> usize {
    (numbers.div_ceil(COLUMNS) | 1) * COLUMNS
}

/// B^T d of six values.
#[inline(always)]
fn input<W: Register>(d: [W; WIDE]) -> [W; WIDE] {
    let by = W::splat;
    let ends = |x: W, y: W, z: W| x.mul_add(by(P2 * Q2), y.mul_add(by(-(P2 + Q2)), z));
    let (even_p, odd_p) = (d[2].mul_add(by(-Q2), d[4]), d[1].mul_add(by(-Q2), d[3]));
    let (even_q, odd_q) = (d[2].mul_add(by(-P2), d[4]), d[1].mul_add(by(-P2), d[3]));
    [
        ends(d[0], d[2], d[4]),
        odd_p.mul_add(by(P), even_p),
        odd_p.mul_add(by(-P), even_p),
        odd_q.mul_add(by(Q), even_q),
        odd_q.mul_add(by(-Q), even_q),
        ends(d[1], d[3], d[5]),
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

/// The tiles of `piece` in a map padded to lines of `wide` numbers: asserts that their `reach` x `reach` pixels of `c` channels
/// are inside of `map`, and their transforms inside of `v`. These bound every access of the transforms.
fn check(tiles: Tiles, piece: &Piece, reach: usize, map: &[f32], wide: usize, c: usize, spread: Spread, v: &[f32]) {
    assert!(c.is_multiple_of(COLUMNS) && piece.tiles.end <= tiles.count, "{piece:?} of {tiles:?}, {c} channels");
    if let Some(last) = piece.tiles.clone().last() {
        let line = last / tiles.across * SIDE + reach - 1;
        let pixel = (tiles.across - 1) * SIDE + reach;
        assert!(line * wide + pixel * c <= map.len(), "{piece:?} of {tiles:?} in a map of {}", map.len());
        let tile = piece.at + piece.tiles.len() - 1;
        let end = (POSITIONS - 1) * spread.position + (c / COLUMNS - 1) * spread.block + tile * spread.tile + COLUMNS;
        assert!(end <= v.len(), "{piece:?} spread as {spread:?} over {}", v.len());
    }
}

for_each_isa! {
    /// v = B^T d B of the tiles of a padded input with lines of `wide` numbers.
    pub fn transform_input<W: Widest>(
        tiles: Tiles, piece: Piece, padded: &[f32], wide: usize, c: usize, spread: Spread, v: &mut [f32],
    ) {
        check(tiles, &piece, WIDE, padded, wide, c, spread, v);
        for (n, tile) in piece.tiles.enumerate() {
            let from = tile / tiles.across * SIDE * wide + tile % tiles.across * SIDE * c;
            for channel in (0..c).step_by(W::COUNT) {
                let to = channel / COLUMNS * spread.block + (piece.at + n) * spread.tile + channel % COLUMNS;
                let mut columns = [[W::splat(0.0); WIDE]; WIDE];
                for j in 0..WIDE {
                    let mut column = [W::splat(0.0); WIDE];
                    for i in 0..WIDE {
                        // SAFETY: checked above.
                        column[i] = unsafe { W::load(padded, from + i * wide + j * c + channel) };
                    }
                    columns[j] = input(column);
                }
                for i in 0..WIDE {
                    let mut line = [W::splat(0.0); WIDE];
                    for j in 0..WIDE {
                        line[j] = columns[j][i];
                    }
                    let line = input(line);
                    for j in 0..WIDE {
                        // SAFETY: checked above.
                        unsafe { line[j].store(v, (WIDE * i + j) * spread.position + to) };
                    }
                }
            }
        }
    }
}

for_each_isa! {
    /// u = A dy A^T of the tiles of a gradient padded to whole tiles, with lines of `wide` numbers.
    pub fn transform_gradient<W: Widest>(
        tiles: Tiles, piece: Piece, padded: &[f32], wide: usize, c: usize, spread: Spread, u: &mut [f32],
    ) {
        check(tiles, &piece, SIDE, padded, wide, c, spread, u);
        for (n, tile) in piece.tiles.enumerate() {
            let from = tile / tiles.across * SIDE * wide + tile % tiles.across * SIDE * c;
            for channel in (0..c).step_by(W::COUNT) {
                let to = channel / COLUMNS * spread.block + (piece.at + n) * spread.tile + channel % COLUMNS;
                let mut columns = [[W::splat(0.0); WIDE]; SIDE];
                for j in 0..SIDE {
                    let mut column = [W::splat(0.0); SIDE];
                    for i in 0..SIDE {
                        // SAFETY: checked above.
                        column[i] = unsafe { W::load(padded, from + i * wide + j * c + channel) };
                    }
                    columns[j] = gradient(column);
                }
                for i in 0..WIDE {
                    let line = gradient([columns[0][i], columns[1][i], columns[2][i], columns[3][i]]);
                    for j in 0..WIDE {
                        // SAFETY: checked above.
                        unsafe { line[j].store(u, (WIDE * i + j) * spread.position + to) };
                    }
                }
            }
        }
    }
}

for_each_isa! {
    /// 16 channels, from `first` on, of the tiles of an image y [h,w,c] = A^T m A, from m [36,tiles,16] with `position` numbers
    /// from one position to the next.
    pub fn transform_output<W: Widest>(
        tiles: Tiles, piece: Piece, m: &[f32], position: usize, first: usize, c: usize, y: &mut [f32],
    ) {
        // These bound every access below.
        let end = (POSITIONS - 1) * position + (piece.at + piece.tiles.len()) * COLUMNS;
        assert!(end <= m.len(), "{piece:?} in {}", m.len());
        assert!(piece.tiles.end <= tiles.count && y.len() >= tiles.h * tiles.w * c, "{piece:?} of {tiles:?}");
        assert!(first + COLUMNS <= c, "channels from {first} of {c}");
        for (n, tile) in piece.tiles.enumerate() {
            let (i, j) = (tile / tiles.across * SIDE, tile % tiles.across * SIDE);
            let (high, wide) = (SIDE.min(tiles.h - i), SIDE.min(tiles.w - j));
            for channel in (0..COLUMNS).step_by(W::COUNT) {
                let mut columns = [[W::splat(0.0); SIDE]; WIDE];
                for j in 0..WIDE {
                    let mut column = [W::splat(0.0); WIDE];
                    for i in 0..WIDE {
                        let at = (WIDE * i + j) * position + (piece.at + n) * COLUMNS + channel;
                        // SAFETY: asserted above.
                        column[i] = unsafe { W::load(m, at) };
                    }
                    columns[j] = output(column);
                }
                for di in 0..SIDE {
                    let mut line = [W::splat(0.0); WIDE];
                    for j in 0..WIDE {
                        line[j] = columns[j][di];
                    }
                    let line = output(line);
                    for dj in 0..SIDE {
                        if di < high && dj < wide {
                            // SAFETY: a pixel of the image.
                            unsafe { line[dj].store(y, ((i + di) * tiles.w + j + dj) * c + first + channel) };
                        }
                    }
                }
            }
        }
    }
}

for_each_isa! {
    /// u [36] = G g G^T of windows g [9], for 16 columns each; in `u` the positions are `position` numbers apart.
    pub fn transform_window<C: Columns>(g: &[[f32; COLUMNS]; 9], position: usize, u: &mut [f32]) {
        assert!((POSITIONS - 1) * position + COLUMNS <= u.len(), "positions {position} apart in {}", u.len());
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
                unsafe { line[j].store(u, (WIDE * i + j) * position) };
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
