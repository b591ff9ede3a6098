//! Bringing a picture of any size to a square of pixels.

use std::fmt;
use std::str::FromStr;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::decode::{Picture, Problem};

/// How a picture that is not square becomes one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// The short side fits and the middle is cut out.
    #[default]
    Crop,
    /// Both sides are brought to the size, so that things become wider or taller than they are.
    Stretch,
    /// The long side fits; black fills the rest, half on either side.
    Pad,
}

impl Fit {
    /// All of them.
    pub const ALL: [Fit; 3] = [Fit::Crop, Fit::Stretch, Fit::Pad];

    /// The name used in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Fit::Crop => "crop",
            Fit::Stretch => "stretch",
            Fit::Pad => "pad",
        }
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a way to fit that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown fit '{0}': images are brought to their size by crop, stretch or pad")]
pub struct UnknownFit(pub String);

impl FromStr for Fit {
    type Err = UnknownFit;

    fn from_str(name: &str) -> Result<Self, UnknownFit> {
        Self::ALL.into_iter().find(|fit| fit.name() == name).ok_or_else(|| UnknownFit(name.into()))
    }
}

/// `picture` as a square of `size` pixels a side.
///
/// The filter is a triangle as wide as the pixels of the result, so that all pixels of the picture count: that of Pillow
/// and of torchvision's `Resize`. The part that is cut out may begin within a pixel, so that turning the result is the
/// same as turning the picture.
pub(super) fn square(picture: &Picture, size: usize, fit: Fit) -> Result<Picture, Problem> {
    let (width, height) = match fit {
        Fit::Crop | Fit::Stretch => (size, size),
        Fit::Pad => {
            let long = picture.width.max(picture.height) as f64;
            let scaled = |side: usize| ((side as f64 / long * size as f64).round() as usize).max(1);
            (scaled(picture.width), scaled(picture.height))
        }
    };
    let scaled = scale(picture, width, height, fit)?;
    if (width, height) == (size, size) {
        return Ok(scaled);
    }
    let channels = picture.channels;
    let mut square = Picture { width: size, height: size, channels, pixels: vec![0; size * size * channels] };
    let (left, top) = ((size - width) / 2, (size - height) / 2);
    for (y, row) in scaled.pixels.chunks_exact(width * channels).enumerate() {
        let at = ((top + y) * size + left) * channels;
        square.pixels[at..at + row.len()].copy_from_slice(row);
    }
    Ok(square)
}

/// `picture` with both sides brought to a size.
pub(super) fn stretched(picture: &Picture, width: usize, height: usize) -> Result<Picture, Problem> {
    scale(picture, width, height, Fit::Stretch)
}

fn scale(picture: &Picture, width: usize, height: usize, fit: Fit) -> Result<Picture, Problem> {
    let kind = if picture.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let failed = |e: &dyn fmt::Display| Problem::Damaged(format!("it cannot be scaled ({e})"));
    let from = ImageRef::new(picture.width as u32, picture.height as u32, &picture.pixels, kind);
    let from = from.map_err(|e| failed(&e))?;
    let mut to = Image::new(width as u32, height as u32, kind);
    let mut options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    if fit == Fit::Crop {
        options = options.fit_into_destination(None);
    }
    Resizer::new().resize(&from, &mut to, &options).map_err(|e| failed(&e))?;
    Ok(Picture { width, height, channels: picture.channels, pixels: to.into_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grey, 4 wide and 2 high.
    fn wide() -> Picture {
        Picture { width: 4, height: 2, channels: 1, pixels: vec![10, 20, 30, 40, 50, 60, 70, 80] }
    }

    #[test]
    fn each_fit_keeps_what_it_says() {
        let pixels = |fit| square(&wide(), 2, fit).expect("scaled").pixels;
        assert_eq!(pixels(Fit::Crop), [20, 30, 60, 70]);
        let stretched = pixels(Fit::Stretch);
        assert!(stretched[0] > 10 && stretched[0] < 20 && stretched[3] > 70 && stretched[3] < 80, "{stretched:?}");
        let padded = square(&wide(), 4, Fit::Pad).expect("scaled").pixels;
        assert_eq!(padded, [[0; 4], [10, 20, 30, 40], [50, 60, 70, 80], [0; 4]].concat());
    }

    #[test]
    fn a_line_keeps_a_pixel() {
        let line = Picture { width: 1000, height: 1, channels: 1, pixels: vec![200; 1000] };
        let padded = square(&line, 8, Fit::Pad).expect("scaled").pixels;
        assert_eq!(padded.iter().filter(|&&p| p == 200).count(), 8);
        assert_eq!(square(&line, 8, Fit::Crop).expect("scaled").pixels, [200; 64]);
    }

    #[test]
    fn all_pixels_count_when_a_picture_becomes_smaller() {
        let pixels = (0..64 * 64).map(|i| if (i % 64 + i / 64) % 2 == 0 { 255 } else { 0 }).collect();
        let board = Picture { width: 64, height: 64, channels: 1, pixels };
        let small = square(&board, 8, Fit::Crop).expect("scaled").pixels;
        assert!(small.iter().all(|&p| (126..=129).contains(&p)), "{small:?}");
    }

    #[test]
    fn names_are_understood() {
        assert!(Fit::ALL.into_iter().all(|fit| fit.name().parse() == Ok(fit)));
        assert!("squash".parse::<Fit>().expect_err("no such fit").to_string().contains("crop, stretch or pad"));
    }
}
