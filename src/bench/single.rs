//! Programs of one operation, many times over on operands of their own.

use super::inputs::input;
use crate::tape::{
    Arena, Call, Dtype, Engine, EngineError, Operand, Persistent, PersistentId, Place, Program, Storage, Store,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Bytes that the copies of an operation touch together: more than a cache holds.
const FOOTPRINT: u64 = 128 << 20;
/// Copies at most.
const COPIES: u64 = 16;

/// An operation on operands of its own, repeated on copies of them.
pub struct Single {
    call: Call,
    copies: usize,
    store: Store,
    program: Program,
    /// What the operation reads, copy by copy.
    inputs: Vec<(PersistentId, usize)>,
    /// What the first copy updates in place.
    updated: Vec<PersistentId>,
}

impl Single {
    /// For a call of a program.
    pub fn new(of: &Program, call: &Call) -> Self {
        Self::with_copies(of, call, (FOOTPRINT / call.bytes().max(1)).clamp(1, COPIES) as usize)
    }

    /// With a number of copies.
    pub fn with_copies(of: &Program, call: &Call, copies: usize) -> Self {
        let (mut store, mut program) = (Store::new(), Program::default());
        let (mut inputs, mut updated) = (Vec::new(), Vec::new());
        let dtype = |o: &Operand| of.storages[o.storage].dtype;
        let mut persistent = |program: &mut Program, o: &Operand, arena: Arena| {
            let id = store.add("operand", o.shape.clone(), arena);
            let Persistent { offset, .. } = store[id];
            let place = Place::Persistent { arena, offset };
            program.storages.push(Storage { len: o.shape.len(), dtype: arena.dtype(), place });
            (id, Operand { storage: program.storages.len() - 1, shape: o.shape.clone() })
        };
        for copy in 0..copies {
            let mut made = Call { op: call.op.clone(), inputs: Vec::new(), outputs: Vec::new() };
            for (i, o) in call.inputs.iter().enumerate() {
                let arena = match dtype(o) {
                    Dtype::F32 => Arena::Constants,
                    Dtype::U32 => Arena::Control,
                    Dtype::U8 => Arena::Images,
                };
                let (id, operand) = persistent(&mut program, o, arena);
                inputs.push((id, i));
                made.inputs.push(operand);
            }
            for (i, o) in call.outputs.iter().enumerate() {
                let operand = if call.op.updates() {
                    // Each result of an update has an arena to itself, none of which is read.
                    let arenas = [Arena::Parameters, Arena::Moment1, Arena::Moment2];
                    let arena = if dtype(o) == Dtype::U32 { Arena::Results } else { arenas[i] };
                    let (id, operand) = persistent(&mut program, o, arena);
                    if copy == 0 {
                        updated.push(id);
                    }
                    operand
                } else {
                    program.storages.push(Storage { len: o.shape.len(), dtype: dtype(o), place: Place::Transient });
                    Operand { storage: program.storages.len() - 1, shape: o.shape.clone() }
                };
                made.outputs.push(operand);
            }
            if !call.op.updates() {
                // Outputs of a program have memory of their own.
                program.outputs.extend(made.outputs.iter().cloned());
            }
            program.calls.push(made);
        }
        Single { call: call.clone(), copies, store, program, inputs, updated }
    }

    /// The operation and its operands.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// How many operations a run of the program does.
    pub fn copies(&self) -> usize {
        self.copies
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Allocates the operands on an engine and fills them, always with the same values.
    pub fn prepare(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        engine.allocate(&self.store)?;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for &(id, i) in &self.inputs {
            let Persistent { arena, offset, .. } = self.store[id];
            let bytes = input(&self.call, i, arena.dtype(), &mut rng);
            engine.write(arena, offset * arena.dtype().size(), &bytes)?;
        }
        Ok(())
    }

    /// What the first copy computed, after a run: floats as they are, indices as numbers.
    pub fn results(&self, engine: &mut dyn Engine, plan: crate::tape::PlanId) -> Result<Vec<f64>, EngineError> {
        let mut all = Vec::new();
        let mut add = |dtype: Dtype, bytes: Vec<u8>| match dtype {
            Dtype::F32 => all.extend(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes).into_iter().map(f64::from)),
            Dtype::U32 => all.extend(bytemuck::pod_collect_to_vec::<u8, u32>(&bytes).into_iter().map(f64::from)),
            Dtype::U8 => all.extend(bytes.into_iter().map(f64::from)),
        };
        if self.call.op.updates() {
            for &id in &self.updated {
                let Persistent { arena, offset, ref shape, .. } = self.store[id];
                let size = arena.dtype().size();
                add(arena.dtype(), engine.read(arena, offset * size, shape.len() * size)?);
            }
        } else {
            for i in 0..self.call.outputs.len() {
                let dtype = self.program.storages[self.program.outputs[i].storage].dtype;
                add(dtype, engine.read_output(plan, i)?);
            }
        }
        Ok(all)
    }
}
