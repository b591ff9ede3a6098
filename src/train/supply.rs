//! The images of a set on the device: all of them, or a chunk at a time in the order in which they are wanted.

use super::programs::Ledger;
use crate::data::ImageSet;
use crate::tape::{Engine, EngineError, Store};
use std::fmt;

/// Chunks go over in pieces of about this many bytes, which bounds the copy that the host makes of them. So much is more
/// than drivers are given at once: engines wait in between, and copies of the drivers do not pile up.
const PIECE: usize = 64 << 20;
/// Devices take whole words.
const WORD: usize = 4;

/// How a set goes to a device that does not take all of it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// Bytes of the set.
    pub set_bytes: usize,
    /// Images of a chunk, whole batches of them.
    pub images: usize,
    /// Bytes of a chunk.
    pub bytes: usize,
    /// Chunks of an epoch.
    pub chunks: usize,
}

impl fmt::Display for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| bytes.div_ceil(1 << 20);
        let Streaming { set_bytes, images, bytes, chunks } = *self;
        write!(f, "its {} MiB are streamed in {chunks} chunks of {images} images ({} MiB)", mib(set_bytes), mib(bytes))
    }
}

/// What the device holds of a set.
///
/// Of a set that it does not hold whole it has a chunk: the images of some steps, one after the other in the order of the
/// epoch, so that a step finds the same bytes as in the whole set. Chunks begin at multiples of their length in the order.
pub(super) struct Supply<'a> {
    set: &'a ImageSet,
    batch: usize,
    /// Images that the device has room for.
    room: usize,
    /// Which image comes when; empty if the device holds them all.
    order: Vec<u32>,
    /// The chunk of this order that is on the device.
    chunk: Option<usize>,
}

impl<'a> Supply<'a> {
    /// For steps on `batch` images, of which the device takes `limit` bytes at once; a batch is the least.
    pub(super) fn new(set: &'a ImageSet, batch: usize, limit: usize) -> Self {
        let batches = (limit / (batch * set.image_bytes())).max(1);
        let room = if set.pixels.len() <= limit { set.len() } else { set.len().min(batches * batch) };
        Supply { set, batch, room, order: Vec::new(), chunk: None }
    }

    /// Images that the device has room for.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// A limit at which it takes less of the device; `None` if it cannot.
    pub(super) fn smaller(&self) -> Option<usize> {
        (self.room > self.batch).then(|| self.room * self.set.image_bytes() / 2)
    }

    /// How the set is streamed; `None` if the device holds it whole.
    pub(super) fn streaming(&self) -> Option<Streaming> {
        let (set_bytes, images) = (self.set.pixels.len(), self.room);
        let chunks = self.set.len().div_ceil(images);
        (chunks > 1).then(|| Streaming { set_bytes, images, bytes: images * self.set.image_bytes(), chunks })
    }

    /// Writes what never changes: the whole set, or where the images of each step lie in their chunk.
    pub(super) fn start(&self, store: &Store, ledger: &Ledger, engine: &mut dyn Engine) -> Result<(), EngineError> {
        if self.streaming().is_none() {
            return engine.write(store[ledger.images].arena, 0, &self.set.pixels);
        }
        let places: Vec<u32> = (0..self.room as u32).cycle().take(self.set.len()).collect();
        engine.write_u32(&store[ledger.order], &places)
    }

    /// From now on images are wanted in this order.
    pub(super) fn follow(
        &mut self,
        order: &[u32],
        store: &Store,
        ledger: &Ledger,
        engine: &mut dyn Engine,
    ) -> Result<(), EngineError> {
        if self.streaming().is_none() {
            return engine.write_u32(&store[ledger.order], order);
        }
        (self.order, self.chunk) = (order.to_vec(), None);
        Ok(())
    }

