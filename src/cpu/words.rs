//! Memory of 32-bit words.

use std::io;
use std::ops::{Deref, DerefMut};

/// Words that begin at a page, so that registers of theirs at multiples of sixteen lie within a line of the cache, and in
/// large pages where the system has them. They are zero at first, and take memory when they are written to.
#[derive(Debug)]
pub struct Words {
    memory: Memory,
    len: usize,
}

#[cfg(not(proteus_sanitize))]
type Memory = memmap2::MmapRaw;
/// What a sanitizer watches the ends of.
#[cfg(proteus_sanitize)]
type Memory = Vec<u32>;

impl Words {
    /// # Errors
    /// If there is no memory for them.
    #[cfg(not(proteus_sanitize))]
    pub fn zeroed(len: usize) -> io::Result<Self> {
        let bytes = len.checked_mul(4).ok_or(io::ErrorKind::OutOfMemory)?;
        // A map has at least one byte.
        let memory = Memory::from(memmap2::MmapMut::map_anon(bytes.max(1))?);
        // Where the advice is not taken, pages are small: slower and no worse.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Ok(Words { memory, len })
    }

    /// # Errors
    /// If there is no memory for them.
    #[cfg(proteus_sanitize)]
    pub fn zeroed(len: usize) -> io::Result<Self> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        memory.resize(len, 0);
        Ok(Words { memory, len })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first of them, without a reference to any: slices of other parts may be in use.
    pub fn as_mut_ptr(&mut self) -> *mut u32 {
        self.memory.as_mut_ptr().cast()
    }
}

impl Deref for Words {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        // SAFETY: so many words are there, initialised, and aligned as a page is.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Words {
    fn deref_mut(&mut self) -> &mut [u32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len) }
    }
}
