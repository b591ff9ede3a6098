//! Bilinear reads, a block at a time: source pixels, weights and what clamping does to the gradient. Without branches: every
//! point has four pixels, for which the image gets a margin where it needs one.

#![expect(clippy::needless_range_loop, reason = "loops over several arrays of registers at once")]

use crate::tape::Padding;

/// Extent of the source image.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub h: usize,
    pub w: usize,
    pub padding: Padding,
}

/// Points of a block.
pub const BLOCK: usize = 32;

/// Where the points of a block fall.
pub struct Cells {
    plane: Plane,
    /// The top left pixel of the four around each, in the plane: all four are inside of it.
    pub at: [u32; BLOCK],
    /// Weights of the right and bottom pixels.
    pub fx: [f32; BLOCK],
    pub fy: [f32; BLOCK],
    /// Pixels per unit of the grid coordinate, zero where it was clamped.
    pub dx: [f32; BLOCK],
    pub dy: [f32; BLOCK],
}

/// What is read: the image with its margin.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    pub h: usize,
    pub w: usize,
    /// Pixels of the margin above and to the left.
    pub origin: usize,
}

/// Zeros before the image: points further outside are moved there, where all they read is zero.
const BEFORE: usize = 2;
/// And after it.
const AFTER: usize = 3;

impl Source {
    /// The plane. With border padding it is the image: points are clamped to it, those at its end read it with weight 1 as
    /// the second of two pixels. An image of one line or column gets another one.
    pub fn plane(&self) -> Plane {
        match self.padding {
            Padding::Border => Plane { h: self.h.max(2), w: self.w.max(2), origin: 0 },
            Padding::Zeros => {
                let margin = BEFORE + AFTER;
                Plane { h: self.h + margin, w: self.w + margin, origin: BEFORE }
            }
        }
    }

    /// The planes of an image [C,h,w], made in `copy` where they are not the image itself.
    #[inline(always)]
    pub fn planes<'a>(&self, image: &'a [f32], copy: &'a mut Vec<f32>) -> &'a [f32] {
        let Plane { h, w, origin } = self.plane();
        if (h, w) == (self.h, self.w) {
            return image;
        }
        // Whatever is not written here stays zero.
        copy.resize(image.len() / (self.h * self.w) * h * w, 0.0);
        for (to, from) in copy.chunks_exact_mut(h * w).zip(image.chunks_exact(self.h * self.w)) {
            match self.padding {
                Padding::Border => (0..h * w).for_each(|i| {
                    to[i] = from[(i / w).min(self.h - 1) * self.w + (i % w).min(self.w - 1)];
                }),
                Padding::Zeros => {
                    for (y, line) in from.chunks_exact(self.w).enumerate() {
                        to[(y + origin) * w + origin..][..self.w].copy_from_slice(line);
                    }
                }
            }
        }
        copy
    }

    /// The cells of up to [`BLOCK`] points (x, y), positions ((x + 1) w - 1) / 2; what is beyond them repeats the first.
    #[inline(always)]
    pub fn cells(&self, grid: &[f32]) -> Cells {
        let (mut xs, mut ys) = ([grid[0]; BLOCK], [grid[1]; BLOCK]);
        for ((x, y), point) in xs.iter_mut().zip(&mut ys).zip(grid.chunks_exact(2)) {
            (*x, *y) = (point[0], point[1]);
        }
        let (x, y) = match self.padding {
            Padding::Border => (border(&xs, self.w), border(&ys, self.h)),
            Padding::Zeros => (zeros(&xs, self.w), zeros(&ys, self.h)),
        };
        let plane = self.plane();
        // Positions are inside already, as long as f32 has all whole numbers up to the size.
        let last = (plane.h * plane.w - plane.w - 2) as u32;
        let mut at = [0; BLOCK];
        for j in 0..BLOCK {
            at[j] = (y.first[j] * plane.w as u32 + x.first[j]).min(last);
        }
        Cells { plane, at, fx: x.fraction, fy: y.fraction, dx: x.slope, dy: y.slope }
    }
}

/// Along one axis for each point of a block: the first of two pixels of the plane, the weight of the second, and pixels per
/// unit of the grid coordinate, zero where it was clamped.
struct Axis {
    first: [u32; BLOCK],
    fraction: [f32; BLOCK],
    slope: [f32; BLOCK],
}

