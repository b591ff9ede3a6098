//! The IDX format of MNIST, USPS and their kin: a big-endian header, then bytes; plain or gzip.
//!
//! Header: two zero bytes, the element type (0x08 = unsigned byte), the number of dimensions, then each dimension as
//! a u32. Images are N x H x W, or N x H x W x C in colour; labels are N.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Cursor, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::error::{DataError, IdxProblem};
use super::set::ImageSet;

/// Magic number of labels: unsigned bytes, one dimension.
const LABELS: u32 = 0x0000_0801;
/// Magic number of grey images: unsigned bytes, N x H x W.
const GREY: u32 = 0x0000_0803;
/// Magic number of colour images: unsigned bytes, N x H x W x C.
const COLOUR: u32 = 0x0000_0804;

const WANT_IMAGES: &str = "IDX images (0x00000803 grey, 0x00000804 colour)";
const WANT_LABELS: &str = "IDX labels (0x00000801)";

/// Images out of one IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxImages {
    /// Channels of an image.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// All pixels, planar: `[N, channels, height, width]`.
    pub pixels: Vec<u8>,
}

/// Reads a file of images, plain or gzip (told by its first bytes, not by its name).
///
/// # Errors
/// [`DataError::Read`] where the system fails, [`DataError::Idx`] where the content is not right.
pub fn read_images(path: &Path) -> Result<IdxImages, DataError> {
    decode_images(path, BufReader::new(open(path)?))
}

/// Reads a file of labels, plain or gzip, one u32 for each.
///
/// # Errors
/// [`DataError::Read`] where the system fails, [`DataError::Idx`] where the content is not right.
pub fn read_labels(path: &Path) -> Result<Vec<u32>, DataError> {
    decode_labels(path, BufReader::new(open(path)?))
}

/// Reads images and, where given, their labels into a set called `name`.
///
/// # Errors
/// Those of [`read_images`] and [`read_labels`], and [`DataError::Set`] where the two do not have the same length.
pub fn load_pair(name: &str, images: &Path, labels: Option<&Path>) -> Result<ImageSet, DataError> {
    let IdxImages { channels, height, width, pixels } = read_images(images)?;
    let labels = labels.map(read_labels).transpose()?;
    ImageSet::new(name, channels, height, width, pixels, labels)
}

/// Decodes images from any reader; `origin` names it in errors. See [`read_images`].
///
/// # Errors
/// As [`read_images`].
pub fn decode_images(origin: &Path, reader: impl Read) -> Result<IdxImages, DataError> {
    let (dims, data) = decode(reader, &[GREY, COLOUR], WANT_IMAGES).map_err(|e| e.at(origin))?;
    // `decode` has made sure that the dimensions are three or four, positive, and have a product that fits.
    let size = |i: usize| dims.get(i).map_or(1, |&d| d as usize);
    let (height, width, channels) = (size(1), size(2), size(3));
    if channels > 4 {
        let problem = IdxProblem::Channels { found: channels as u32, dims };
        return Err(DataError::Idx { path: origin.to_owned(), problem });
    }
    let pixels = if channels == 1 { data } else { to_planar(&data, height * width, channels) };
    Ok(IdxImages { channels, height, width, pixels })
}

/// Decodes labels from any reader; `origin` names it in errors. See [`read_labels`].
///
/// # Errors
/// As [`read_labels`].
pub fn decode_labels(origin: &Path, reader: impl Read) -> Result<Vec<u32>, DataError> {
    let (_, data) = decode(reader, &[LABELS], WANT_LABELS).map_err(|e| e.at(origin))?;
    Ok(data.into_iter().map(u32::from).collect())
}

