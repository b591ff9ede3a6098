//! NumPy files: `.npz` with images and labels, or a `.npy` of each.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::{DataError, FormatProblem, Place};
use super::input::{Input, MOST_PER_BYTE, open};
use super::number::{self, Kind, Number, Scale};
use super::set::ImageSet;

/// Names that the images of an archive go by, the first found is taken.
const IMAGES: [&str; 5] = ["images", "x", "X", "data", "arr_0"];
/// Names that the labels go by.
const LABELS: [&str; 6] = ["labels", "y", "Y", "target", "targets", "arr_1"];
/// Longest header that is read.
const HEADER: u64 = 1 << 16;

/// Loads an archive of images, N x height x width with 1, 3 or 4 channels last (or first, or none), and labels. Bytes
/// are taken as they are, other numbers from 0 to 255; floats that are all at most 1, from 0 to 1.
///
/// # Errors
/// [`DataError::Format`] with the place in the file, [`DataError::Read`], [`DataError::Set`].
pub(super) fn load_npz(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    let [path] = files else { return ImageSet::new(name, 1, 1, 1, Vec::new(), None) };
    let (file, length) = open(path)?;
    let fail =
        |problem| DataError::Format { path: path.clone(), place: Place { offset: 0, part: String::new() }, problem };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| match e {
        ZipError::Io(source) if source.raw_os_error().is_some() => DataError::Read { path: path.clone(), source },
        ZipError::InvalidArchive(_) => fail(FormatProblem::NotA("a NumPy archive (.npz)")),
        other => fail(FormatProblem::Damaged(other.to_string())),
    })?;
    let mut array = |names: &[&str], what: &str| {
        let entry = names.iter().map(|n| format!("{n}.npy")).find(|n| archive.index_for_name(n).is_some());
        let entry = entry.ok_or_else(|| {
            fail(FormatProblem::Content(format!("the archive has no {what}: none of {}", names.join(", "))))
        })?;
        let mut reader = archive.by_name(&entry).map_err(|e| fail(FormatProblem::Damaged(format!("{entry}: {e}"))))?;
        let most = length.saturating_mul(MOST_PER_BYTE);
        decode(&mut Input::new(&mut reader, path, entry), most)
    };
    let images = array(&IMAGES, "images")?;
    let labels = array(&LABELS, "labels")?;
    assemble(name, [path, path], images, labels)
}

/// Loads a file of images and one of labels, see [`load_npz`].
///
/// # Errors
/// As [`load_npz`].
pub(super) fn load_npy(name: &str, files: &[PathBuf]) -> Result<ImageSet, DataError> {
    let [images, labels] = files else { return ImageSet::new(name, 1, 1, 1, Vec::new(), None) };
    let array = |path: &Path| {
        let (file, length) = open(path)?;
        decode(&mut Input::new(&mut BufReader::new(file), path, ""), length)
    };
    assemble(name, [images, labels], array(images)?, array(labels)?)
}

/// An array with the slowest dimension first.
struct Array {
    dims: Vec<usize>,
    form: Number,
    bytes: Vec<u8>,
}

fn assemble(name: &str, [path, label_path]: [&Path; 2], images: Array, labels: Array) -> Result<ImageSet, DataError> {
    let fail = |path: &Path, problem| DataError::Format {
        path: path.to_owned(),
        place: Place { offset: 0, part: String::new() },
        problem,
    };
    let (channels, height, width, last) = match images.dims[..] {
        [_, h, w] => (1, h, w, false),
        [_, h, w, c @ (1 | 3 | 4)] => (c, h, w, true),
        [_, c @ (1 | 3 | 4), h, w] => (c, h, w, false),
        _ => {
            let what = format!("images of {:?} are not N x height x width with or without channels", images.dims);
            return Err(fail(path, FormatProblem::Content(what)));
        }
    };
    let pixels = number::pixels(images.form, images.bytes, Scale::Either).map_err(|p| fail(path, p))?;
    let pixels = if last { super::idx::to_planar(&pixels, height.saturating_mul(width), channels) } else { pixels };
    let labels = number::labels(labels.form, &labels.bytes).map_err(|p| fail(label_path, p))?;
    ImageSet::new(name, channels, height, width, pixels, Some(labels))
}

/// Reads a `.npy` of `most` bytes at the most.
fn decode(input: &mut Input<'_>, most: u64) -> Result<Array, DataError> {
    let [magic @ .., major, _] = input.array::<8>()?;
    if &magic != b"\x93NUMPY" {
        return Err(input.fail_at(0, FormatProblem::NotA("a NumPy array (.npy)")));
    }
    let length = match major {
        1 => u64::from(u16::from_le_bytes(input.array()?)),
        2 | 3 => u64::from(u32::from_le_bytes(input.array()?)),
        other => return Err(input.damaged(format!("version {other} of the format"))),
    };
    if length > HEADER {
        return Err(input.damaged(format!("a header of {length} bytes")));
    }
    let start = input.at();
    let header = input.bytes(length)?;
    let header = String::from_utf8_lossy(&header);
    let at = |problem| input.fail_at(start, problem);
    let no = |what: &str| at(FormatProblem::Damaged(format!("the header has no {what}: {}", header.trim())));
    let descr =
        value(&header, "descr").and_then(|v| v.strip_prefix('\'')?.split_once('\'')).ok_or_else(|| no("descr"))?;
    let form = form(descr.0).ok_or_else(|| {
        at(FormatProblem::Unsupported(format!("numbers of type {:?} are not read; convert them to uint8", descr.0)))
    })?;
    if !value(&header, "fortran_order").ok_or_else(|| no("fortran_order"))?.starts_with("False") {
        let what = "the array lies columns first; save numpy.ascontiguousarray of it";
        return Err(at(FormatProblem::Unsupported(what.into())));
    }
    let shape =
        value(&header, "shape").and_then(|v| v.strip_prefix('(')?.split_once(')')).ok_or_else(|| no("shape"))?;
    let dims: Result<Vec<usize>, _> =
        shape.0.split(',').map(str::trim).filter(|d| !d.is_empty()).map(str::parse).collect();
    let dims = dims.map_err(|_| no("shape of whole numbers"))?;
    let size = dims.iter().try_fold(form.size() as u64, |p, &d| p.checked_mul(d as u64)).filter(|&s| s <= most);
    let size =
        size.ok_or_else(|| at(FormatProblem::Damaged(format!("{dims:?} numbers are more than the file can hold"))))?;
    let bytes = input.bytes(size)?;
    if input.some(&mut [0])? > 0 {
        return Err(input.damaged("data goes on where the header says that the array ends"));
    }
    Ok(Array { dims, form, bytes })
}

/// What follows `'key':` in a header, which is a dictionary as Python writes it.
fn value<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let (_, rest) = header.split_once(&format!("'{key}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

/// The form of numbers such as `|u1` or `<f4`.
fn form(descr: &str) -> Option<Number> {
    let mut letters = descr.chars();
    let order = letters.next()?;
    let kind = match letters.next()? {
        'u' | 'b' => Kind::Unsigned,
        'i' => Kind::Signed,
        'f' => Kind::Float,
        _ => return None,
    };
    let size = letters.as_str().parse().ok()?;
    if !matches!(order, '<' | '>' | '|' | '=') {
        return None;
    }
    Number::new(kind, size, order == '>')
}
