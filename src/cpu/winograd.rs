//! The transforms of Winograd's convolution F(2x2, 3x3) (Lavin and Gray 2016): tiles of 2 x 2 outputs from 4 x 4 inputs,
//! with 16 products where the window has 36. Channels last; a transformed tile is 16 positions, and positions come first.

#![expect(clippy::needless_range_loop, reason = "loops over several arrays of registers at once")]

use super::Map;
use super::conv2d::Weights;
use super::layout::Border;
use super::simd::{COLUMNS, Register, for_each_isa};
use crate::tape::ConvSpec;
use std::ops::Range;

/// Positions of a transformed tile.
pub const POSITIONS: usize = 16;
/// Numbers of transformed inputs and results that are worked on at once: they should stay in the second cache.
const STRIP: usize = 1 << 15;

/// Whether a convolution can be computed this way, and gains by it.
pub fn applies(w: Weights, spec: ConvSpec) -> bool {
    let window = (w.kh, w.kw, spec.stride, spec.pad) == (3, 3, 1, 1);
    window && w.ci.is_multiple_of(COLUMNS) && w.co.is_multiple_of(COLUMNS)
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
    /// Tiles that are worked on at once.
    pub strip: usize,
}

impl Tiles {
    /// For maps with `channels` numbers a pixel before and after together.
    pub fn new(map: Map, channels: usize) -> Self {
        let (across, down) = (map.w.div_ceil(2), map.h.div_ceil(2));
        let count = across * down;
        // Strips of nearly equal size.
        let strips = count.div_ceil((STRIP / (POSITIONS * channels)).max(6));
        Tiles { h: map.h, w: map.w, across, count, strip: count.div_ceil(strips) }
    }

    /// Zeros around an input, so that every tile finds its 4 x 4 pixels.
    pub fn border(&self) -> Border {
        let down = self.count / self.across;
        Border { top: 1, left: 1, bottom: 2 * down + 1 - self.h, right: 2 * self.across + 1 - self.w }
    }

    /// The strips of an image.
    pub fn strips(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let Tiles { count, strip, .. } = *self;
        (0..count).step_by(strip).map(move |first| first..count.min(first + strip))
    }
}

/// B^T d B of four values along one direction.
#[inline(always)]
fn input<W: Register>(d: [W; 4]) -> [W; 4] {
    [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[1].sub(d[3])]
}

/// A^T m A along one direction.
#[inline(always)]
fn output<W: Register>(m: [W; 4]) -> [W; 2] {
    [m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).sub(m[3])]
}

for_each_isa! {
    /// v [16,c/16,tiles,16] = the transforms of the inputs of some tiles of a padded image with lines of `wide` numbers.
    pub fn transform_input<W: Widest>(tiles: Tiles, some: Range<usize>, padded: &[f32], wide: usize, c: usize, v: &mut [f32]) {
        let plane = some.len() * c;
        // These bound every access below.
        let last = (some.end - 1) / tiles.across;
        assert!((2 * last + 3) * wide + (2 * tiles.across + 2) * c <= padded.len(), "{some:?} of {tiles:?}");
        assert!(c.is_multiple_of(COLUMNS) && v.len() >= POSITIONS * plane, "{} for {some:?} of {c} channels", v.len());
        let count = some.len();
        for (n, tile) in some.enumerate() {
            let from = tile / tiles.across * 2 * wide + tile % tiles.across * 2 * c;
            for channel in (0..c).step_by(W::COUNT) {
                let to = (channel / COLUMNS * count + n) * COLUMNS + channel % COLUMNS;
                let mut columns = [[W::splat(0.0); 4]; 4];
                for j in 0..4 {
                    for i in 0..4 {
                        // SAFETY: the tile is inside the padded image, the channels are whole registers.
                        columns[j][i] = unsafe { W::load(padded, from + i * wide + j * c + channel) };
                    }
                    columns[j] = input(columns[j]);
                }
                for i in 0..4 {
                    let line = input([columns[0][i], columns[1][i], columns[2][i], columns[3][i]]);
                    for j in 0..4 {
                        // SAFETY: position 4 i + j of 16.
                        unsafe { line[j].store(v, (4 * i + j) * plane + to) };
                    }
                }
            }
        }
    }
}

for_each_isa! {
    /// The pixels of some tiles of an image y [h,w,c] from their transforms m [16,tiles,c].
    pub fn transform_output<W: Widest>(tiles: Tiles, some: Range<usize>, m: &[f32], c: usize, y: &mut [f32]) {
        let plane = some.len() * c;
        // These bound every access below.
        assert!(c.is_multiple_of(W::COUNT) && m.len() >= POSITIONS * plane, "{} for {some:?} of {c} channels", m.len());
        assert!(some.end <= tiles.count && y.len() >= tiles.h * tiles.w * c, "{} for {tiles:?}", y.len());
        for (n, tile) in some.enumerate() {
            let (i, j) = (tile / tiles.across * 2, tile % tiles.across * 2);
            for channel in (0..c).step_by(W::COUNT) {
                let mut columns = [[W::splat(0.0); 2]; 4];
                for j in 0..4 {
                    let mut column = [W::splat(0.0); 4];
                    for i in 0..4 {
                        // SAFETY: position 4 i + j of 16, whole registers of channels.
                        column[i] = unsafe { W::load(m, (4 * i + j) * plane + n * c + channel) };
                    }
                    columns[j] = output(column);
                }
                for di in 0..2.min(tiles.h - i) {
                    let line = output([columns[0][di], columns[1][di], columns[2][di], columns[3][di]]);
                    for dj in 0..2.min(tiles.w - j) {
                        // SAFETY: a pixel of the image.
                        unsafe { line[dj].store(y, ((i + di) * tiles.w + j + dj) * c + channel) };
                    }
                }
            }
        }
    }
}

/// G g G^T of a window, row by row.
pub fn transform_window(g: [f32; 9]) -> [f32; POSITIONS] {
    let along = |a: f32, b: f32, c: f32| [a, 0.5 * ((a + c) + b), 0.5 * ((a + c) - b), c];
    let columns: [[f32; 4]; 3] = std::array::from_fn(|j| along(g[j], g[3 + j], g[6 + j]));
    let lines: [[f32; 4]; 4] = std::array::from_fn(|i| along(columns[0][i], columns[1][i], columns[2][i]));
    std::array::from_fn(|p| lines[p / 4][p % 4])
}
