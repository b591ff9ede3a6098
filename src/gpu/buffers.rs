//! Device memory: arenas, the slots that plans share, and the way to and from the host.

use std::sync::mpsc;

use super::device::Gpu;
use crate::tape::{Arena, Dtype, EngineError, Store};

/// Host data goes over in pieces of at most this many bytes, which bounds the driver's staging memory.
const PIECE: usize = 32 << 20;

/// Usage of everything that kernels bind.
pub(super) const STORAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_DST).union(wgpu::BufferUsages::COPY_SRC);

/// Usage of copies of arenas.
const COPIES: wgpu::BufferUsages = wgpu::BufferUsages::COPY_DST.union(wgpu::BufferUsages::COPY_SRC);

/// One buffer per arena of persistent tensors; an empty arena has none.
#[derive(Default)]
pub(super) struct Arenas {
    buffers: [Option<wgpu::Buffer>; Arena::ALL.len()],
    /// Copies of some of them, as they were at some time.
    kept: Vec<(Arena, wgpu::Buffer)>,
}

impl Arenas {
    /// Makes zero-filled arenas: all of them or none.
    pub fn allocate(&mut self, gpu: &Gpu, store: &Store) -> Result<(), EngineError> {
        self.free(gpu);
        let made = self.make(gpu, store);
        if made.is_err() {
            self.free(gpu);
        }
        made
    }

    fn make(&mut self, gpu: &Gpu, store: &Store) -> Result<(), EngineError> {
        for arena in Arena::ALL {
            let bytes = store.arena_len(arena) * arena.dtype().size();
            if bytes > 0 {
                // New buffers read as zero.
                self.buffers[arena.index()] = Some(gpu.buffer(arena.label(), bytes, STORAGE)?);
            }
        }
        Ok(())
    }

    fn free(&mut self, gpu: &Gpu) {
        self.forget(gpu);
        for buffer in self.buffers.iter_mut().filter_map(Option::take) {
            gpu.release(&buffer);
        }
    }

    /// Copies arenas aside, in the place of an earlier copy; `false` if there is no room.
    pub fn keep(&mut self, gpu: &Gpu, arenas: &[Arena]) -> Result<bool, EngineError> {
        let wanted: Vec<Arena> = arenas.iter().copied().filter(|a| self.buffers[a.index()].is_some()).collect();
        if !self.kept.iter().map(|(arena, _)| arena).eq(&wanted) {
            self.forget(gpu);
            for arena in wanted {
                let bytes = self.buffers[arena.index()].as_ref().map_or(0, |b| b.size() as usize);
                match gpu.buffer(&format!("a copy of {}", arena.label()), bytes, COPIES) {
                    Ok(buffer) => self.kept.push((arena, buffer)),
                    Err(EngineError::OutOfMemory { .. }) => {
                        self.forget(gpu);
                        return Ok(false);
                    }
                    Err(other) => return Err(other),
                }
            }
        }
        self.copy(gpu, false)?;
        Ok(true)
    }

    /// Puts back what was kept.
    pub fn put_back(&self, gpu: &Gpu) -> Result<(), EngineError> {
        self.copy(gpu, true)
    }

    /// Gives up what was kept.
    pub fn forget(&mut self, gpu: &Gpu) {
        for (_, buffer) in self.kept.drain(..) {
            gpu.release(&buffer);
        }
    }

    /// Copies arenas to what is kept of them, or back.
    fn copy(&self, gpu: &Gpu, back: bool) -> Result<(), EngineError> {
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("keep") });
        for (arena, copy) in &self.kept {
            if let Some(buffer) = &self.buffers[arena.index()] {
                let (from, to) = if back { (copy, buffer) } else { (buffer, copy) };
                encoder.copy_buffer_to_buffer(from, 0, to, 0, copy.size());
            }
        }
        gpu.queue.submit([encoder.finish()]);
        gpu.check()
    }

    /// The buffer of an arena that covers bytes up to `end`.
    pub fn get(&self, arena: Arena, end: usize) -> Result<&wgpu::Buffer, EngineError> {
        let size = self.buffers[arena.index()].as_ref().map_or(0, |b| b.size() as usize);
        match &self.buffers[arena.index()] {
            Some(buffer) if end <= size => Ok(buffer),
            _ => {
                let message = format!("bytes up to {end} of the arena {arena:?}, which has {size}");
                Err(EngineError::Kernel { kernel: "memory access".to_string(), message })
            }
        }
    }
}

