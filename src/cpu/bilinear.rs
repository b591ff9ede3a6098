//! One bilinear read: source pixels, weights and what clamping does to the gradient. Without branches: a pixel outside
//! is read at the nearest place inside and counts zero.

use crate::tape::Padding;

/// Extent of the source image.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub h: usize,
    pub w: usize,
    pub padding: Padding,
}

/// Where a grid coordinate falls.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The four pixels around it: top left, top right, bottom left, bottom right.
    pub corners: [usize; 4],
    /// 1 for a pixel inside the image, 0 for one outside.
    pub inside: [f32; 4],
    /// Weights of the right and bottom pixels.
    pub fx: f32,
    pub fy: f32,
    /// Pixels per unit of the grid coordinate, zero where it was clamped.
    pub dx: f32,
    pub dy: f32,
}

/// One coordinate: the two pixels, whether they are inside, the weight of the second, and the slope.
type Axis = ([usize; 2], [f32; 2], f32, f32);

impl Source {
    /// The cell of grid coordinates (x, y): position ((x + 1) w - 1) / 2.
    #[inline(always)]
    pub fn cell(&self, x: f32, y: f32) -> Cell {
        let ([left, right], [in_left, in_right], fx, dx) = self.axis(x, self.w);
        let ([top, bottom], [in_top, in_bottom], fy, dy) = self.axis(y, self.h);
        let (top, bottom) = (top * self.w, bottom * self.w);
        Cell {
            corners: [top + left, top + right, bottom + left, bottom + right],
            inside: [in_top * in_left, in_top * in_right, in_bottom * in_left, in_bottom * in_right],
            fx,
            fy,
            dx,
            dy,
        }
    }

    #[inline(always)]
    fn axis(&self, coordinate: f32, size: usize) -> Axis {
        let scale = size as f32 * 0.5;
        let last = (size - 1) as f32;
        let position = ((coordinate + 1.0) * size as f32 - 1.0) * 0.5;
        match self.padding {
            Padding::Border => {
                let slope = if position > 0.0 && position < last { scale } else { 0.0 };
                // `max` first, so that a coordinate that is not a number reads the first pixel.
                let position = position.max(0.0).min(last);
                let first = position as usize;
                ([first, (first + 1).min(size - 1)], [1.0, 1.0], position - first as f32, slope)
            }
            Padding::Zeros => {
                // Far outside everything is zero; staying near keeps the conversion to integers in range.
                let position = position.max(-2.0).min(last + 2.0);
                let floor = position.floor();
                let first = floor as i32;
                let end = size as i32;
                let inside = [first, first + 1].map(|i| if i >= 0 && i < end { 1.0 } else { 0.0 });
                let pixels = [first, first + 1].map(|i| i.clamp(0, end - 1) as usize);
                (pixels, inside, position - floor, scale)
            }
        }
    }
}

impl Cell {
    /// Weights of the four corners, zero outside.
    #[inline(always)]
    pub fn weights(&self) -> [f32; 4] {
        let (gx, gy) = (1.0 - self.fx, 1.0 - self.fy);
        let [a, b, c, d] = self.inside;
        [a * gx * gy, b * self.fx * gy, c * gx * self.fy, d * self.fx * self.fy]
    }

    /// Values of the four corners in a plane of the image, zero outside.
    #[inline(always)]
    pub fn read(&self, plane: &[f32]) -> [f32; 4] {
        std::array::from_fn(|k| self.inside[k] * plane[self.corners[k]])
    }
}
