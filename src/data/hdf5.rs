//! The part of HDF5 that data sets of images are written in: groups of the old and the new style, and data that lies in
//! one piece, in the header, or in chunks (deflate, shuffle). What else there is in the format is refused by name.
//!
//! The file is held in memory as a whole, and every offset in it is checked.

use std::path::{Path, PathBuf};

use super::error::{DataError, FormatProblem, Place};
use super::hdf5_chunks::{self, Filters};
use super::number::{Kind, Number};

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
/// An address that points nowhere.
const NOWHERE: u64 = u64::MAX;
/// Messages of an object's header.
const DATASPACE: u16 = 0x01;
const LINK_INFO: u16 = 0x02;
const DATATYPE: u16 = 0x03;
const LINK: u16 = 0x06;
const LAYOUT: u16 = 0x08;
const FILTERS: u16 = 0x0b;
const CONTINUATION: u16 = 0x10;
const SYMBOL_TABLE: u16 = 0x11;

/// An HDF5 file.
pub(super) struct Hdf5 {
    pub(super) bytes: Vec<u8>,
    path: PathBuf,
    /// Address of the header of the root group.
    root: u64,
}

/// The data of a set in the file.
pub(super) struct Array {
    /// Dimensions, the slowest first.
    pub dims: Vec<usize>,
    /// Form of its numbers.
    pub form: Number,
    /// The numbers.
    pub bytes: Vec<u8>,
}

/// A message of an object's header: its type and where it starts.
struct Message {
    kind: u16,
    at: u64,
}

/// Where the data of a set lie.
pub(super) struct Chunks {
    /// Address of the tree of chunks.
    pub tree: u64,
    /// Extents of a chunk.
    pub extents: Vec<usize>,
}

