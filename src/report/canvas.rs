//! A picture put together from small images.

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

/// Background and gaps: a mid grey, so that black and white borders both show.
const GREY: u8 = 96;

/// An RGB picture.
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// A small image `[C,H,W]`, one or three channels, in `[0,1]`.
#[derive(Clone, Copy)]
pub struct Tile<'a> {
    pub values: &'a [f32],
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Canvas {
    /// A grey picture.
    pub fn new(width: usize, height: usize) -> Self {
        Canvas { width, height, pixels: vec![GREY; 3 * width * height] }
    }

    /// Width and height.
    pub fn size(&self) -> [u32; 2] {
        [self.width as u32, self.height as u32]
    }

    /// Draws an image enlarged `scale` times with its top left corner at (x, y); what does not fit is cut off.
    pub fn draw(&mut self, tile: Tile, x: usize, y: usize, scale: usize) {
        let plane = tile.height * tile.width;
        for row in 0..(tile.height * scale).min(self.height.saturating_sub(y)) {
            for column in 0..(tile.width * scale).min(self.width.saturating_sub(x)) {
                let from = row / scale * tile.width + column / scale;
                let to = 3 * ((y + row) * self.width + x + column);
                for c in 0..3 {
                    let channel = if tile.channels == 3 { c } else { 0 };
                    let value = tile.values[channel * plane + from];
                    self.pixels[to + c] = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
                }
            }
        }
    }

    /// The picture as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, image::ImageError> {
        let mut bytes = Vec::new();
        let (width, height) = (self.width as u32, self.height as u32);
        PngEncoder::new(&mut bytes).write_image(&self.pixels, width, height, ExtendedColorType::Rgb8)?;
        Ok(bytes)
    }
}
