//! Bilinear reads, a block at a time: source pixels, weights and what clamping does to the gradient. Without branches: a
//! pixel outside is read at the nearest place inside and counts zero.

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

/// Along one axis for each point of a block: the two pixels, whether they are inside (1 or 0), the weight of the second,
/// and pixels per unit of the grid coordinate, zero where it was clamped.
struct Axis {
    pixels: [[u32; BLOCK]; 2],
    inside: [[f32; BLOCK]; 2],
    fraction: [f32; BLOCK],
    slope: [f32; BLOCK],
}

/// Where the points of a block fall.
pub struct Cells {
    /// The four pixels around each: top left, top right, bottom left, bottom right. All of them are inside the image.
    pub corners: [[u32; BLOCK]; 4],
    /// 1 for a pixel inside the image, 0 for one outside.
    pub inside: [[f32; BLOCK]; 4],
    /// Weights of the right and bottom pixels.
    pub fx: [f32; BLOCK],
    pub fy: [f32; BLOCK],
    /// Pixels per unit of the grid coordinate, zero where it was clamped.
    pub dx: [f32; BLOCK],
    pub dy: [f32; BLOCK],
}

impl Source {
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
        let mut cells = Cells {
            corners: [[0; BLOCK]; 4],
            inside: [[1.0; BLOCK]; 4],
            fx: x.fraction,
            fy: y.fraction,
            dx: x.slope,
            dy: y.slope,
        };
        for corner in 0..4 {
            let (right, bottom) = (corner % 2, corner / 2);
            for j in 0..BLOCK {
                cells.corners[corner][j] = y.pixels[bottom][j] * self.w as u32 + x.pixels[right][j];
                cells.inside[corner][j] = y.inside[bottom][j] * x.inside[right][j];
            }
        }
        cells
    }
}

/// The nearest pixel outside.
#[inline(always)]
fn border(coordinates: &[f32; BLOCK], size: usize) -> Axis {
    let (scale, last) = (size as f32 * 0.5, (size - 1) as f32);
    let mut axis =
        Axis { pixels: [[0; BLOCK]; 2], inside: [[1.0; BLOCK]; 2], fraction: [0.0; BLOCK], slope: [0.0; BLOCK] };
    for j in 0..BLOCK {
        let position = ((coordinates[j] + 1.0) * size as f32 - 1.0) * 0.5;
        axis.slope[j] = if position > 0.0 && position < last { scale } else { 0.0 };
        // Written so that a coordinate that is not a number reads the first pixel.
        let position = if position > 0.0 { position } else { 0.0 };
        let position = if position < last { position } else { last };
        // SAFETY: between 0 and the last pixel.
        let first = unsafe { position.to_int_unchecked::<i32>() };
        axis.pixels[0][j] = first as u32;
        axis.pixels[1][j] = (first + 1).min(size as i32 - 1) as u32;
        axis.fraction[j] = position - first as f32;
    }
    axis
}

/// Zero outside.
#[inline(always)]
fn zeros(coordinates: &[f32; BLOCK], size: usize) -> Axis {
    let (scale, far, end) = (size as f32 * 0.5, (size + 1) as f32, size as i32);
    let mut axis =
        Axis { pixels: [[0; BLOCK]; 2], inside: [[0.0; BLOCK]; 2], fraction: [0.0; BLOCK], slope: [scale; BLOCK] };
    for j in 0..BLOCK {
        let position = ((coordinates[j] + 1.0) * size as f32 - 1.0) * 0.5;
        // Far outside everything is zero; staying near keeps the conversion to integers in range.
        let position = if position > -2.0 { position } else { -2.0 };
        let position = if position < far { position } else { far };
        // SAFETY: between 0 and the size plus three.
        let first = unsafe { (position + 2.0).floor().to_int_unchecked::<i32>() } - 2;
        for side in 0..2 {
            let pixel = first + side as i32;
            axis.inside[side][j] = if pixel >= 0 && pixel < end { 1.0 } else { 0.0 };
            axis.pixels[side][j] = pixel.clamp(0, end - 1) as u32;
        }
        axis.fraction[j] = position - first as f32;
    }
    axis
}

impl Cells {
    /// Weights of the four corners, zero outside.
    #[inline(always)]
    pub fn weights(&self) -> [[f32; BLOCK]; 4] {
        let mut weights = [[0.0; BLOCK]; 4];
        for j in 0..BLOCK {
            let (fx, fy) = (self.fx[j], self.fy[j]);
            let (gx, gy) = (1.0 - fx, 1.0 - fy);
            weights[0][j] = self.inside[0][j] * gx * gy;
            weights[1][j] = self.inside[1][j] * fx * gy;
            weights[2][j] = self.inside[2][j] * gx * fy;
            weights[3][j] = self.inside[3][j] * fx * fy;
        }
        weights
    }

    /// Values of the four corners in a plane of the image, whatever they count outside.
    #[inline(always)]
    pub fn gather(&self, plane: &[f32], source: Source) -> [[f32; BLOCK]; 4] {
        assert!(plane.len() >= source.h * source.w, "a plane of {} for {source:?}", plane.len());
        let mut values = [[0.0; BLOCK]; 4];
        for (values, corners) in values.iter_mut().zip(&self.corners) {
            for (value, &at) in values.iter_mut().zip(corners) {
                debug_assert!((at as usize) < plane.len(), "pixel {at} of {}", plane.len());
                // SAFETY: corners are inside the image, which the plane holds.
                *value = unsafe { *plane.get_unchecked(at as usize) };
            }
        }
        values
    }
}
