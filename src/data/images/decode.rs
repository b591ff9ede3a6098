//! From the bytes of a file to a picture.

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::codecs::tiff::TiffDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::inks::inks;
use super::profile::{is_of_inks, to_srgb};
use super::whole::ends_early;
use crate::data::input::MOST_PER_BYTE;

/// Bytes of a file that no picture needs.
const LONGEST_FILE: u64 = 1 << 30;
/// Bytes of a decoded picture that are always granted: those of a photograph of 20 megapixels.
const ALWAYS: u64 = 64 << 20;
/// Bytes of a decoded picture that are never granted.
const NEVER: u64 = 1 << 30;
/// What a decoder keeps besides its result, in bytes for each of the result: the coefficients of a progressive JPEG.
const BESIDES: u64 = 2;

/// A decoded picture, channels last: 1 channel, or red, green and blue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) channels: usize,
    pub(super) pixels: Vec<u8>,
}

/// Why a file is passed over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The system could not read it: another time it may.
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    #[error("is empty")]
    Empty,
    #[error("is no JPEG, PNG, WebP, GIF, BMP or TIFF")]
    Unknown,
    #[error("{0}")]
    Unsupported(String),
    #[error("ends too early, copy it again")]
    Truncated,
    #[error("is damaged: {0}")]
    Damaged(String),
    #[error("claims {width} x {height} pixels, which a file of {length} bytes should not need")]
    TooLarge { width: u32, height: u32, length: u64 },
    #[error("has {0} bytes, too many for a picture")]
    TooLong(u64),
    /// Another size than the pictures before it.
    #[error("is {0} x {1} pixels")]
    Size(usize, usize),
}

/// A file that was begun: its size is known and its pixels are not.
pub(super) struct Begun<'a> {
    decoder: Box<dyn ImageDecoder + 'a>,
    format: ImageFormat,
    bytes: &'a [u8],
}

/// All bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let file = File::open(path).map_err(Problem::Read)?;
    let length = file.metadata().map_err(Problem::Read)?.len();
    if length > LONGEST_FILE {
        return Err(Problem::TooLong(length));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE).read_to_end(&mut bytes).map_err(Problem::Read)?;
    if bytes.is_empty() { Err(Problem::Empty) } else { Ok(bytes) }
}

impl<'a> Begun<'a> {
    /// Reads what comes before the pixels.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Problem> {
        guarded(|| {
            let length = bytes.len() as u64;
            let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(Problem::Read)?;
            let format = reader.format().ok_or(Problem::Unknown)?;
            if ends_early(bytes, format) {
                return Err(Problem::Truncated);
            }
            let mut limits = Limits::default();
            limits.max_alloc = Some(granted(length));
            reader.limits(limits);
            let decoder = reader.into_decoder().map_err(problem)?;
            Ok(Begun { decoder: Box::new(decoder), format, bytes })
        })
    }

    /// Width and height as it is to be looked at.
    pub(super) fn size(&mut self) -> (usize, usize) {
        let (width, height) = self.decoder.dimensions();
        let turned = matches!(
            self.orientation(),
            Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
        );
        let (width, height) = if turned { (height, width) } else { (width, height) };
        (width as usize, height as usize)
    }

    /// How it is to be turned, as EXIF says. What says nothing sensible is taken as it is.
    pub(super) fn orientation(&mut self) -> Orientation {
        unless_broken(|| self.decoder.orientation().ok()).unwrap_or(Orientation::NoTransforms)
    }

    /// Bytes that decoding takes at most, if the file justifies them.
    pub(super) fn memory(&self) -> Result<u64, Problem> {
        let ((width, height), bytes) = (self.decoder.dimensions(), self.decoder.total_bytes());
        let length = self.bytes.len() as u64;
        if bytes > granted(length) {
            return Err(Problem::TooLarge { width, height, length });
        }
        Ok(bytes * (1 + BESIDES))
    }

    /// Decodes it, not yet turned: 16 bits become 8, transparent becomes white, other colours become sRGB by the profile
    /// of the file. CMYK without one becomes RGB by multiplication, as in Adobe's files.
    pub(super) fn decode(mut self) -> Result<Picture, Problem> {
        self.memory()?;
        let profile = self.profile().unwrap_or_default();
        if self.format == ImageFormat::Jpeg && is_of_inks(&profile) {
            let (width, height) = self.decoder.dimensions();
            let (width, height, bytes) = (width as usize, height as usize, self.bytes);
            let printed = unless_broken(|| to_srgb(&inks(bytes)?, 4, &profile));
            if let Some(pixels) = printed.filter(|pixels| pixels.len() == width * height * 3) {
                return Ok(Picture { width, height, channels: 3, pixels });
            }
        }
        let decoded = guarded(|| DynamicImage::from_decoder(self.decoder).map_err(problem))?;
        let mut picture = flatten(decoded);
        if !profile.is_empty()
            && let Some(pixels) = unless_broken(|| to_srgb(&picture.pixels, picture.channels, &profile))
        {
            picture.pixels = pixels;
        }
        Ok(picture)
    }

    /// The ICC profile of its colours, if it has one.
    fn profile(&mut self) -> Option<Vec<u8>> {
        unless_broken(|| match self.format {
            // As the reader opens it, the decoder of TIFF says that there is none; by itself it takes up to 1 MiB.
            ImageFormat::Tiff => TiffDecoder::new(Cursor::new(self.bytes)).ok()?.icc_profile().ok().flatten(),
            _ => self.decoder.icc_profile().ok().flatten(),
        })
    }
}

