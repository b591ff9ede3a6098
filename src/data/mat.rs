//! MATLAB files of version 5 to 7.2 (`.mat`): a header of 128 bytes, then elements, each perhaps compressed.
//!
//! The numeric arrays, those in structures included, are handed to a visitor one after the other while the file is read,
//! so that an array larger than memory should hold twice need not be. Numbers lie with the first dimension fastest.

use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::ZlibDecoder;

use super::error::{DataError, FormatProblem};
use super::input::{Input, MOST_PER_BYTE, open};
use super::number::{self, Kind, Number};

const HEADER: u64 = 128;
/// Types of elements.
const INT8: u32 = 1;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// Structures within structures that are followed.
const DEPTH: usize = 8;
/// Names and dimensions are short: more is damage.
const SHORT: u64 = 1 << 16;

/// A numeric array whose numbers have not been read yet.
pub(super) struct Array<'i, 'a> {
    input: &'i mut Input<'a>,
    /// Its dimensions, the fastest first.
    pub dims: Vec<usize>,
    form: Number,
    /// Bytes of the numbers.
    bytes: u64,
    /// Most that all numbers can be, by the length of the file.
    most: u64,
}

/// What is called for each numeric array, with its name: `X`, or `s.field` for one in a structure.
pub(super) type Visitor<'v> = dyn FnMut(&str, &mut Array<'_, '_>) -> Result<(), DataError> + 'v;

/// Reads the file at `path`; see [`decode`].
pub(super) fn read(path: &Path, visit: &mut Visitor<'_>) -> Result<(), DataError> {
    let (file, length) = open(path)?;
    decode(path, &mut BufReader::with_capacity(1 << 16, file), length, visit)
}

/// Reads a file of `length` bytes and calls `visit` for each of its numeric arrays. What is of another kind is passed over.
///
/// # Errors
/// [`DataError::Format`] with the place, [`DataError::Read`], and those of `visit`.
pub(super) fn decode(
    path: &Path,
    reader: &mut dyn Read,
    length: u64,
    visit: &mut Visitor<'_>,
) -> Result<(), DataError> {
    let mut input = Input::new(reader, path, "");
    check_header(&mut input)?;
    let mut walk = Walk { most: length.saturating_mul(MOST_PER_BYTE), visit };
    loop {
        let start = input.at();
        let mut tag = [0; 8];
        match input.some(&mut tag)? {
            0 => return Ok(()),
            8 => {}
            n => return Err(input.fail(FormatProblem::Truncated { missing: 8 - n as u64 })),
        }
        let (kind, size) = (word(&tag, 0), u64::from(word(&tag, 4)));
        match kind {
            MATRIX => walk.matrix(&mut input, size, "", 0)?,
            COMPRESSED => {
                // The decoder gets its own bytes and no others, and reads ahead within them.
                let mut own = BufReader::with_capacity(1 << 16, input.reader().take(size));
                let mut inflated = ZlibDecoder::new(&mut own);
                let part = format!("the element at byte {start}, decompressed");
                let mut inner = Input::new(&mut inflated, path, part);
                let tag: [u8; 8] = inner.array()?;
                if word(&tag, 0) != MATRIX {
                    return Err(inner.damaged(format!("an array was expected, not type {}", word(&tag, 0))));
                }
                walk.matrix(&mut inner, word(&tag, 4).into(), "", 0)?;
                // Reads to the checksum, which the decoder compares.
                if inner.some(&mut [0])? > 0 {
                    return Err(inner.damaged("data goes on after the array"));
                }
                let left = own.buffer().len() as u64 + own.get_ref().limit();
                drop(own);
                input.count(size - left);
                input.skip(left)?;
            }
            other => return Err(input.fail_at(start, FormatProblem::Damaged(format!("{other} is no type of element")))),
        }
    }
}