/// Writes the images of a set and its labels, where it has any, as files that [`load_pair`] reads. Labels must be below
/// 256; colour is written with the channels last.
///
/// # Errors
/// [`DataError::Exists`] where one of the files is there, [`DataError::Write`] where the system fails.
pub fn save_pair(set: &ImageSet, images: &Path, labels: &Path) -> Result<(), DataError> {
    let (count, height, width) = (set.len() as u32, set.height as u32, set.width as u32);
    let (magic, mut dims) = (if set.channels == 1 { GREY } else { COLOUR }, vec![count, height, width]);
    if set.channels > 1 {
        dims.push(set.channels as u32);
    }
    write_new(images, magic, &dims, |file| {
        let plane = set.height * set.width;
        let mut last = vec![0; set.image_bytes()];
        for image in set.pixels.chunks_exact(set.image_bytes()) {
            for (i, pixel) in image.iter().enumerate() {
                last[i % plane * set.channels + i / plane] = *pixel;
            }
            file.write_all(&last)?;
        }
        Ok(())
    })?;
    let Some(values) = &set.labels else { return Ok(()) };
    write_new(labels, LABELS, &[count], |file| values.iter().try_for_each(|&label| file.write_all(&[label as u8])))
}

/// Writes a file under another name first, so that one that is cut short is never taken for whole.
fn write_new(
    path: &Path,
    magic: u32,
    dims: &[u32],
    data: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), DataError> {
    if path.exists() {
        return Err(DataError::Exists { path: path.to_owned() });
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let write = || {
        let mut file = BufWriter::new(File::create(&part)?);
        for word in [magic].iter().chain(dims) {
            file.write_all(&word.to_be_bytes())?;
        }
        data(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&part, path)
    };
    write().map_err(|source| DataError::Write { path: path.to_owned(), source })
}

/// Channels last to channels first, image by image.
pub(super) fn to_planar(data: &[u8], pixels: usize, channels: usize) -> Vec<u8> {
    let mut planar = Vec::with_capacity(data.len());
    for image in data.chunks_exact(pixels.saturating_mul(channels).max(1)) {
        for c in 0..channels {
            planar.extend(image.iter().skip(c).step_by(channels));
        }
    }
    planar
}

fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|source| DataError::Read { path: path.to_owned(), source })
}

/// A failure that does not know its file yet.
enum Failure {
    Io(io::Error),
    Problem(IdxProblem),
}

impl Failure {
    fn at(self, path: &Path) -> DataError {
        let path = path.to_owned();
        match self {
            Failure::Io(source) => DataError::Read { path, source },
            Failure::Problem(problem) => DataError::Idx { path, problem },
        }
    }
}

/// Unpacks gzip where the first bytes say so, then reads the header and exactly what it promises.
fn decode(mut reader: impl Read, magics: &[u32], wanted: &'static str) -> Result<(Vec<u32>, Vec<u8>), Failure> {
    let mut start = Vec::with_capacity(2);
    reader.by_ref().take(2).read_to_end(&mut start).map_err(Failure::Io)?;
    let gzip = start == [0x1f, 0x8b];
    let whole = Cursor::new(start).chain(reader);
    if gzip {
        // Multi: some tools write a file as several gzip members.
        let inner = MultiGzDecoder::new(BufReader::new(whole));
        Source { inner, gzip, at: 0 }.array(magics, wanted)
    } else {
        Source { inner: whole, gzip, at: 0 }.array(magics, wanted)
    }
}

/// A reader that knows how far it is.
struct Source<R> {
    inner: R,
    gzip: bool,
    at: u64,
}

