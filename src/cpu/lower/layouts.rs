//! The layout of every storage, and the few conversions between layouts.

use super::{Draft, Kernel, Lowering};
use crate::cpu::{Map, layout};
use crate::tape::{Operand, Place, Shape, Work};

/// How a storage holds a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Planar,
    ChannelsLast(Map),
}

impl Lowering<'_> {
    /// A storage with the operand channels last.
    pub fn channels_last(&mut self, operand: &Operand) -> usize {
        if trivial(&operand.shape) {
            return self.planar(operand);
        }
        let map = Map::of(&operand.shape);
        match self.layouts[operand.storage] {
            Layout::ChannelsLast(m) if m == map => operand.storage,
            Layout::ChannelsLast(_) => {
                // Seen under another shape: by way of the planar layout.
                let planar = self.planar(operand);
                let to = self.new_storage(operand.shape.len());
                self.convert(planar, to, layout::to_channels_last(map));
                to
            }
            Layout::Planar => self.converted_once(operand, Some(map), layout::to_channels_last(map)),
        }
    }

    /// A storage with the operand as the tape lays it out.
    pub fn planar(&mut self, operand: &Operand) -> usize {
        match self.layouts[operand.storage] {
            Layout::Planar => operand.storage,
            Layout::ChannelsLast(map) => self.converted_once(operand, None, layout::to_planar(map)),
        }
    }

    fn converted_once(&mut self, operand: &Operand, to: Option<Map>, kernel: Kernel) -> usize {
        let (storage, key) = (operand.storage, (operand.storage, to));
        // Persistent tensors may change between two uses, so only transient ones are remembered.
        let lasting = self.storages[storage].1 == Place::Transient;
        if let (true, Some(&done)) = (lasting, self.converted.get(&key)) {
            return done;
        }
        let new = self.new_storage(operand.shape.len());
        self.convert(storage, new, kernel);
        self.converted.insert(key, new);
        new
    }

    pub fn convert(&mut self, from: usize, to: usize, kernel: Kernel) {
        let numbers = self.storages[to].0;
        let work = Work { kernel: "layout", detail: numbers.to_string(), flops: 0, bytes: 8 * numbers as u64 };
        self.drafts.push(Draft { work, kernel, inputs: vec![from], outputs: vec![to] });
    }
}

/// Whether both layouts are the same memory.
pub fn trivial(shape: &Shape) -> bool {
    let map = Map::of(shape);
    map.c == 1 || map.pixels() == 1
}

pub fn is_shape(map: Map, shape: &Shape) -> bool {
    shape.rank() == 4 && Map::of(shape) == map
}
