//! Reading with a count of bytes, so that every error can say where it is.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::{DataError, FormatProblem, Place};

/// Most that deflate makes of one byte: what is promised beyond that is not in the file.
pub(super) const MOST_PER_BYTE: u64 = 1032;

/// A reader that knows its file and how far it is.
pub(super) struct Input<'a> {
    reader: &'a mut dyn Read,
    path: &'a Path,
    /// The part of the file that is being read, see [`Place`].
    part: String,
    at: u64,
}

impl<'a> Input<'a> {
    pub(super) fn new(reader: &'a mut dyn Read, path: &'a Path, part: impl Into<String>) -> Self {
        Input { reader, path, part: part.into(), at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The underlying reader, for a part that is read by itself.
    pub(super) fn reader(&mut self) -> &mut dyn Read {
        self.reader
    }

    /// Counts bytes that were taken from [`reader`](Input::reader).
    pub(super) fn count(&mut self, bytes: u64) {
        self.at += bytes;
    }

    /// An error at this place.
    pub(super) fn fail(&self, problem: FormatProblem) -> DataError {
        self.fail_at(self.at, problem)
    }

    /// An error at byte `offset`.
    pub(super) fn fail_at(&self, offset: u64, problem: FormatProblem) -> DataError {
        let place = Place { offset, part: self.part.clone() };
        DataError::Format { path: self.path.to_owned(), place, problem }
    }

    /// An error for something that cannot be.
    pub(super) fn damaged(&self, what: impl Into<String>) -> DataError {
        self.fail(FormatProblem::Damaged(what.into()))
    }

    /// Fills `bytes` as far as the data goes and returns how much that is.
    pub(super) fn some(&mut self, bytes: &mut [u8]) -> Result<usize, DataError> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.reader.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(n) => {
                    filled += n;
                    self.at += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.system(e)),
            }
        }
        Ok(filled)
    }

    /// Fills `bytes`.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> Result<(), DataError> {
        let filled = self.some(bytes)?;
        if filled < bytes.len() {
            return Err(self.fail(FormatProblem::Truncated { missing: (bytes.len() - filled) as u64 }));
        }
        Ok(())
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DataError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next `n` bytes. Memory grows with what arrives: a header may promise anything.
    pub(super) fn bytes(&mut self, n: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let read = (&mut *self.reader).take(n).read_to_end(&mut bytes);
        self.at += bytes.len() as u64;
        read.map_err(|e| self.system(e))?;
        if (bytes.len() as u64) < n {
            return Err(self.fail(FormatProblem::Truncated { missing: n - bytes.len() as u64 }));
        }
        Ok(bytes)
    }

    /// Passes over `n` bytes.
    pub(super) fn skip(&mut self, n: u64) -> Result<(), DataError> {
        let passed = io::copy(&mut (&mut *self.reader).take(n), &mut io::sink());
        let passed = passed.map_err(|e| self.system(e))?;
        self.at += passed;
        if passed < n {
            return Err(self.fail(FormatProblem::Truncated { missing: n - passed }));
        }
        Ok(())
    }

    /// A failed read. Decoders make their errors themselves, so what has no number of the system is bad data.
    fn system(&self, source: io::Error) -> DataError {
        match source.raw_os_error() {
            Some(_) => DataError::Read { path: self.path.to_owned(), source },
            None => self.damaged(format!("the compressed data cannot be read ({source})")),
        }
    }
}

/// Opens a file for reading and says how long it is.
pub(super) fn open(path: &Path) -> Result<(File, u64), DataError> {
    let fail = |source| DataError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(fail)?;
    let about = file.metadata().map_err(fail)?;
    if about.is_dir() {
        return Err(fail(io::ErrorKind::IsADirectory.into()));
    }
    Ok((file, about.len()))
}
