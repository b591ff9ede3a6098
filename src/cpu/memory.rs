//! Buffers of the engine and the operands that calls take from them.

use super::words::Words;
use super::{Args, INPUTS, OUTPUTS};
use crate::tape::Arena;

/// Where an operand lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// In the arena of this index.
    Arena(usize),
    /// In a slot of transient memory.
    Slot(usize),
}

/// A stretch of 32-bit words.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub region: Region,
    pub offset: usize,
    pub len: usize,
}

impl Span {
    fn overlaps(&self, other: &Span) -> bool {
        self.region == other.region && self.offset < other.offset + other.len && other.offset < self.offset + self.len
    }
}

/// Operands of a call, checked once when it is made: outputs overlap nothing.
#[derive(Debug)]
pub struct Spans {
    inputs: Vec<Span>,
    outputs: Vec<Span>,
}

impl Spans {
    /// # Panics
    /// If an output overlaps another operand, or there are too many: a fault of the planner.
    pub fn new(name: &str, inputs: Vec<Span>, outputs: Vec<Span>) -> Self {
        assert!(inputs.len() <= INPUTS && outputs.len() <= OUTPUTS, "{name}: {} and {}", inputs.len(), outputs.len());
        for (i, out) in outputs.iter().enumerate() {
            let others = inputs.iter().chain(&outputs[..i]);
            assert!(!others.into_iter().any(|other| out.overlaps(other)), "{name}: output {i} overlaps an operand");
        }
        Spans { inputs, outputs }
    }
}

/// Arenas and slots, in 32-bit words.
#[derive(Default)]
pub struct Memory {
    pub arenas: Vec<Words>,
    pub slots: Vec<Words>,
}

impl Memory {
    pub fn bytes(&self) -> usize {
        self.arenas.iter().chain(&self.slots).map(|v| v.len() * 4).sum()
    }

    pub fn arena_bytes(&mut self, arena: Arena) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.arenas[arena.index()])
    }

    pub fn words(&self, span: &Span) -> &[u32] {
        &self.buffer(span.region)[span.offset..span.offset + span.len]
    }

    fn buffer(&self, region: Region) -> &Words {
        match region {
            Region::Arena(i) => &self.arenas[i],
            Region::Slot(i) => &self.slots[i],
        }
    }

    /// The operands of a call.
    pub fn args(&mut self, spans: &Spans) -> Args<'_> {
        let mut args = Args { inputs: [&[]; INPUTS], outputs: std::array::from_fn(|_| <&mut [u32]>::default()) };
        let base = |memory: &mut Memory, span: &Span| {
            let buffer = match span.region {
                Region::Arena(i) => &mut memory.arenas[i],
                Region::Slot(i) => &mut memory.slots[i],
            };
            assert!(span.offset + span.len <= buffer.len(), "an operand of {span:?} in {} words", buffer.len());
            // SAFETY: in bounds, as just asserted.
            unsafe { buffer.as_mut_ptr().add(span.offset) }
        };
        for (to, span) in args.inputs.iter_mut().zip(&spans.inputs) {
            let start = base(self, span);
            // SAFETY: `base` checked the bounds; `Spans::new` checked that no output overlaps an input, and the
            // exclusive borrow of the memory lasts as long as the slices.
            *to = unsafe { std::slice::from_raw_parts(start, span.len) };
        }
        for (to, span) in args.outputs.iter_mut().zip(&spans.outputs) {
            let start = base(self, span);
            // SAFETY: as above; outputs do not overlap each other either.
            *to = unsafe { std::slice::from_raw_parts_mut(start, span.len) };
        }
        args
    }
}
