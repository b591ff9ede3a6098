//! Data of an HDF5 file that lie in chunks, found through a B-tree of version 1.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::error::DataError;
use super::hdf5::{Chunks, Hdf5};
use super::input::MOST_PER_BYTE;

/// The filters of a set, in the order in which they were applied when it was written.
#[derive(Debug, Default)]
pub(super) struct Filters(Vec<Filter>);

#[derive(Debug, Clone, Copy)]
enum Filter {
    Deflate,
    /// The first bytes of all numbers, then the second, and so on.
    Shuffle,
    /// A checksum of 4 bytes at the end, which is not compared.
    Fletcher32,
}

impl Filters {
    /// Adds the filter with this number, or says that it is not known.
    pub(super) fn push(&mut self, id: u16) -> Result<(), String> {
        self.0.push(match id {
            1 => Filter::Deflate,
            2 => Filter::Shuffle,
            3 => Filter::Fletcher32,
            other => {
                return Err(format!("filter {other} is not read; write the file with gzip or without compression"));
            }
        });
        Ok(())
    }
}

/// A chunk in the file.
struct Chunk {
    at: u64,
    stored: u64,
    /// Bit i is set where filter i was left out.
    skipped: u32,
    /// Where its first number lies.
    offsets: Vec<usize>,
}

/// Reads all chunks of an array of `dims` with numbers of `size` bytes.
pub(super) fn read(
    file: &Hdf5,
    chunks: &Chunks,
    dims: &[usize],
    size: usize,
    filters: &Filters,
) -> Result<Vec<u8>, DataError> {
    let damaged = |what: String| file.damaged(chunks.tree, what);
    let most = (file.bytes.len() as u64).saturating_mul(MOST_PER_BYTE);
    let bounded = |extents: &[usize]| {
        let bytes = extents.iter().try_fold(size, |p, &d| p.checked_mul(d)).filter(|&b| b as u64 <= most);
        bytes.ok_or_else(|| damaged(format!("{extents:?} numbers are more than the file can hold")))
    };
    let (total, chunk_bytes) = (bounded(dims)?, bounded(&chunks.extents)?);
    if chunk_bytes == 0 || dims.is_empty() {
        return Err(damaged(format!("chunks of {:?}", chunks.extents)));
    }
    let grid = dims.iter().zip(&chunks.extents).try_fold(1_usize, |p, (&d, &e)| p.checked_mul(d.div_ceil(e)));
    let grid = grid.filter(|g| g.checked_mul(chunk_bytes).is_some_and(|b| b as u64 <= 2 * most));
    let grid = grid.ok_or_else(|| damaged("more chunks than the file can hold".into()))?;
    let found = find(file, chunks.tree, dims.len(), grid)?;
    let mut data = vec![0; total];
    for chunk in &found {
        let bytes = unpack(file, chunk, chunk_bytes, size, filters)?;
        place(&bytes, &chunk.offsets, &chunks.extents, dims, size, &mut data);
    }
    Ok(data)
}

/// The chunks below the node `tree`, `most` at the most.
fn find(file: &Hdf5, tree: u64, rank: usize, most: usize) -> Result<Vec<Chunk>, DataError> {
    let mut chunks = Vec::new();
    let mut nodes = vec![(tree, u8::MAX)];
    let mut left = file.bytes.len() / 24;
    while let Some((node, above)) = nodes.pop() {
        let head = file.slice(node, 8)?;
        let level = head[5];
        if !head.starts_with(b"TREE\x01") || level >= above {
            return Err(file.damaged(node, "a tree of chunks was expected".into()));
        }
        // Size, filters left out, offsets with that within a number; then the address.
        let key = 8 + 8 * (rank as u64 + 1);
        for i in 0..u64::from(file.u16(node + 6)?) {
            let at = node + 24 + i * (key + 8);
            let child = file.u64(at + key)?;
            if level > 0 {
                let circle = || file.damaged(node, "the tree of chunks runs in a circle".into());
                left = left.checked_sub(1).ok_or_else(circle)?;
                nodes.push((child, level));
                continue;
            }
            if chunks.len() == most {
                return Err(file.damaged(at, format!("more than the {most} chunks that cover the data")));
            }
            let offset = |d: u64| {
                let offset = file.u64(at + 8 + 8 * d)?;
                usize::try_from(offset).map_err(|_| file.damaged(at, format!("a chunk at {offset}")))
            };
            let offsets = (0..rank as u64).map(offset).collect::<Result<_, _>>()?;
            let (stored, skipped) = (u64::from(file.u32(at)?), file.u32(at + 4)?);
            chunks.push(Chunk { at: child, stored, skipped, offsets });
        }
    }
    Ok(chunks)
}

/// Undoes the filters of a chunk, the last first.
fn unpack(file: &Hdf5, chunk: &Chunk, size: usize, number: usize, filters: &Filters) -> Result<Vec<u8>, DataError> {
    let mut bytes = file.slice(chunk.at, chunk.stored)?.to_vec();
    for (i, filter) in filters.0.iter().enumerate().rev() {
        if chunk.skipped >> i.min(31) & 1 == 1 {
            continue;
        }
        match filter {
            Filter::Deflate => {
                let mut inflated = Vec::new();
                // A checksum within the compressed data is the only thing that may come on top.
                let read = ZlibDecoder::new(bytes.as_slice()).take(size as u64 + 4).read_to_end(&mut inflated);
                read.map_err(|e| file.damaged(chunk.at, format!("a chunk cannot be decompressed ({e})")))?;
                bytes = inflated;
            }
            Filter::Shuffle => {
                let count = bytes.len() / number;
                let mut whole = bytes.clone();
                for (i, byte) in whole.iter_mut().take(count * number).enumerate() {
                    *byte = bytes[i % number * count + i / number];
                }
                bytes = whole;
            }
            Filter::Fletcher32 => bytes.truncate(bytes.len().saturating_sub(4)),
        }
    }
    if bytes.len() != size {
        return Err(file.damaged(chunk.at, format!("a chunk has {} bytes, {size} expected", bytes.len())));
    }
    Ok(bytes)
}

/// Copies a chunk to its place, row by row; what reaches beyond the array is padding.
fn place(bytes: &[u8], offsets: &[usize], extents: &[usize], dims: &[usize], size: usize, data: &mut [u8]) {
    let last = dims.len() - 1;
    let row = extents[last];
    let width = row.min(dims[last].saturating_sub(offsets[last]));
    for (r, from) in bytes.chunks_exact(row * size).enumerate() {
        // The indices of the row, the last but one fastest.
        let mut rest = r;
        let (mut start, mut stride, mut inside) = (offsets[last], dims[last], width > 0);
        for d in (0..last).rev() {
            let index = (rest % extents[d]).saturating_add(offsets[d]);
            rest /= extents[d];
            inside &= index < dims[d];
            if !inside {
                break;
            }
            start += index * stride;
            stride *= dims[d];
        }
        if inside {
            data[start * size..(start + width) * size].copy_from_slice(&from[..width * size]);
        }
    }
}
