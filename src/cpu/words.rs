//! Memory of 32-bit words.

use memmap2::MmapMut;
use std::io;
use std::ops::{Deref, DerefMut};

/// Words that begin at a page, so that no register of theirs lies across two lines of the cache, and in large pages where
/// the system has them. They are zero at first, and take memory when they are written to.
#[derive(Debug)]
pub struct Words {
    map: MmapMut,
    len: usize,
}

impl Words {
    /// # Errors
    /// If there is no memory for them.
    pub fn zeroed(len: usize) -> io::Result<Self> {
        let bytes = len.checked_mul(4).ok_or(io::ErrorKind::OutOfMemory)?;
        // A map has at least one byte.
        let map = MmapMut::map_anon(bytes.max(1))?;
        // Where the advice is not taken, pages are small: slower and no worse.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Words { map, len })
    }
}

impl Deref for Words {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        bytemuck::cast_slice(&self.map[..self.len * 4])
    }
}

impl DerefMut for Words {
    fn deref_mut(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(&mut self.map[..self.len * 4])
    }
}