impl<R: Read> Source<R> {
    /// Reads `n` bytes, or fewer at the end. Memory grows with what arrives: a header may promise anything.
    fn up_to(&mut self, n: u64) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let read = self.inner.by_ref().take(n).read_to_end(&mut bytes);
        self.at += bytes.len() as u64;
        match read {
            Ok(_) => Ok(bytes),
            // The decoder reports bad data by these kinds; whatever else comes is the system's failure.
            Err(e) if self.gzip && is_bad_gzip(e.kind()) => {
                Err(Failure::Problem(IdxProblem::Gzip { after: self.at, detail: e.to_string() }))
            }
            Err(e) => Err(Failure::Io(e)),
        }
    }

    /// Reads the header and the data: dimensions and bytes.
    fn array(mut self, magics: &[u32], wanted: &'static str) -> Result<(Vec<u32>, Vec<u8>), Failure> {
        let magic = self.up_to(4)?;
        let Ok(magic) = <[u8; 4]>::try_from(magic.as_slice()) else {
            return Err(Failure::Problem(IdxProblem::Truncated { expected: 4, found: magic.len() as u64 }));
        };
        check_magic(magic, magics, wanted).map_err(Failure::Problem)?;

        let header_bytes = 4 + 4 * u64::from(magic[3]);
        let header = self.up_to(header_bytes - 4)?;
        if self.at < header_bytes {
            return Err(Failure::Problem(IdxProblem::Truncated { expected: header_bytes, found: self.at }));
        }
        let dims: Vec<u32> = header.chunks_exact(4).map(|d| u32::from_be_bytes([d[0], d[1], d[2], d[3]])).collect();
        let data_bytes = data_bytes(&dims).map_err(Failure::Problem)?;

        let data = self.up_to(data_bytes)?;
        let expected = header_bytes + data_bytes;
        if self.at < expected {
            return Err(Failure::Problem(IdxProblem::Truncated { expected, found: self.at }));
        }
        // Looking for one byte more also makes the gzip decoder check its checksum.
        if !self.up_to(1)?.is_empty() {
            return Err(Failure::Problem(IdxProblem::Trailing { expected }));
        }
        Ok((dims, data))
    }
}

fn is_bad_gzip(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// Number of data bytes, if the dimensions make sense.
fn data_bytes(dims: &[u32]) -> Result<u64, IdxProblem> {
    let fail = |i: usize, why| IdxProblem::Dimensions { offset: 4 + 4 * i as u64, dims: dims.to_vec(), why };
    let mut product: u64 = 1;
    for (i, &dim) in dims.iter().enumerate() {
        if dim == 0 {
            return Err(fail(i, "include a zero"));
        }
        product = product
            .checked_mul(u64::from(dim))
            // A Vec holds isize::MAX bytes at most.
            .filter(|&p| isize::try_from(p).is_ok_and(|p| p < isize::MAX - 64))
            .ok_or_else(|| fail(i, "multiply to more bytes than memory can address"))?;
    }
    Ok(product)
}

/// Accepts one of `magics`, or says what the bytes are instead.
fn check_magic(bytes: [u8; 4], magics: &[u32], wanted: &'static str) -> Result<(), IdxProblem> {
    let found = u32::from_be_bytes(bytes);
    if magics.contains(&found) {
        return Ok(());
    }
    let [zero0, zero1, code, _] = bytes;
    if zero0 == 0
        && zero1 == 0
        && let Some(name) = other_type(code)
    {
        return Err(IdxProblem::ElementType { code, name });
    }
    Err(IdxProblem::Magic { found, wanted, meaning: meaning(bytes, found) })
}

/// Element types of IDX other than the unsigned byte.
fn other_type(code: u8) -> Option<&'static str> {
    Some(match code {
        0x09 => "signed byte",
        0x0b => "16-bit integer",
        0x0c => "32-bit integer",
        0x0d => "32-bit float",
        0x0e => "64-bit float",
        _ => return None,
    })
}

/// What a wrong magic number stands for, and what to do.
fn meaning(bytes: [u8; 4], found: u32) -> String {
    match (found, bytes) {
        (LABELS, _) => "this is a label file, give the image file here".to_owned(),
        (GREY | COLOUR, _) => "this is an image file, give the label file here".to_owned(),
        (_, [0, 0, 8, n]) => format!("an IDX file of {n} dimensions is neither images nor labels"),
        (_, [1 | 3 | 4, 8, 0, 0]) => "the header is little-endian, write it big-endian".to_owned(),
        (_, [b'P', b'K', ..]) => "this is a zip archive, unpack it first".to_owned(),
        (_, [0x93, b'N', b'U', b'M']) => "this is a NumPy file".to_owned(),
        (_, [0x89, b'P', b'N', b'G']) => "this is a PNG image".to_owned(),
        (_, [b'<', ..]) => "this looks like a web page saved in place of the file, download it again".to_owned(),
        _ => "this is not an IDX file".to_owned(),
    }
}