/// The nearest pixel outside.
#[inline(always)]
fn border(coordinates: &[f32; BLOCK], size: usize) -> Axis {
    let (scale, last) = (size as f32 * 0.5, (size - 1) as f32);
    let most = size.max(2) as i32 - 2;
    let mut axis = Axis { first: [0; BLOCK], fraction: [0.0; BLOCK], slope: [0.0; BLOCK] };
    for j in 0..BLOCK {
        let position = ((coordinates[j] + 1.0) * size as f32 - 1.0) * 0.5;
        axis.slope[j] = if position > 0.0 && position < last { scale } else { 0.0 };
        // Written so that a coordinate that is not a number reads the first pixel.
        let position = if position > 0.0 { position } else { 0.0 };
        let position = if position < last { position } else { last };
        // SAFETY: between 0 and the last pixel.
        let first = unsafe { position.to_int_unchecked::<i32>() }.min(most);
        axis.first[j] = first as u32;
        axis.fraction[j] = position - first as f32;
    }
    axis
}

/// Zero outside.
#[inline(always)]
fn zeros(coordinates: &[f32; BLOCK], size: usize) -> Axis {
    let (near, far) = (-(BEFORE as f32), (size + 1) as f32);
    let mut axis = Axis { first: [0; BLOCK], fraction: [0.0; BLOCK], slope: [size as f32 * 0.5; BLOCK] };
    for j in 0..BLOCK {
        let position = ((coordinates[j] + 1.0) * size as f32 - 1.0) * 0.5;
        let position = if position > near { position } else { near };
        let position = if position < far { position } else { far };
        // SAFETY: between 0 and the size plus three.
        let first = unsafe { (position - near).to_int_unchecked::<i32>() };
        axis.first[j] = first as u32;
        axis.fraction[j] = position - (first - BEFORE as i32) as f32;
    }
    axis
}

impl Cells {
    /// The two top and the two bottom pixels of the points in a plane.
    #[inline(always)]
    pub fn gather(&self, values: &[f32]) -> [[[f32; 2]; BLOCK]; 2] {
        let plane = self.plane;
        assert!(values.len() >= plane.h * plane.w, "a plane of {} for {plane:?}", values.len());
        let mut pairs = [[[0.0; 2]; BLOCK]; 2];
        for j in 0..BLOCK {
            let at = self.at[j] as usize;
            debug_assert!(at + plane.w + 1 < values.len(), "pixel {at} of {plane:?}");
            for side in 0..2 {
                // SAFETY: the four pixels of a point are inside the plane.
                pairs[side][j] =
                    unsafe { values.as_ptr().add(at + side * plane.w).cast::<[f32; 2]>().read_unaligned() };
            }
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Coordinates that are huge or no numbers at all, and those of the outermost pixels, for the smallest sizes.
    #[test]
    fn whatever_the_coordinates_all_four_pixels_are_inside() {
        let odd =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e10, -1e10, 1.0, -1.0, 0.0, -0.0, 0.999];
        let grid: Vec<f32> = odd.iter().flat_map(|&x| odd.map(|y| [x, y])).flatten().collect();
        for padding in [Padding::Border, Padding::Zeros] {
            for (h, w) in [(1, 1), (1, 2), (2, 1), (2, 2), (7, 1), (7, 5)] {
                let source = Source { h, w, padding };
                let image: Vec<f32> = (0..h * w).map(|i| 1.0 + i as f32).collect();
                let mut copy = Vec::new();
                let planes = source.planes(&image, &mut copy).to_vec();
                for grid in grid.chunks(2 * BLOCK) {
                    let cells = source.cells(grid);
                    let Plane { h: lines, w: columns, .. } = source.plane();
                    for (j, &at) in cells.at.iter().enumerate() {
                        let (line, column) = (at as usize / columns, at as usize % columns);
                        assert!(line + 1 < lines && column + 1 < columns, "point {j}: {line}, {column} of {source:?}");
                        assert!((0.0..=1.0).contains(&cells.fx[j]) && (0.0..=1.0).contains(&cells.fy[j]), "point {j}");
                    }
                    for (pair, &at) in cells.gather(&planes)[1].iter().zip(&cells.at) {
                        assert_eq!(pair[..], planes[at as usize + columns..][..2]);
                    }
                }
            }
        }
    }
}
