//! USPS digits in the two forms besides IDX: an HDF5 file and the text of LIBSVM.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bzip2::bufread::MultiBzDecoder;

use super::error::{DataError, FormatProblem, Place};
use super::hdf5::Hdf5;
use super::input::{MOST_PER_BYTE, open};
use super::number::{Scale, labels, pixels};
use super::set::ImageSet;

/// Height and width of an image.
const SIDE: usize = 16;
/// Bytes of a line that no image needs.
const LONGEST_LINE: u64 = 1 << 15;

/// Loads `usps.h5`: groups `train` and `test`, each with `data` (N x 256, from 0 to 1) and `target`.
///
/// # Errors
/// [`DataError::Format`] with the place in the file, [`DataError::Read`], [`DataError::Set`].
pub(super) fn load_hdf5(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    let (mut all, mut targets) = (Vec::new(), Vec::new());
    for path in files {
        let file = Hdf5::open(path)?;
        for part in ["train", "test"] {
            let data = file.array(&format!("{part}/data"))?;
            if !matches!(data.dims[..], [_, 256] | [_, SIDE, SIDE]) {
                let what = format!("{part}/data is {:?}, not images x 256", data.dims);
                return Err(file.fail(0, FormatProblem::Content(what)));
            }
            all.extend(pixels(data.form, data.bytes, Scale::Unit).map_err(|p| file.fail(0, p))?);
            let target = file.array(&format!("{part}/target"))?;
            targets.extend(labels(target.form, &target.bytes).map_err(|p| file.fail(0, p))?);
        }
    }
    ImageSet::new(name, 1, SIDE, SIDE, all, Some(targets))
}

/// Loads `usps.bz2` and `usps.t.bz2`: a line for each image, its class from 1 to 10 (10 is the digit 9) and 256 pairs
/// `index:value` with values from -1 to 1.
///
/// # Errors
/// [`DataError::Format`] with the place in the decompressed text, [`DataError::Read`], [`DataError::Set`].
pub(super) fn load_libsvm(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in files {
        let (file, length) = open(path)?;
        decode_libsvm(path, BufReader::new(file), length, &mut pixels, &mut labels)?;
    }
    ImageSet::new(name, 1, SIDE, SIDE, pixels, Some(labels))
}

fn decode_libsvm(
    path: &Path,
    file: impl BufRead,
    length: u64,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<(), DataError> {
    // Pixels are packed to a third or so: whoever packs better wants to fill the memory.
    let text = MultiBzDecoder::new(file).take(length.saturating_mul(MOST_PER_BYTE));
    let mut text = BufReader::new(text);
    let mut at = 0;
    let mut line = Vec::new();
    loop {
        let fail = |problem| {
            let place = Place { offset: at, part: "the text after decompression".into() };
            DataError::Format { path: path.to_owned(), place, problem }
        };
        line.clear();
        let read = text.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
        read.map_err(|source| match source.raw_os_error() {
            Some(_) => DataError::Read { path: path.to_owned(), source },
            None => fail(FormatProblem::Damaged(format!("it cannot be decompressed ({source})"))),
        })?;
        if line.is_empty() {
            return Ok(());
        }
        if !line.trim_ascii().is_empty() {
            let label = std::str::from_utf8(&line).ok().and_then(|line| image(line, pixels));
            let what = "a line with a class from 1 to 10 and 256 pairs index:value from -1 to 1 was expected";
            labels.push(label.ok_or_else(|| fail(FormatProblem::Content(what.into())))?);
        }
        at += line.len() as u64;
    }
}

/// Reads a line, appends its pixels and returns its class from 0; `None` where it is no such line.
fn image(line: &str, pixels: &mut Vec<u8>) -> Option<u32> {
    let mut words = line.split_ascii_whitespace();
    let label: u32 = words.next()?.parse().ok()?;
    let mut count = 0;
    for word in words {
        let (index, value) = word.split_once(':')?;
        count += 1;
        let value: f64 = value.parse().ok()?;
        if index.parse() != Ok(count) || !(-1.0..=1.0).contains(&value) {
            return None;
        }
        pixels.push(((value + 1.0) / 2.0 * 255.0).round() as u8);
    }
    (count == SIDE * SIDE && (1..=10).contains(&label)).then(|| label - 1)
}