fn check_header(input: &mut Input<'_>) -> Result<(), DataError> {
    let mut header = [0; HEADER as usize];
    let found = input.some(&mut header)?;
    let unsupported = |what: &str| FormatProblem::Unsupported(what.to_owned());
    let hdf5 = "a MATLAB file of version 7.3 is not read; save it again with -v7";
    match &header[124..] {
        _ if header.starts_with(b"\x89HDF") => Err(input.fail_at(0, unsupported(hdf5))),
        [0, 2, b'I', b'M'] => Err(input.fail_at(124, unsupported(hdf5))),
        [0, 1, b'I', b'M'] => Ok(()),
        [1, 0, b'M', b'I'] => Err(input.fail_at(124, unsupported("a big-endian file is not read; save it again"))),
        _ if header.starts_with(b"MATLAB 5.0") && found < header.len() => {
            Err(input.fail(FormatProblem::Truncated { missing: HEADER - found as u64 }))
        }
        _ => Err(input.fail_at(0, FormatProblem::NotA("a MATLAB file of version 5 (.mat)"))),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The data of an element within a matrix: type, bytes, bytes of padding after them.
struct Tag {
    kind: u32,
    size: u64,
    padding: u64,
}

struct Walk<'w, 'v> {
    most: u64,
    visit: &'w mut Visitor<'v>,
}

impl Walk<'_, '_> {
    /// Reads a matrix of `size` bytes, of which nothing has been read.
    fn matrix(&mut self, input: &mut Input<'_>, size: u64, outer: &str, depth: usize) -> Result<(), DataError> {
        let end = input.at() + size;
        // An empty cell or field.
        if size == 0 {
            return Ok(());
        }
        let flags = short(input, end, UINT32, "the flags of an array")?;
        if flags.len() != 8 {
            return Err(input.damaged("the flags of an array have 8 bytes"));
        }
        let (class, complex) = (flags[0], flags[1] & 0x08 != 0);
        // Opaque objects have no dimensions.
        if class == 17 {
            return finish(input, end);
        }
        let dims = short(input, end, INT32, "the dimensions of an array")?;
        let dims: Option<Vec<usize>> = dims.chunks_exact(4).map(|d| (word(d, 0) as i32).try_into().ok()).collect();
        let dims = dims.filter(|d| d.len() <= 32).ok_or_else(|| input.damaged("dimensions that cannot be"))?;
        let name = short(input, end, INT8, "the name of an array")?;
        let name = format!("{outer}{}", String::from_utf8_lossy(&name));
        match class {
            2 if depth < DEPTH => self.fields(input, end, &name, depth, &dims)?,
            6..=15 if !complex => self.numbers(input, end, &name, dims)?,
            // Text, cells, sparse and complex arrays, functions.
            _ => {}
        }
        finish(input, end)
    }

    /// The fields of a structure. An array of structures is followed for its first element.
    fn fields(
        &mut self,
        input: &mut Input<'_>,
        end: u64,
        name: &str,
        depth: usize,
        dims: &[usize],
    ) -> Result<(), DataError> {
        let length = short(input, end, INT32, "the length of field names")?;
        let length = if length.len() == 4 { word(&length, 0) as usize } else { 0 };
        let names = short(input, end, INT8, "the names of fields")?;
        if length == 0 || length > names.len() {
            return Ok(());
        }
        if dims.contains(&0) {
            return Ok(());
        }
        for field in names.chunks_exact(length) {
            let field = field.split(|&b| b == 0).next().unwrap_or_default();
            let tag = tag(input, end)?;
            if tag.kind != MATRIX {
                return Err(input.damaged(format!("a field was expected, not type {}", tag.kind)));
            }
            // The field has no name of its own.
            self.matrix(input, tag.size, &format!("{name}.{}", String::from_utf8_lossy(field)), depth + 1)?;
        }
        Ok(())
    }

    fn numbers(&mut self, input: &mut Input<'_>, end: u64, name: &str, dims: Vec<usize>) -> Result<(), DataError> {
        let tag = tag(input, end)?;
        // Doubles that are whole and small are stored as integers: the type of the element counts, not the class.
        let (kind, size) = match tag.kind {
            1 => (Kind::Signed, 1),
            2 => (Kind::Unsigned, 1),
            3 => (Kind::Signed, 2),
            4 => (Kind::Unsigned, 2),
            5 => (Kind::Signed, 4),
            6 => (Kind::Unsigned, 4),
            7 => (Kind::Float, 4),
            9 => (Kind::Float, 8),
            12 => (Kind::Signed, 8),
            13 => (Kind::Unsigned, 8),
            other => return Err(input.damaged(format!("{other} is no type of numbers"))),
        };
        let form = Number::new(kind, size, false).ok_or_else(|| input.damaged("numbers of an impossible size"))?;
        let count = dims.iter().try_fold(1_u64, |p, &d| p.checked_mul(d as u64));
        if count.and_then(|c| c.checked_mul(size as u64)) != Some(tag.size) {
            let what = format!("{name} has dimensions {dims:?} and {} bytes, which do not agree", tag.size);
            return Err(input.damaged(what));
        }
        let mut array = Array { input, dims, form, bytes: tag.size, most: self.most };
        (self.visit)(name, &mut array)
    }
}

/// Passes over what is left until `end`.
fn finish(input: &mut Input<'_>, end: u64) -> Result<(), DataError> {
    match end.checked_sub(input.at()) {
        Some(left) => input.skip(left),
        None => Err(input.damaged("an array is longer than its element")),
    }
}

/// Reads a tag. Data of at most 4 bytes may lie in the tag itself.
fn tag(input: &mut Input<'_>, end: u64) -> Result<Tag, DataError> {
    let first = u32::from_le_bytes(input.array()?);
    let small = first >> 16;
    let tag = if small > 0 {
        Tag { kind: first & 0xffff, size: small.into(), padding: u64::from(4_u32.saturating_sub(small)) }
    } else {
        let size = u64::from(u32::from_le_bytes(input.array()?));
        // A matrix is padded within.
        let padding = if first == MATRIX { 0 } else { size.wrapping_neg() % 8 };
        Tag { kind: first, size, padding }
    };
    if small > 4 || input.at() + tag.size > end {
        return Err(input.damaged(format!("{} bytes of data do not fit into their element", tag.size)));
    }
    Ok(tag)
}

/// Reads the data of a short element of a given type.
fn short(input: &mut Input<'_>, end: u64, kind: u32, what: &str) -> Result<Vec<u8>, DataError> {
    let tag = tag(input, end)?;
    if tag.kind != kind || tag.size > SHORT {
        return Err(input.damaged(format!("{what} were expected, not type {} of {} bytes", tag.kind, tag.size)));
    }
    let bytes = input.bytes(tag.size)?;
    input.skip(tag.padding)?;
    Ok(bytes)
}

impl Array<'_, '_> {
    /// An error at the start of the numbers.
    pub(super) fn fail(&self, what: String) -> DataError {
        self.input.fail(FormatProblem::Content(what))
    }

    /// Appends the numbers to `pixels`, which must be bytes, in pieces of `piece` bytes that `change` writes as they are
    /// to be: from its first argument to its second.
    ///
    /// # Errors
    /// [`DataError::Format`] where the numbers are no bytes, no whole number of pieces, or more than the file can hold.
    pub(super) fn append(
        &mut self,
        pixels: &mut Vec<u8>,
        piece: usize,
        change: &mut dyn FnMut(&[u8], &mut [u8]),
    ) -> Result<(), DataError> {
        if !self.form.is_byte() || piece == 0 || !self.bytes.is_multiple_of(piece as u64) {
            return Err(self.fail(format!("images of {piece} unsigned bytes were expected, in {} bytes", self.bytes)));
        }
        if self.bytes > self.most {
            return Err(self.input.fail(FormatProblem::Truncated { missing: self.bytes - self.most }));
        }
        let too_large = |_| self.input.damaged(format!("there is no memory for {} bytes of pixels", self.bytes));
        let size = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        // Exactly, as the largest sets fill most of a small machine.
        pixels.try_reserve_exact(size).map_err(too_large)?;
        let mut buffer = vec![0; piece * (1_usize << 16).div_ceil(piece).min(size / piece).max(1)];
        while self.bytes > 0 {
            let n = buffer.len().min(self.bytes as usize);
            self.input.fill(&mut buffer[..n])?;
            self.bytes -= n as u64;
            for from in buffer[..n].chunks_exact(piece) {
                let start = pixels.len();
                pixels.resize(start + piece, 0);
                change(from, &mut pixels[start..]);
            }
        }
        Ok(())
    }

    /// The numbers as labels.
    ///
    /// # Errors
    /// [`DataError::Format`] where they are not whole numbers from 0 to 65535.
    pub(super) fn labels(&mut self) -> Result<Vec<u32>, DataError> {
        let bytes = self.input.bytes(self.bytes)?;
        self.bytes = 0;
        number::labels(self.form, &bytes).map_err(|p| self.input.fail(p))
    }
}
