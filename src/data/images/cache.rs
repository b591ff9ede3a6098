//! Decoded sets on disk, so that a folder is decoded once.
//!
//! A file holds a line that says what it is, the length of a header, the header in JSON, the pixels, and a check sum of
//! all before it. The header names every image file with its length and time, so that a folder in which anything changed
//! is decoded anew; its file in the cache is then replaced.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Crc;
use serde::{Deserialize, Serialize};

use super::cache_folder::{ENDING, Origin, UNFINISHED, touch};
use super::load::Decoded;
use super::{CacheFolder, Listing, Options};

/// First bytes of a file; another version of the program that decodes otherwise has another number.
const MAGIC: &[u8; 16] = b"proteus images 2";
/// Bytes before the header: these and its length.
const START: usize = MAGIC.len() + 8;

/// The file of a folder in the cache.
pub(super) struct Cache {
    caches: CacheFolder,
    path: PathBuf,
    key: Key,
}

/// What the pixels depend on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    folder: PathBuf,
    size: Option<usize>,
    fit: String,
    /// Name, length and time of each file.
    files: Vec<(String, u64, i64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header<K> {
    key: K,
    shape: [usize; 3],
    unread: Vec<(usize, String)>,
}

impl Cache {
    pub(super) fn new(caches: &CacheFolder, listing: &Listing, options: &Options) -> Cache {
        let folder = fs::canonicalize(&listing.folder).unwrap_or_else(|_| listing.folder.clone());
        let size = options.size.map_or("own".into(), |size| size.to_string());
        let mut sum = Crc::new();
        sum.update(folder.as_os_str().as_encoded_bytes());
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
        let name: String =
            folder.file_name().unwrap_or_default().to_string_lossy().chars().map(plain).take(40).collect();
        let path = caches.path.join(format!("{name}-{:08x}-{size}-{}.{ENDING}", sum.sum(), options.fit));
        let files = listing.files.iter().map(|f| (f.name.clone(), f.length, f.written)).collect();
        let caches = caches.clone();
        Cache { caches, path, key: Key { folder, size: options.size, fit: options.fit.to_string(), files } }
    }

    /// What was decoded of `files` files, if it is there and nothing has changed since.
    pub(super) fn read(&self, files: usize) -> Option<Decoded> {
        let file = File::open(&self.path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut reader = Summed { inner: BufReader::new(file), sum: Crc::new() };
        let mut start = [0; START];
        reader.read_exact(&mut start).ok()?;
        let header = start.strip_prefix(MAGIC)?.try_into().map(u64::from_le_bytes).ok()?;
        // What follows is not longer than the file, whatever it says.
        let pixels = length.checked_sub(start.len() as u64)?.checked_sub(header)?.checked_sub(4)?;
        let text = bytes(&mut reader, header)?;
        let header: Header<Key> = serde_json::from_slice(&text).ok()?;
        let ascending = header.unread.is_sorted_by(|a, b| a.0 < b.0);
        let in_range = header.unread.last().is_none_or(|(i, _)| *i < files);
        let [channels, height, width] = header.shape;
        let image = channels.checked_mul(height)?.checked_mul(width)?;
        let expected = (files - header.unread.len().min(files)).checked_mul(image)?;
        if header.key != self.key || !ascending || !in_range || expected as u64 != pixels || pixels == 0 {
            return None;
        }
        let pixels = bytes(&mut reader, pixels)?;
        let found = reader.sum.sum();
        let mut sum = [0; 4];
        reader.read_exact(&mut sum).ok()?;
        if u32::from_le_bytes(sum) != found {
            return None;
        }
        touch(&self.path);
        Some(Decoded { channels, height, width, pixels, unread: header.unread, passing: false })
    }

    /// Writes what was decoded, whole or not at all, in place of sets that were not used for longer. Without a cache
    /// everything works as well, so that a disk that is full or cannot be written is no error.
    pub(super) fn write(&self, decoded: &Decoded) {
        let mut beside = self.path.as_os_str().to_owned();
        beside.push(format!(".{}.{UNFINISHED}", std::process::id()));
        let beside = PathBuf::from(beside);
        let write = || -> io::Result<()> {
            fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
            let shape = [decoded.channels, decoded.height, decoded.width];
            let header = serde_json::to_vec(&Header { key: &self.key, shape, unread: decoded.unread.clone() })?;
            let bytes = START + header.len() + decoded.pixels.len() + 4;
            if !self.caches.make_room(bytes as u64, &self.path) {
                return Ok(());
            }
            let mut writer = BufWriter::new(File::create(&beside)?);
            let mut sum = Crc::new();
            for part in [&MAGIC[..], &(header.len() as u64).to_le_bytes(), &header, &decoded.pixels] {
                sum.update(part);
                writer.write_all(part)?;
            }
            writer.write_all(&sum.sum().to_le_bytes())?;
            writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&beside, &self.path)
        };
        if write().is_err() {
            let _ = fs::remove_file(&beside);
        }
    }
}

/// What a file of the cache was made of, if it can be told.
pub(super) fn origin(path: &Path) -> Option<Origin> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut reader = BufReader::new(file);
    let mut start = [0; START];
    reader.read_exact(&mut start).ok()?;
    let header = start.strip_prefix(MAGIC)?.try_into().map(u64::from_le_bytes).ok()?;
    let text = bytes(&mut reader, header.min(length))?;
    let Header { key, shape, .. } = serde_json::from_slice::<Header<Key>>(&text).ok()?;
    let fit = key.size.map(|_| key.fit);
    Some(Origin { folder: key.folder, files: key.files.len(), shape, fit })
}

/// `count` bytes, which the file has.
fn bytes(reader: &mut impl Read, count: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(count).ok()?).ok()?;
    reader.take(count).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == count).then_some(bytes)
}

/// A reader that sums up what it read.
struct Summed<R> {
    inner: R,
    sum: Crc,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(to)?;
        self.sum.update(&to[..read]);
        Ok(read)
    }
}
