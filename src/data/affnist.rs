//! affNIST, digits of MNIST under affine maps: the published file, or the like of it made from MNIST's test images.

use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::error::{DataError, FormatProblem, Place};
use super::mat;
use super::set::ImageSet;

/// Height and width of an image.
const SIDE: usize = 40;
/// Versions of each digit.
const VERSIONS: usize = 32;

/// Loads `test.mat` as published: `affNISTdata.image` is 1600 x N bytes, an image a column, row by row, and
/// `affNISTdata.label_int` its classes.
///
/// # Errors
/// [`DataError::Format`] with the place in the file, [`DataError::Read`], [`DataError::Set`].
pub(super) fn load(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    let (mut pixels, mut labels) = (Vec::new(), None);
    for path in files {
        mat::read(path, &mut |array_name, array| match array_name {
            "affNISTdata.image" => {
                if array.dims.first() != Some(&(SIDE * SIDE)) {
                    return Err(array.fail(format!("the images are {:?}, not 1600 x images", array.dims)));
                }
                array.append(&mut pixels, SIDE * SIDE, &mut |from, to| to.copy_from_slice(from))
            }
            "affNISTdata.label_int" => {
                labels = Some(array.labels()?);
                Ok(())
            }
            _ => Ok(()),
        })?;
        if pixels.is_empty() || labels.is_none() {
            let problem = FormatProblem::Content("the file has no affNISTdata with image and label_int".into());
            let place = Place { offset: 0, part: String::new() };
            return Err(DataError::Format { path: path.clone(), place, problem });
        }
    }
    ImageSet::new(name, 1, SIDE, SIDE, pixels, labels)
}

/// Makes 32 versions of each digit, one after the other, on a canvas of 40 x 40: turned by up to 20 degrees, sheared by
/// up to 0.2, scaled by 0.8 to 1.2 along each axis, moved to anywhere that keeps the digit inside. Image i of `digits`
/// is the seed of its versions.
///
/// # Errors
/// Those of [`ImageSet::new`].
pub(super) fn make(name: &str, digits: &ImageSet) -> Result<ImageSet, DataError> {
    let (from, channels) = (digits.height * digits.width, digits.channels);
    let each = SIDE * SIDE * channels;
    let mut pixels = vec![0; digits.len() * VERSIONS * each];
    pixels.par_chunks_mut(VERSIONS * each).enumerate().for_each(|(i, versions)| {
        let image = digits.image(i);
        let ink = Ink::of(image, digits.width, digits.height);
        let mut rng = ChaCha8Rng::seed_from_u64(i as u64);
        for version in versions.chunks_exact_mut(each) {
            let map = Map::random(&ink, &mut rng);
            for (plane, canvas) in image.chunks_exact(from).zip(version.chunks_exact_mut(SIDE * SIDE)) {
                map.draw(plane, digits.width, digits.height, canvas);
            }
        }
    });
    let labels = digits.labels.as_ref().map(|l| l.iter().flat_map(|&label| [label; VERSIONS]).collect());
    ImageSet::new(name, channels, SIDE, SIDE, pixels, labels)
}

/// The rectangle around what is not black, in pixels: left, top, right, bottom.
struct Ink([f64; 4]);

impl Ink {
    fn of(image: &[u8], width: usize, height: usize) -> Ink {
        let (mut left, mut top, mut right, mut bottom) = (width, height, 0, 0);
        let inked = image.iter().enumerate().filter(|(_, v)| **v > 0);
        for (x, y) in inked.map(|(i, _)| (i % width, i / width % height)) {
            (left, right) = (left.min(x), right.max(x + 1));
            (top, bottom) = (top.min(y), bottom.max(y + 1));
        }
        // A black image: any point will do.
        let corners = if left < right { [left, top, right, bottom] } else { [0; 4] };
        Ink(corners.map(|c| c as f64))
    }
}

/// An affine map from the canvas back to the digit: source = m (x, y) + t.
struct Map {
    m: [f64; 4],
    t: [f64; 2],
}

impl Map {
    fn random(ink: &Ink, rng: &mut ChaCha8Rng) -> Map {
        let angle = rng.random_range(-20.0_f64..=20.0).to_radians();
        let shear = rng.random_range(-0.2..=0.2);
        let (sx, sy) = (rng.random_range(0.8..=1.2), rng.random_range(0.8..=1.2));
        let (sin, cos) = angle.sin_cos();
        // Scale, then shear along x, then turn.
        let a = [cos * sx, (cos * shear - sin) * sy, sin * sx, (sin * shear + cos) * sy];
        let [left, top, right, bottom] = ink.0;
        let mut low = [f64::INFINITY; 2];
        let mut high = [f64::NEG_INFINITY; 2];
        for (x, y) in [(left, top), (right, top), (left, bottom), (right, bottom)] {
            for (axis, at) in [a[0] * x + a[1] * y, a[2] * x + a[3] * y].into_iter().enumerate() {
                low[axis] = low[axis].min(at);
                high[axis] = high[axis].max(at);
            }
        }
        let moved = [0, 1].map(|axis| {
            let room = SIDE as f64 - (high[axis] - low[axis]);
            // Drawn in any case, so that the numbers after it are the same; a digit without room is centred.
            let share: f64 = rng.random_range(0.0..=1.0);
            (if room > 0.0 { room * share } else { room / 2.0 }) - low[axis]
        });
        let determinant = a[0] * a[3] - a[1] * a[2];
        let m = [a[3], -a[1], -a[2], a[0]].map(|v| v / determinant);
        let t = [-(m[0] * moved[0] + m[1] * moved[1]), -(m[2] * moved[0] + m[3] * moved[1])];
        Map { m, t }
    }

    /// Draws a plane, bilinear between pixel centres, black outside.
    fn draw(&self, plane: &[u8], width: usize, height: usize, canvas: &mut [u8]) {
        let at = |x: i64, y: i64| {
            let inside = x >= 0 && y >= 0 && x < width as i64 && y < height as i64;
            if inside { f64::from(plane[y as usize * width + x as usize]) } else { 0.0 }
        };
        for (row, line) in canvas.chunks_exact_mut(SIDE).enumerate() {
            for (column, pixel) in line.iter_mut().enumerate() {
                let (u, v) = (column as f64 + 0.5, row as f64 + 0.5);
                let x = self.m[0] * u + self.m[1] * v + self.t[0] - 0.5;
                let y = self.m[2] * u + self.m[3] * v + self.t[1] - 0.5;
                let (left, top) = (x.floor(), y.floor());
                let (fx, fy) = (x - left, y - top);
                let (i, j) = (left as i64, top as i64);
                let above = at(i, j) * (1.0 - fx) + at(i + 1, j) * fx;
                let below = at(i, j + 1) * (1.0 - fx) + at(i + 1, j + 1) * fx;
                *pixel = (above * (1.0 - fy) + below * fy + 0.5) as u8;
            }
        }
    }
}