/// Bytes that the picture in a file of `length` bytes may take: what deflate can hold in so many, within bounds.
fn granted(length: u64) -> u64 {
    length.saturating_mul(MOST_PER_BYTE).clamp(ALWAYS, NEVER)
}

/// Runs a decoder. One that breaks down on a damaged file does no harm to the others.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err(Problem::Damaged("the decoder broke down".into())))
}

/// What a picture can do without: a reader that breaks down on it finds nothing.
fn unless_broken<T>(read: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

fn problem(error: ImageError) -> Problem {
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Problem::Truncated,
        ImageError::Unsupported(e) => Problem::Unsupported(format!("is of a kind that is not read: {e}")),
        other => Problem::Damaged(other.to_string()),
    }
}

/// The picture without alpha in bytes.
fn flatten(image: DynamicImage) -> Picture {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let color = image.color();
    let (channels, pixels) = match (color.has_color(), color.has_alpha()) {
        (false, false) => (1, image.into_luma8().into_raw()),
        (true, false) => (3, image.into_rgb8().into_raw()),
        (false, true) => (1, on_white::<2>(image.into_luma_alpha8().into_raw())),
        (true, true) => (3, on_white::<4>(image.into_rgba8().into_raw())),
    };
    Picture { width, height, channels, pixels }
}

/// Lays pixels of `N` values, the last of which is alpha, on white, and drops alpha.
fn on_white<const N: usize>(mut pixels: Vec<u8>) -> Vec<u8> {
    let mut to = 0;
    for at in (0..pixels.len() - pixels.len() % N).step_by(N) {
        let alpha = u32::from(pixels[at + N - 1]);
        for channel in 0..N - 1 {
            let value = u32::from(pixels[at + channel]) * alpha + 255 * (255 - alpha);
            pixels[to] = ((value + 127) / 255) as u8;
            to += 1;
        }
    }
    pixels.truncate(to);
    pixels
}

/// Turns and mirrors a picture as EXIF says.
pub(super) fn turned(picture: Picture, orientation: Orientation) -> Picture {
    if orientation == Orientation::NoTransforms {
        return picture;
    }
    let Picture { width: w, height: h, channels, pixels } = picture;
    // The place in the picture of what is to be seen at (x, y).
    let from = |x: usize, y: usize| match orientation {
        Orientation::NoTransforms => (x, y),
        Orientation::FlipHorizontal => (w - 1 - x, y),
        Orientation::Rotate180 => (w - 1 - x, h - 1 - y),
        Orientation::FlipVertical => (x, h - 1 - y),
        Orientation::Rotate90FlipH => (y, x),
        Orientation::Rotate90 => (y, h - 1 - x),
        Orientation::Rotate270FlipH => (w - 1 - y, h - 1 - x),
        Orientation::Rotate270 => (w - 1 - y, x),
    };
    let lies = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate90FlipH | Orientation::Rotate270 | Orientation::Rotate270FlipH
    );
    let (width, height) = if lies { (h, w) } else { (w, h) };
    let mut turned = Vec::with_capacity(pixels.len());
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let (column, row) = from(x, y);
        let at = (row * w + column) * channels;
        turned.extend_from_slice(&pixels[at..at + channels]);
    }
    Picture { width, height, channels, pixels: turned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_turned_as_the_crate_turns_them() {
        let picture = Picture { width: 3, height: 2, channels: 1, pixels: vec![1, 2, 3, 4, 5, 6] };
        for number in 1..=8 {
            let orientation = Orientation::from_exif(number).expect("one of the eight");
            let grey = image::GrayImage::from_raw(3, 2, picture.pixels.clone()).expect("six pixels");
            let mut expected = DynamicImage::ImageLuma8(grey);
            expected.apply_orientation(orientation);
            let turned = turned(picture.clone(), orientation);
            assert_eq!(turned.pixels, expected.as_bytes(), "{orientation:?}");
            assert_eq!((turned.width as u32, turned.height as u32), (expected.width(), expected.height()));
        }
    }

    #[test]
    fn transparent_is_white() {
        assert_eq!(
            on_white::<4>(vec![10, 20, 30, 0, 10, 20, 30, 255, 0, 100, 255, 128]),
            [255, 255, 255, 10, 20, 30, 127, 177, 255]
        );
        assert_eq!(on_white::<2>(vec![0, 51, 7, 255]), [204, 7]);
    }
}