impl Hdf5 {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`DataError::Read`], and [`DataError::Format`] where it is no HDF5 file.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
        Hdf5::decode(path, bytes)
    }

    /// Takes the content of a file; `path` names it in errors.
    ///
    /// # Errors
    /// [`DataError::Format`] where it is no HDF5 file.
    pub(super) fn decode(path: &Path, bytes: Vec<u8>) -> Result<Self, DataError> {
        let mut file = Hdf5 { bytes, path: path.to_owned(), root: 0 };
        if !file.bytes.starts_with(SIGNATURE) {
            return Err(file.fail(0, FormatProblem::NotA("an HDF5 file")));
        }
        let version = file.byte(8)?;
        let (sizes, root) = match version {
            0 => (13, 24 + 4 * 8 + 8),
            1 => (13, 28 + 4 * 8 + 8),
            2 | 3 => (9, 12 + 3 * 8),
            other => return Err(file.unsupported(8, format!("version {other} of the format is not read"))),
        };
        if [file.byte(sizes)?, file.byte(sizes + 1)?] != [8, 8] {
            return Err(file.unsupported(sizes, "addresses of other than 8 bytes are not read".into()));
        }
        file.root = file.u64(root)?;
        Ok(file)
    }

    /// The data at a path such as `train/data`.
    ///
    /// # Errors
    /// [`DataError::Format`] where there is none, it is damaged, or of a form that is not read.
    pub(super) fn array(&self, name: &str) -> Result<Array, DataError> {
        let mut object = self.root;
        for part in name.split('/') {
            let messages = self.messages(object)?;
            object = self.member(&messages, part, object)?.ok_or_else(|| {
                self.fail(object, FormatProblem::Content(format!("the file has no {name}: {part} was not found")))
            })?;
        }
        self.read(object, name)
    }

    fn read(&self, object: u64, name: &str) -> Result<Array, DataError> {
        let messages = self.messages(object)?;
        let find = |kind: u16, what: &str| {
            let found = messages.iter().find(|m| m.kind == kind);
            found.ok_or_else(|| self.fail(object, FormatProblem::Content(format!("{name} has no {what}"))))
        };
        let dims = self.dims(find(DATASPACE, "dimensions")?)?;
        let form = self.form(find(DATATYPE, "type of numbers")?)?;
        let filters = match messages.iter().find(|m| m.kind == FILTERS) {
            Some(message) => self.filters(message)?,
            None => Filters::default(),
        };
        let size = dims.iter().try_fold(form.size(), |p, &d| p.checked_mul(d));
        let size = size.ok_or_else(|| self.damaged(object, format!("{name} is larger than memory can address")))?;
        let at = find(LAYOUT, "data")?.at;
        let version = self.byte(at)?;
        let class = self.byte(at + 1)?;
        let bytes = match (version, class) {
            (3 | 4, 0) => {
                let stored = u64::from(self.u16(at + 2)?);
                self.whole(at + 4, stored, size, name)?
            }
            (3 | 4, 1) => self.whole(self.u64(at + 2)?, self.u64(at + 10)?, size, name)?,
            (3, 2) => {
                let rank = usize::from(self.byte(at + 2)?);
                if rank != dims.len() + 1 {
                    return Err(self.damaged(at + 2, format!("chunks of {rank} dimensions for {}", dims.len() + 1)));
                }
                let extent = |i: usize| Ok(self.u32(at + 11 + 4 * i as u64)? as usize);
                let extents = (0..dims.len()).map(extent).collect::<Result<Vec<_>, DataError>>()?;
                let chunks = Chunks { tree: self.u64(at + 3)?, extents };
                hdf5_chunks::read(self, &chunks, &dims, form.size(), &filters)?
            }
            (_, 2) => {
                let what = format!("{name} lies in chunks of HDF5 1.10 or later; write it with libver='earliest'");
                return Err(self.unsupported(at, what));
            }
            _ => return Err(self.unsupported(at, format!("{name} has a layout {version}.{class} that is not read"))),
        };
        Ok(Array { dims, form, bytes })
    }

    /// Data in one piece.
    fn whole(&self, at: u64, stored: u64, size: usize, name: &str) -> Result<Vec<u8>, DataError> {
        if at == NOWHERE {
            return Err(self.fail(0, FormatProblem::Content(format!("{name} was never written"))));
        }
        if stored < size as u64 {
            return Err(self.damaged(at, format!("{name} has {stored} bytes, {size} expected")));
        }
        Ok(self.slice(at, size as u64)?.to_vec())
    }

    fn dims(&self, message: &Message) -> Result<Vec<usize>, DataError> {
        let at = message.at;
        let (version, rank) = (self.byte(at)?, u64::from(self.byte(at + 1)?));
        let first = match version {
            1 => at + 8,
            2 => at + 4,
            other => return Err(self.damaged(at, format!("dimensions of version {other}"))),
        };
        let dim = |i| {
            let dim = self.u64(first + 8 * i)?;
            usize::try_from(dim).map_err(|_| self.damaged(first + 8 * i, format!("a dimension of {dim}")))
        };
        (0..rank).map(dim).collect()
    }

    fn form(&self, message: &Message) -> Result<Number, DataError> {
        let class = self.byte(message.at)? & 0x0f;
        let bits = self.byte(message.at + 1)?;
        let size = self.u32(message.at + 4)? as usize;
        let kind = match (class, bits & 0x08) {
            (0, 0) => Some(Kind::Unsigned),
            (0, _) => Some(Kind::Signed),
            (1, _) => Some(Kind::Float),
            _ => None,
        };
        let form = kind.and_then(|kind| Number::new(kind, size, bits & 1 == 1));
        form.ok_or_else(|| {
            self.unsupported(message.at, format!("numbers of class {class} and {size} bytes are not read"))
        })
    }

    fn filters(&self, message: &Message) -> Result<Filters, DataError> {
        let mut filters = Filters::default();
        let (version, count) = (self.byte(message.at)?, self.byte(message.at + 1)?);
        let mut at = message.at + if version == 1 { 8 } else { 2 };
        for _ in 0..count {
            let id = self.u16(at)?;
            // Version 2 leaves out the length of a name that everyone knows.
            let named = version == 1 || id >= 256;
            let name = if named { u64::from(self.u16(at + 2)?) } else { 0 };
            at += if named { 4 } else { 2 };
            let values = u64::from(self.u16(at + 2)?);
            filters.push(id).map_err(|what| self.unsupported(at, what))?;
            let padding = if version == 1 { values % 2 * 4 } else { 0 };
            at += 4 + name + 4 * values + padding;
        }
        Ok(filters)
    }

    /// The messages of an object's header, those of its continuations included.
    fn messages(&self, object: u64) -> Result<Vec<Message>, DataError> {
        let new = self.slice(object, 4)? == b"OHDR";
        let mut flags = 0;
        let mut blocks = if new {
            flags = self.byte(object + 5)?;
            let before = 6 + u64::from(flags >> 5 & 1) * 16 + u64::from(flags >> 4 & 1) * 4;
            let width = 1 << (flags & 3);
            let size = self.number(object + before, width)?;
            vec![(object + before + width, size)]
        } else if self.byte(object)? == 1 {
            vec![(object + 16, u64::from(self.u32(object + 8)?))]
        } else {
            return Err(self.damaged(object, "no object starts here".into()));
        };
        let header = match (new, flags & 4) {
            (false, _) => 8,
            (true, 0) => 4,
            (true, _) => 6,
        };
        let mut messages = Vec::new();
        // Continuations may run in a circle: no file has more blocks than it has room for.
        let mut left = self.bytes.len() / 8;
        while let Some((start, size)) = blocks.pop() {
            let block = self.slice(start, size)?.len() as u64;
            let mut at = start;
            while at + header <= start + block && left > 0 {
                left -= 1;
                let (kind, size) = if new {
                    (u16::from(self.byte(at)?), u64::from(self.u16(at + 1)?))
                } else {
                    (self.u16(at)?, u64::from(self.u16(at + 2)?))
                };
                let body = at + header;
                if kind == CONTINUATION {
                    let (next, length) = (self.u64(body)?, self.u64(body + 8)?);
                    // New blocks have a signature before and a checksum after.
                    let frame = if new { (4, 8) } else { (0, 0) };
                    blocks.push((next.saturating_add(frame.0), length.saturating_sub(frame.1)));
                } else {
                    messages.push(Message { kind, at: body });
                }
                at = body + size;
            }
        }
        Ok(messages)
    }

    /// The address of the member `name` of a group.
    fn member(&self, messages: &[Message], name: &str, group: u64) -> Result<Option<u64>, DataError> {
        for message in messages {
            match message.kind {
                SYMBOL_TABLE => {
                    let names = self.u64(self.u64(message.at + 8)?.saturating_add(24))?;
                    return self.in_tree(self.u64(message.at)?, names, name);
                }
                LINK => {
                    if let Some(address) = self.link(message, name)? {
                        return Ok(Some(address));
                    }
                }
                LINK_INFO if messages.iter().all(|m| m.kind != LINK) => {
                    let flags = self.byte(message.at + 1)?;
                    let heap = self.u64(message.at + 2 + u64::from(flags & 1) * 8)?;
                    if heap != NOWHERE {
                        let what = "a group with a heap of links is not read; write it with libver='earliest'";
                        return Err(self.unsupported(group, what.into()));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Looks for `name` in a group of the old style.
    fn in_tree(&self, tree: u64, names: u64, name: &str) -> Result<Option<u64>, DataError> {
        let mut nodes = vec![(tree, u8::MAX)];
        let mut left = self.bytes.len() / 8;
        while let Some((node, above)) = nodes.pop() {
            if self.slice(node, 4)? == b"SNOD" {
                for i in 0..u64::from(self.u16(node + 6)?) {
                    let entry = node + 8 + 40 * i;
                    let at = names.saturating_add(self.u64(entry)?);
                    let end = at.saturating_add(name.len() as u64);
                    if self.slice(at, name.len() as u64).is_ok_and(|n| n == name.as_bytes()) && self.byte(end)? == 0 {
                        return Ok(Some(self.u64(entry + 8)?));
                    }
                }
                continue;
            }
            let level = self.byte(node.saturating_add(5))?;
            if self.slice(node, 4)? != b"TREE" || self.byte(node + 4)? != 0 || level >= above {
                return Err(self.damaged(node, "the tree of a group was expected".into()));
            }
            for i in 0..u64::from(self.u16(node + 6)?) {
                left = left.checked_sub(1).ok_or_else(|| self.damaged(node, "a group runs in a circle".into()))?;
                nodes.push((self.u64(node + 32 + 16 * i)?, level));
            }
        }
        Ok(None)
    }

    /// The address in a link of the new style, if it is called `name`.
    fn link(&self, message: &Message, name: &str) -> Result<Option<u64>, DataError> {
        let flags = self.byte(message.at + 1)?;
        let mut at = message.at + 2;
        let hard = if flags & 8 != 0 {
            at += 1;
            self.byte(at - 1)? == 0
        } else {
            true
        };
        at += u64::from(flags >> 2 & 1) * 8 + u64::from(flags >> 4 & 1);
        let width = 1 << (flags & 3);
        let length = self.number(at, width)?;
        at += width;
        if !hard || self.slice(at, length)? != name.as_bytes() {
            return Ok(None);
        }
        self.u64(at + length).map(Some)
    }

    pub(super) fn fail(&self, offset: u64, problem: FormatProblem) -> DataError {
        DataError::Format { path: self.path.clone(), place: Place { offset, part: String::new() }, problem }
    }

    pub(super) fn damaged(&self, offset: u64, what: String) -> DataError {
        self.fail(offset, FormatProblem::Damaged(what))
    }

    fn unsupported(&self, offset: u64, what: String) -> DataError {
        self.fail(offset, FormatProblem::Unsupported(what))
    }

    /// `size` bytes at `at`.
    pub(super) fn slice(&self, at: u64, size: u64) -> Result<&[u8], DataError> {
        let end = at.saturating_add(size);
        let range = usize::try_from(at).ok().zip(usize::try_from(end).ok());
        range.and_then(|(at, end)| self.bytes.get(at..end)).ok_or_else(|| {
            let missing = end.saturating_sub(self.bytes.len() as u64);
            self.fail(at, FormatProblem::Truncated { missing })
        })
    }

    pub(super) fn byte(&self, at: u64) -> Result<u8, DataError> {
        self.number(at, 1).map(|n| n as u8)
    }

    pub(super) fn u16(&self, at: u64) -> Result<u16, DataError> {
        self.number(at, 2).map(|n| n as u16)
    }

    pub(super) fn u32(&self, at: u64) -> Result<u32, DataError> {
        self.number(at, 4).map(|n| n as u32)
    }

    pub(super) fn u64(&self, at: u64) -> Result<u64, DataError> {
        self.number(at, 8)
    }

    /// A little-endian number of 1 to 8 bytes.
    fn number(&self, at: u64, width: u64) -> Result<u64, DataError> {
        Ok(self.slice(at, width)?.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }
}
