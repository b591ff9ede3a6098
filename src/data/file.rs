//! One image file, brought to the shape that a model wants.

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Rgba};
use std::path::{Path, PathBuf};

/// Endings of the files that can be read.
pub const ENDINGS: [&str; 4] = ["gif", "jpeg", "jpg", "png"];

/// An image file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
}

/// Whether the name of a file says that it is an image.
pub fn is_image(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
}

/// Reads an image file as bytes [channels,height,width]: upright, on white where it is transparent, grey or in colour as
/// the number of channels says, and resized if it has another size.
///
/// # Errors
/// [`FileError`] if it cannot be read, is no image of a known format, or `channels` is neither 1 nor 3.
pub fn load_file(path: &Path, [channels, height, width]: [usize; 3]) -> Result<Vec<u8>, FileError> {
    let failed = |problem: String| FileError { path: path.to_path_buf(), problem };
    let mut image = decode(path).map_err(|e| failed(e.to_string()))?;
    if image.color().has_alpha() {
        image = on_white(image);
    }
    if (image.width() as usize, image.height() as usize) != (width, height) {
        // Every pixel counts when it becomes smaller.
        image = image.resize_exact(width as u32, height as u32, FilterType::Triangle);
    }
    match channels {
        1 => Ok(image.into_luma8().into_raw()),
        3 => {
            let pixels = image.into_rgb8().into_raw();
            Ok((0..3).flat_map(|c| pixels.iter().skip(c).step_by(3).copied()).collect())
        }
        other => Err(failed(format!("the model has {other} channels, and image files are grey or RGB"))),
    }
}

fn decode(path: &Path) -> Result<DynamicImage, ImageError> {
    let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn on_white(image: DynamicImage) -> DynamicImage {
    let mut pixels = image.into_rgba8();
    for Rgba([r, g, b, a]) in pixels.pixels_mut() {
        for value in [r, g, b] {
            let (v, a) = (u32::from(*value), u32::from(*a));
            *value = ((v * a + 255 * (255 - a) + 127) / 255) as u8;
        }
        *a = 255;
    }
    pixels.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_images_of_the_shape() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("colours.png");
        let mut image = image::RgbaImage::from_pixel(4, 2, Rgba([200, 100, 0, 255]));
        image.put_pixel(3, 1, Rgba([9, 9, 9, 0]));
        image.save(&path).expect("written");
        let exact = load_file(&path, [3, 2, 4]).expect("an image");
        assert_eq!(exact[..8], [200, 200, 200, 200, 200, 200, 200, 255], "red, on white where it is transparent");
        assert_eq!(exact[16..23], [0; 7], "blue");
        assert_eq!(load_file(&path, [1, 5, 3]).expect("resized").len(), 15);
        assert!(load_file(&path, [2, 2, 4]).expect_err("two channels").to_string().contains("2 channels"));

        let text = home.path().join("text.png");
        std::fs::write(&text, "no image").expect("written");
        assert!(load_file(&text, [1, 2, 2]).expect_err("no image").to_string().contains("text.png"));
        assert!(load_file(&home.path().join("none.png"), [1, 2, 2]).is_err());
        assert!(is_image(Path::new("a/B.JPG")) && !is_image(Path::new("a/png")) && !is_image(Path::new("a.tsv")));
    }
}