/// Buffers that belong to the loaded plans.
#[derive(Default)]
pub(super) struct Pool {
    buffers: Vec<wgpu::Buffer>,
}

impl Pool {
    /// Adds a buffer and returns its number.
    pub fn add(
        &mut self,
        gpu: &Gpu,
        what: &str,
        bytes: usize,
        usage: wgpu::BufferUsages,
    ) -> Result<usize, EngineError> {
        self.buffers.push(gpu.buffer(what, bytes, usage)?);
        Ok(self.buffers.len() - 1)
    }

    pub fn get(&self, index: usize) -> &wgpu::Buffer {
        &self.buffers[index]
    }

    pub fn free(&mut self, gpu: &Gpu) {
        for buffer in self.buffers.drain(..) {
            gpu.release(&buffer);
        }
    }
}

/// Bytes of `len` elements.
pub(super) fn bytes_of(len: usize, dtype: Dtype) -> usize {
    (len * dtype.size()).next_multiple_of(4)
}

/// Writes bytes at any offset. Edges that are not whole words are merged with what is there.
pub(super) fn upload(gpu: &Gpu, buffer: &wgpu::Buffer, offset: usize, bytes: &[u8]) -> Result<(), EngineError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let (first, last) = (offset / 4 * 4, (offset + bytes.len()).next_multiple_of(4));
    if first == offset && last == offset + bytes.len() {
        return upload_words(gpu, buffer, offset, bytes);
    }
    let mut head = download(gpu, buffer, first, offset - first)?;
    let tail = download(gpu, buffer, offset + bytes.len(), last - offset - bytes.len())?;
    head.extend_from_slice(bytes);
    head.extend_from_slice(&tail);
    upload_words(gpu, buffer, first, &head)
}

fn upload_words(gpu: &Gpu, buffer: &wgpu::Buffer, offset: usize, bytes: &[u8]) -> Result<(), EngineError> {
    for (i, piece) in bytes.chunks(PIECE).enumerate() {
        gpu.queue.write_buffer(buffer, (offset + i * PIECE) as u64, piece);
        if bytes.len() > PIECE {
            let submission = gpu.queue.submit([]);
            gpu.wait(Some(submission), "writing")?;
        }
    }
    gpu.check()
}

/// Reads bytes at any offset, after all work submitted before.
pub(super) fn download(gpu: &Gpu, buffer: &wgpu::Buffer, offset: usize, len: usize) -> Result<Vec<u8>, EngineError> {
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        let start = offset + out.len();
        let size = (len - out.len()).min(PIECE);
        let (first, last) = (start / 4 * 4, (start + size).next_multiple_of(4));
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = gpu.buffer("a read-back", last - first, usage)?;
        let piece = map(gpu, buffer, &staging, first, last - first);
        gpu.release(&staging);
        out.extend_from_slice(&piece?[start - first..start - first + size]);
    }
    Ok(out)
}

fn map(
    gpu: &Gpu,
    buffer: &wgpu::Buffer,
    staging: &wgpu::Buffer,
    first: usize,
    len: usize,
) -> Result<Vec<u8>, EngineError> {
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read-back") });
    encoder.copy_buffer_to_buffer(buffer, first as u64, staging, 0, len as u64);
    let submission = gpu.queue.submit([encoder.finish()]);
    let (send, receive) = mpsc::channel();
    staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
        // The receiver is gone only if the wait below failed, which is reported there.
        let _ = send.send(result);
    });
    gpu.wait(Some(submission), "reading")?;
    let failed = |message: String| EngineError::Kernel { kernel: "read-back".to_string(), message };
    match receive.try_recv() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed("the driver did not map the buffer".to_string())),
    }
    let bytes = staging.slice(..).get_mapped_range().map_err(|e| failed(e.to_string()))?.to_vec();
    staging.unmap();
    Ok(bytes)
}
