//! Small images as files and as parts of a page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError};

/// Longest side of an image in a list of many.
const THUMBNAIL: usize = 96;
/// Bytes up to which an image is kept exactly, as PNG; larger ones are photographs and become JPEG.
const EXACT: usize = 4096;

/// Pixels as they are encoded: interleaved bytes, grey or RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub pixels: Vec<u8>,
}

impl Picture {
    /// An image `[C,H,W]` in `[0,1]`; three channels are colours, of any other number the first is shown.
    pub fn new(values: &[f32], channels: usize, height: usize, width: usize) -> Self {
        let plane = height * width;
        let shown = if channels == 3 { 3 } else { 1 };
        let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
        let pixels = (0..plane).flat_map(|p| (0..shown).map(move |c| byte(values[c * plane + p]))).collect();
        Picture { width, height, channels: shown, pixels }
    }

    /// An image `[C,H,W]` of a data set.
    pub fn of_bytes(bytes: &[u8], channels: usize, height: usize, width: usize) -> Self {
        let plane = height * width;
        let shown = if channels == 3 { 3 } else { 1 };
        let pixels = (0..plane).flat_map(|p| (0..shown).map(move |c| bytes[c * plane + p])).collect();
        Picture { width, height, channels: shown, pixels }
    }

    /// Means of `factor` x `factor` pixels; what is left over at the right and the bottom is cut off.
    pub fn reduced(&self, factor: usize) -> Self {
        if factor <= 1 {
            return self.clone();
        }
        let (width, height) = ((self.width / factor).max(1), (self.height / factor).max(1));
        let mut pixels = Vec::with_capacity(width * height * self.channels);
        for y in 0..height {
            for x in 0..width {
                for c in 0..self.channels {
                    let (mut sum, mut count) = (0usize, 0usize);
                    for v in y * factor..((y + 1) * factor).min(self.height) {
                        for u in x * factor..((x + 1) * factor).min(self.width) {
                            sum += usize::from(self.pixels[(v * self.width + u) * self.channels + c]);
                            count += 1;
                        }
                    }
                    pixels.push(((sum + count / 2) / count.max(1)) as u8);
                }
            }
        }
        Picture { width, height, channels: self.channels, pixels }
    }

    /// Small enough for a list of many.
    pub fn thumbnail(&self) -> Self {
        self.reduced(self.width.max(self.height).div_ceil(THUMBNAIL))
    }

    /// As a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        let (width, height) = (self.width as u32, self.height as u32);
        PngEncoder::new(&mut bytes).write_image(&self.pixels, width, height, self.colours())?;
        Ok(bytes)
    }

    /// As an address that holds the whole image: exact where it is small.
    pub fn address(&self) -> Result<String, ImageError> {
        if self.pixels.len() <= EXACT {
            return Ok(png_address(&self.png()?));
        }
        let mut bytes = Vec::new();
        let (width, height) = (self.width as u32, self.height as u32);
        JpegEncoder::new_with_quality(&mut bytes, 85).write_image(&self.pixels, width, height, self.colours())?;
        Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
    }

    fn colours(&self) -> ExtendedColorType {
        if self.channels == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 }
    }
}

/// A PNG file as an address that holds it.
pub fn png_address(file: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(file))
}

/// About how many bytes a [thumbnail](Picture::thumbnail) of an image takes, encoded.
pub fn encoded_size(channels: usize, height: usize, width: usize) -> f64 {
    let factor = height.max(width).div_ceil(THUMBNAIL);
    let bytes = if channels == 3 { 3 } else { 1 } * (height / factor).max(1) * (width / factor).max(1);
    if bytes <= EXACT { 100.0 + 0.7 * bytes as f64 } else { 600.0 + 0.25 * bytes as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_pixels() {
        let values: Vec<f32> = (0..12).map(|i| i as f32 / 11.0).collect();
        let colour = Picture::new(&values, 3, 2, 2);
        assert_eq!(colour.pixels[..3], [0, 93, 185], "interleaved");
        let read = image::load_from_memory(&colour.png().expect("encoded")).expect("a PNG");
        assert_eq!(read.to_rgb8().as_raw(), &colour.pixels);
        let bytes: Vec<u8> = values.iter().map(|v| (v * 255.0).round() as u8).collect();
        assert_eq!(Picture::of_bytes(&bytes, 3, 2, 2), colour);
        let two = Picture::new(&values, 2, 2, 3);
        assert_eq!((two.channels, two.pixels.len()), (1, 6), "the first of two channels");
    }

    #[test]
    fn reduction_takes_means() {
        let pixels = [0, 10, 7, 20, 30, 7, 9, 9, 9].to_vec();
        let picture = Picture { width: 3, height: 3, channels: 1, pixels };
        let small = picture.reduced(2);
        assert_eq!((small.width, small.height, small.pixels.as_slice()), (1, 1, [15].as_slice()));
        let flat = Picture { width: 1, height: 5, channels: 1, pixels: vec![8; 5] };
        assert_eq!(flat.reduced(2).pixels, [8, 8]);
        let large = Picture { width: 200, height: 100, channels: 3, pixels: vec![128; 60_000] };
        let small = large.thumbnail();
        assert_eq!((small.width, small.height), (66, 33));
        assert!(small.address().expect("encoded").starts_with("data:image/jpeg;base64,"));
    }
}
