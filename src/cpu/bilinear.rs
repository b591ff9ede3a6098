//! One bilinear read: source cell, weights and what clamping does to the gradient.

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
    /// Top left pixel; may lie outside.
    pub x: i32,
    pub y: i32,
    /// Weights of the right and bottom pixels.
    pub fx: f32,
    pub fy: f32,
    /// Pixels per unit of the grid coordinate, zero where it was clamped.
    pub dx: f32,
    pub dy: f32,
}

impl Source {
    /// The cell of grid coordinates (x, y): position ((x + 1) w - 1) / 2.
    #[inline]
    pub fn cell(&self, x: f32, y: f32) -> Cell {
        let (x, dx) = self.axis(x, self.w);
        let (y, dy) = self.axis(y, self.h);
        let (x0, y0) = (x.floor(), y.floor());
        Cell { x: x0 as i32, y: y0 as i32, fx: x - x0, fy: y - y0, dx, dy }
    }

    #[inline]
    fn axis(&self, coordinate: f32, size: usize) -> (f32, f32) {
        let scale = size as f32 * 0.5;
        let position = ((coordinate + 1.0) * size as f32 - 1.0) * 0.5;
        let last = (size - 1) as f32;
        match self.padding {
            Padding::Border if position <= 0.0 => (0.0, 0.0),
            Padding::Border if position >= last => (last, 0.0),
            // Far outside everything is zero; staying near keeps the conversion to integers in range.
            Padding::Zeros => (position.clamp(-2.0, last + 2.0), scale),
            Padding::Border => (position, scale),
        }
    }

    /// The four pixels around a cell (top left, top right, bottom left, bottom right), `None` outside.
    #[inline]
    pub fn corners(&self, cell: &Cell) -> [Option<usize>; 4] {
        [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(y, x)| {
            let (y, x) = (cell.y + y, cell.x + x);
            let inside = y >= 0 && x >= 0 && (y as usize) < self.h && (x as usize) < self.w;
            inside.then(|| y as usize * self.w + x as usize)
        })
    }
}

impl Cell {
    /// Weights of the four corners.
    #[inline]
    pub fn weights(&self) -> [f32; 4] {
        let (gx, gy) = (1.0 - self.fx, 1.0 - self.fy);
        [gx * gy, self.fx * gy, gx * self.fy, self.fx * self.fy]
    }
}
