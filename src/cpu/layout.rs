//! Conversions between the layouts of a feature map, and zero-padded copies.

use super::{Kernel, Map};
use rayon::prelude::*;

/// [B,C,H,W] -> [B,H,W,C].
pub fn to_channels_last(map: Map) -> Kernel {
    Box::new(move |args| {
        let (x, y) = (args.f32(0), args.out(0));
        let (c, pixels) = (map.c, map.pixels());
        y.par_chunks_mut(map.image()).zip(x.par_chunks(map.image())).for_each(|(y, x)| transpose(x, y, c, pixels));
    })
}

/// [B,H,W,C] -> [B,C,H,W].
pub fn to_planar(map: Map) -> Kernel {
    Box::new(move |args| {
        let (x, y) = (args.f32(0), args.out(0));
        let (c, pixels) = (map.c, map.pixels());
        y.par_chunks_mut(map.image()).zip(x.par_chunks(map.image())).for_each(|(y, x)| transpose(x, y, pixels, c));
    })
}

/// x [rows,columns] -> y [columns,rows].
fn transpose(x: &[f32], y: &mut [f32], rows: usize, columns: usize) {
    for (r, line) in x.chunks_exact(columns).enumerate() {
        for (c, &value) in line.iter().enumerate() {
            y[c * rows + r] = value;
        }
    }
}

/// Zero pixels around an image.
#[derive(Clone, Copy, Debug)]
pub struct Border {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Border {
    /// The same on all sides.
    pub fn even(pad: usize) -> Self {
        Border { top: pad, bottom: pad, left: pad, right: pad }
    }

    /// Width of the padded image of an image of `w` pixels.
    pub fn width(&self, w: usize) -> usize {
        w + self.left + self.right
    }

    /// Elements of the padded image.
    pub fn len(&self, h: usize, w: usize, c: usize) -> usize {
        (h + self.top + self.bottom) * self.width(w) * c
    }

    /// Copies x [h,w,c] into the middle of `padded`, which was made of zeros; what is around it stays zero.
    pub fn copy_into(&self, x: &[f32], h: usize, w: usize, c: usize, padded: &mut [f32]) {
        let wide = self.width(w) * c;
        for (y, line) in x.chunks_exact(w * c).take(h).enumerate() {
            let start = (y + self.top) * wide + self.left * c;
            padded[start..start + w * c].copy_from_slice(line);
        }
    }
}
