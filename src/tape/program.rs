//! A tape without dead code: what engines lower.

use super::op::Op;
use super::record::{Source, Tape, Var};
use super::store::Arena;
use super::tensor::{Dtype, Shape};

/// Where the elements of a storage are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Somewhere in transient memory; the engine plans it.
    Transient,
    /// In an arena, from element `offset` on.
    Persistent {
        /// The arena.
        arena: Arena,
        /// First element.
        offset: usize,
    },
}

/// Memory that one or more operands (of different shapes) refer to.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Number of elements.
    pub len: usize,
    /// Element type.
    pub dtype: Dtype,
    /// Where.
    pub place: Place,
}

/// A storage under a shape.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Index into [`Program::storages`].
    pub storage: usize,
    /// Extents.
    pub shape: Shape,
}

/// One operation on operands.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is computed.
    pub op: Op,
    /// Inputs in the order that [`Op`] documents.
    pub inputs: Vec<Operand>,
    /// Outputs in the order that [`Op`] documents.
    pub outputs: Vec<Operand>,
}

/// A step: calls in order over storages.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// All storages.
    pub storages: Vec<Storage>,
    /// The calls, in order of execution.
    pub calls: Vec<Call>,
    /// What the host may read after the step.
    pub outputs: Vec<Operand>,
}

impl Program {
    /// Removes every node that neither an output nor a persistent tensor depends on.
    pub fn new(tape: &Tape) -> Self {
        let persistent = |v: Var| matches!(tape.tensors[tape.root(v).0].source, Source::Persistent { .. });
        let mut live = vec![false; tape.tensors.len()];
        for &v in &tape.outputs {
            live[tape.root(v).0] = true;
        }
        let mut keep = vec![false; tape.nodes.len()];
        for (i, node) in tape.nodes.iter().enumerate().rev() {
            keep[i] = node.outputs.iter().any(|&v| persistent(v) || live[tape.root(v).0]);
            if keep[i] {
                for &v in &node.inputs {
                    live[tape.root(v).0] = true;
                }
            }
        }

        let mut program = Program::default();
        let mut storage_of = vec![None; tape.tensors.len()];
        let mut operand = |program: &mut Program, v: Var| {
            let root = tape.root(v);
            let storage = *storage_of[root.0].get_or_insert_with(|| {
                let info = &tape.tensors[root.0];
                let place = match info.source {
                    Source::Persistent { arena, offset } => Place::Persistent { arena, offset },
                    _ => Place::Transient,
                };
                program.storages.push(Storage { len: info.shape.len(), dtype: info.dtype, place });
                program.storages.len() - 1
            });
            Operand { storage, shape: tape.shape(v).clone() }
        };
        for (node, _) in tape.nodes.iter().zip(&keep).filter(|(_, keep)| **keep) {
            let mut inputs: Vec<Operand> = node.inputs.iter().map(|&v| operand(&mut program, v)).collect();
            let outputs: Vec<Operand> = node.outputs.iter().map(|&v| operand(&mut program, v)).collect();
            for input in &mut inputs {
                if outputs.iter().any(|o| program.arena(o).is_some() && program.arena(o) == program.arena(input)) {
                    *input = program.copied(input);
                }
            }
            program.calls.push(Call { op: node.op.clone(), inputs, outputs });
        }
        program.outputs = tape.outputs.iter().map(|&v| operand(&mut program, v)).collect();
        program
    }

    /// The arena of a persistent operand.
    pub(crate) fn arena(&self, operand: &Operand) -> Option<Arena> {
        match self.storages[operand.storage].place {
            Place::Persistent { arena, .. } => Some(arena),
            Place::Transient => None,
        }
    }

    /// Appends a copy of an operand to transient memory: the way out where a call would read and write one arena,
    /// as when two results are stored of which one is computed from the other.
    fn copied(&mut self, of: &Operand) -> Operand {
        let Storage { len, dtype, .. } = self.storages[of.storage];
        self.storages.push(Storage { len, dtype, place: Place::Transient });
        let copy = Operand { storage: self.storages.len() - 1, shape: of.shape.clone() };
        self.calls.push(Call { op: Op::Copy, inputs: vec![of.clone()], outputs: vec![copy.clone()] });
        copy
    }

    /// Floating-point operations of a step.
    pub fn flops(&self) -> u64 {
        self.calls.iter().map(Call::flops).sum()
    }
}
