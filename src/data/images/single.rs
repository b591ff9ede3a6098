//! Single files, brought to the shape that a model wants.

use std::path::{Path, PathBuf};

use super::Options;
use super::budget::Budget;
use super::decode::{Picture, Problem};
use super::fit::{Fit, stretched};
use super::load::picture;

/// An image file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} {problem}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, as a text that follows its name.
    pub problem: String,
}

/// Reads image files as bytes `[channels,height,width]`, as the images of a folder are read.
pub struct FileReader {
    channels: usize,
    height: usize,
    width: usize,
    fit: Fit,
    budget: Budget,
}

impl FileReader {
    /// For images of a shape. `fit` says how a file of another size becomes a square; where the shape is none, files are
    /// stretched to it. With one channel colours become grey by their luminance (ITU-R BT.709).
    pub fn new([channels, height, width]: [usize; 3], fit: Fit) -> Self {
        FileReader { channels, height, width, fit, budget: Budget::new() }
    }

    /// Reads a file. Many threads may do so at once: what they decode at a time is limited.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be read or is no image of a known format, and where the shape has neither 1 nor 3
    /// channels.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        let failed = |problem: Problem| FileError { path: path.to_owned(), problem: problem.to_string() };
        let size = (self.height == self.width).then_some(self.width);
        let options = Options { size, fit: self.fit, cache: None };
        let picture = picture(path, &options, &self.budget).map_err(failed)?;
        let picture = match (picture.width, picture.height) == (self.width, self.height) {
            true => picture,
            false => stretched(&picture, self.width, self.height).map_err(failed)?,
        };
        let plane = |c: usize| picture.pixels.iter().copied().skip(c).step_by(picture.channels);
        match (self.channels, picture.channels) {
            (1, 1) => Ok(picture.pixels),
            (1, _) => Ok(luminance(&picture)),
            (3, 1) => Ok(picture.pixels.repeat(3)),
            (3, _) => Ok((0..3).flat_map(plane).collect()),
            (other, _) => {
                let what =
                    format!("cannot be compared: the model has {other} channels, and image files are grey or RGB");
                Err(failed(Problem::Unsupported(what)))
            }
        }
    }
}

fn luminance(picture: &Picture) -> Vec<u8> {
    let grey = |rgb: &[u8]| {
        let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
        ((2126 * r + 7152 * g + 722 * b + 5000) / 10_000) as u8
    };
    picture.pixels.chunks_exact(picture.channels).map(grey).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    #[test]
    fn files_become_images_of_the_shape() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("colours.png");
        let mut image = image::RgbaImage::from_pixel(4, 2, Rgba([200, 100, 0, 255]));
        image.put_pixel(3, 1, Rgba([9, 9, 9, 0]));
        image.save(&path).expect("written");
        let read = |shape, fit| FileReader::new(shape, fit).read(&path);
        let exact = read([3, 2, 4], Fit::Crop).expect("an image");
        assert_eq!(exact[..8], [200, 200, 200, 200, 200, 200, 200, 255], "red, on white where it is transparent");
        assert_eq!(exact[16..23], [0; 7], "blue");
        let grey = read([1, 2, 4], Fit::Crop).expect("an image");
        assert_eq!(grey, [114, 114, 114, 114, 114, 114, 114, 255], "by luminance");
        assert_eq!(read([1, 2, 2], Fit::Crop).expect("its middle"), [114; 4]);
        let padded = read([1, 4, 4], Fit::Pad).expect("padded");
        assert_eq!((&padded[..4], &padded[4..7]), (&[0; 4][..], &[114; 3][..]), "black above");
        assert_eq!(read([1, 5, 3], Fit::Crop).expect("stretched").len(), 15);
        assert!(read([2, 2, 4], Fit::Crop).expect_err("two channels").to_string().contains("2 channels"));

        let text = home.path().join("text.png");
        std::fs::write(&text, "no image").expect("written");
        let reader = FileReader::new([1, 2, 2], Fit::Crop);
        assert!(reader.read(&text).expect_err("no image").to_string().contains("text.png is no JPEG"));
        assert!(reader.read(&home.path().join("none.png")).is_err());
    }
}
