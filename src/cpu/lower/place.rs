//! Memory for the kernels of a program: storages become spans of slots and arenas.

use super::{Lowered, Lowering, Step};
use crate::cpu::memory::{Region, Span, Spans};
use crate::tape::{Place, memory};
use std::collections::HashMap;
use std::sync::Arc;

impl Lowering<'_> {
    /// Plans memory and turns storages into spans.
    pub fn place(self, outputs: &[usize], reuse: bool) -> Lowered {
        let end = self.drafts.len();
        let mut lives: Vec<Option<memory::Lifetime>> = vec![None; self.storages.len()];
        let touches = self
            .drafts
            .iter()
            .enumerate()
            .flat_map(|(at, d)| d.inputs.iter().chain(&d.outputs).map(move |&storage| (storage, at)));
        for (storage, at) in touches.chain(outputs.iter().map(|&storage| (storage, end))) {
            let (len, place) = self.storages[storage];
            if place == Place::Transient {
                lives[storage].get_or_insert(memory::Lifetime { len, first: at, last: at }).last = at;
            }
        }
        let transient: Vec<usize> = (0..lives.len()).filter(|&s| lives[s].is_some()).collect();
        let lifetimes: Vec<_> = transient.iter().filter_map(|&s| lives[s]).collect();
        let slots = memory::assign(&lifetimes, reuse);
        let slot: HashMap<usize, usize> = transient.iter().copied().zip(slots.slot).collect();
        let span = |storage: &usize| {
            let (len, place) = self.storages[*storage];
            match place {
                Place::Transient => Span { region: Region::Slot(slot[storage]), offset: 0, len },
                Place::Persistent { arena, offset } => {
                    Span { region: Region::Arena(arena.index()), offset: offset * arena.dtype().size() / 4, len }
                }
            }
        };
        let outputs = outputs.iter().map(span).collect();
        let steps = self.drafts.iter().map(|d| {
            Spans::new(d.work.kernel, d.inputs.iter().map(span).collect(), d.outputs.iter().map(span).collect())
        });
        let steps: Vec<Spans> = steps.collect();
        let steps = self.drafts.into_iter().zip(steps);
        let steps = steps.map(|(d, spans)| Step { work: Arc::new(d.work), kernel: d.kernel, spans }).collect();
        Lowered { steps, slots: slots.len, outputs }
    }
}