    /// Sees to it that the images of `step` (from 0) are on the device. Returns for how many steps from it on they are.
    pub(super) fn reach(
        &mut self,
        step: usize,
        store: &Store,
        ledger: &Ledger,
        engine: &mut dyn Engine,
    ) -> Result<usize, EngineError> {
        if self.streaming().is_none() {
            return Ok(usize::MAX);
        }
        let steps = self.room / self.batch;
        let chunk = step / steps;
        if self.chunk != Some(chunk) {
            // Half a chunk is none.
            self.chunk = None;
            let first = (chunk * self.room).min(self.order.len());
            let images = &self.order[first..self.order.len().min(first + self.room)];
            self.upload(images, store, ledger, engine)?;
            self.chunk = Some(chunk);
        }
        Ok((chunk + 1) * steps - step)
    }

    fn upload(
        &self,
        images: &[u32],
        store: &Store,
        ledger: &Ledger,
        engine: &mut dyn Engine,
    ) -> Result<(), EngineError> {
        let item = self.set.image_bytes();
        // As many images as are whole words.
        let each = (PIECE / item).max(1).next_multiple_of(WORD);
        let mut bytes = Vec::with_capacity(each.min(images.len()) * item + WORD);
        for (piece, images) in images.chunks(each).enumerate() {
            bytes.clear();
            images.iter().for_each(|&i| bytes.extend_from_slice(self.set.image(i as usize)));
            // What is filled up is beyond the chunk: nobody reads it, and arenas end at multiples of more than a word.
            bytes.resize(bytes.len().next_multiple_of(WORD), 0);
            engine.write(store[ledger.images].arena, piece * each * item, &bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuEngine;
    use crate::tape::Arena;
    use crate::train::Config;

    /// `n` images of 5 bytes; image i is all i.
    fn set(n: usize) -> ImageSet {
        let pixels = (0..n).flat_map(|i| [i as u8; 5]).collect();
        ImageSet::new("made", 1, 1, 5, pixels, None).expect("a set")
    }

    fn room(images: usize, batch: usize, limit: usize) -> usize {
        Supply::new(&set(images), batch, limit).room()
    }

    #[test]
    fn chunks_are_whole_batches() {
        assert_eq!(room(20, 4, 100), 20, "exactly all of them");
        assert_eq!(room(20, 4, 99), 16);
        assert_eq!(room(20, 4, 40), 8);
        assert_eq!(room(20, 4, 39), 4);
        assert_eq!(room(20, 4, 0), 4, "a batch is the least");
        assert_eq!(room(3, 4, 0), 3, "of a set smaller than a batch, all");
        let set = set(20);
        assert_eq!(Supply::new(&set, 4, 100).streaming(), None);
        let supply = Supply::new(&set, 4, 40);
        let expected = Streaming { set_bytes: 100, images: 8, bytes: 40, chunks: 3 };
        assert_eq!(supply.streaming(), Some(expected));
        assert_eq!(supply.smaller(), Some(20));
        assert_eq!(Supply::new(&set, 4, 20).smaller(), None);
    }

    /// At every step the place that the device's order gives holds the image that the epoch's order wants.
    #[test]
    fn every_step_finds_its_images() {
        let (set, config) = (set(23), Config { batch_size: 3, clusters: 2, ..Config::default() });
        let order: Vec<u32> = (0..23).map(|i| i * 7 % 23).collect();
        for limit in [1000, 60, 45, 1] {
            let mut supply = Supply::new(&set, 3, limit);
            let mut store = Store::new();
            let ledger = Ledger::with_room(&mut store, &set, &config, 1, supply.room());
            let mut engine = CpuEngine::new(Some(1)).expect("an engine");
            engine.allocate(&store).expect("memory");
            supply.start(&store, &ledger, &mut engine).expect("written");
            supply.follow(&order, &store, &ledger, &mut engine).expect("written");
            // In order, and back to the middle as a run that is resumed.
            for step in (0..8).chain([4, 5, 0]) {
                let steps = supply.reach(step, &store, &ledger, &mut engine).expect("written");
                let first = step * 3;
                let there = steps.saturating_mul(3).min(23 - first);
                let places = engine.read_u32(&store[ledger.order]).expect("read");
                for (&place, &image) in places.iter().zip(&order).skip(first).take(there) {
                    let found = engine.read(Arena::Images, place as usize * 5, 5).expect("read");
                    assert_eq!(found, set.image(image as usize), "limit {limit}, step {step}");
                }
            }
        }
    }
}
