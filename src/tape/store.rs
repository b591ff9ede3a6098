//! Tensors that outlive a step: parameters, gradients, optimiser state, running statistics, data.

use super::tensor::{Dtype, Shape};

/// Tensors start at multiples of this many bytes, WebGPU's default alignment of storage bindings.
pub const ALIGNMENT: usize = 256;

/// A region of device memory that holds persistent tensors of one kind. Engines give each arena one
/// buffer, so that one kernel can sweep over all the parameters of a group.
///
/// No operation may read one tensor and write another of the same arena (WebGPU forbids a buffer that
/// is both in one dispatch), which is why inputs and results of the bookkeeping have arenas of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arena {
    /// Trained parameters, f32.
    Parameters,
    /// Their gradients, at the same offsets.
    Gradients,
    /// First moments of Adam, at the same offsets.
    Moment1,
    /// Second moments of Adam, at the same offsets.
    Moment2,
    /// Other f32 state: running statistics, learning-rate schedule, loss history, distances.
    State,
    /// u32 inputs of the bookkeeping: epoch order and clock.
    Control,
    /// u32 results of the bookkeeping: assignments and counts.
    Results,
    /// Constants uploaded once, f32: pixel weights.
    Constants,
    /// The data set, bytes.
    Images,
}

impl Arena {
    /// All arenas.
    pub const ALL: [Arena; 9] = [
        Arena::Parameters,
        Arena::Gradients,
        Arena::Moment1,
        Arena::Moment2,
        Arena::State,
        Arena::Control,
        Arena::Results,
        Arena::Constants,
        Arena::Images,
    ];

    /// Element type of everything in the arena.
    pub fn dtype(self) -> Dtype {
        match self {
            Arena::Control | Arena::Results => Dtype::U32,
            Arena::Images => Dtype::U8,
            _ => Dtype::F32,
        }
    }

    /// What it holds, as users read it.
    pub fn label(self) -> &'static str {
        match self {
            Arena::Parameters => "the parameters",
            Arena::Gradients => "the gradients",
            Arena::Moment1 => "the first moments",
            Arena::Moment2 => "the second moments",
            Arena::State => "the training state",
            Arena::Control => "the epoch order",
            Arena::Results => "the assignments",
            Arena::Constants => "the constants",
            Arena::Images => "the images",
        }
    }

    /// Position in [`Arena::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Handle of a persistent tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersistentId(pub(crate) usize);

/// A persistent tensor.
#[derive(Clone, Debug)]
pub struct Persistent {
    /// Name: for parameters the name of the published state dict.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// Where it lives.
    pub arena: Arena,
    /// First element inside the arena, in elements.
    pub offset: usize,
}

/// The list of persistent tensors of a model and of its training, shared by all plans.
#[derive(Clone, Debug, Default)]
pub struct Store {
    tensors: Vec<Persistent>,
    lengths: [usize; Arena::ALL.len()],
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor at the end of an arena.
    pub fn add(&mut self, name: impl Into<String>, shape: impl Into<Shape>, arena: Arena) -> PersistentId {
        let shape = shape.into();
        let offset = self.lengths[arena.index()];
        let align = ALIGNMENT / arena.dtype().size();
        self.lengths[arena.index()] = (offset + shape.len()).next_multiple_of(align);
        self.push(Persistent { name: name.into(), shape, arena, offset })
    }

    /// Adds a trained parameter with its gradient and moments at the same offsets of their arenas.
    pub fn parameter(&mut self, name: impl Into<String>, shape: impl Into<Shape>) -> PersistentId {
        let id = self.add(name, shape, Arena::Parameters);
        let length = self.lengths[Arena::Parameters.index()];
        for arena in [Arena::Gradients, Arena::Moment1, Arena::Moment2] {
            self.lengths[arena.index()] = length;
        }
        id
    }

    /// A view of everything that `first..=last` cover in the arena of the parameters, seen in `arena`:
    /// with equal ends the twin of one parameter (its gradient, a moment) in its own shape.
    pub fn view(&mut self, first: PersistentId, last: PersistentId, arena: Arena) -> PersistentId {
        let (a, b) = (&self[first], &self[last]);
        assert!(
            a.arena == Arena::Parameters && b.arena == Arena::Parameters,
            "views are of parameters, not of {} and {}",
            a.name,
            b.name
        );
        let view = if first == last {
            Persistent { arena, ..a.clone() }
        } else {
            Persistent {
                name: format!("{}..{}", a.name, b.name),
                shape: Shape::from([b.offset + b.shape.len() - a.offset]),
                arena,
                offset: a.offset,
            }
        };
        let same = |t: &Persistent| t.arena == view.arena && t.offset == view.offset && t.shape == view.shape;
        match self.tensors.iter().position(same) {
            Some(index) => PersistentId(index),
            None => self.push(view),
        }
    }

    /// Length of an arena in elements.
    pub fn arena_len(&self, arena: Arena) -> usize {
        self.lengths[arena.index()]
    }

    /// Bytes of all arenas together.
    pub fn bytes(&self) -> usize {
        Arena::ALL.iter().map(|&a| self.arena_len(a) * a.dtype().size()).sum()
    }

    /// All tensors in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (PersistentId, &Persistent)> {
        self.tensors.iter().enumerate().map(|(i, t)| (PersistentId(i), t))
    }

    fn push(&mut self, tensor: Persistent) -> PersistentId {
        self.tensors.push(tensor);
        PersistentId(self.tensors.len() - 1)
    }
}

impl std::ops::Index<PersistentId> for Store {
    type Output = Persistent;

    fn index(&self, id: PersistentId) -> &Persistent {
        &self.tensors[id.0]
    }
}
