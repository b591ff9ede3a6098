//! Recording: the tape and its handles.

use super::op::Op;
use super::store::{Arena, PersistentId, Store};
use super::tensor::{Dtype, Shape};

/// Handle of a tensor on a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Var(pub(super) usize);

/// Where a tensor's elements are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A persistent tensor.
    Persistent { arena: Arena, offset: usize },
    /// Another tensor of the tape under a new shape.
    Alias(Var),
    /// An output of a node.
    Node(usize),
}

#[derive(Clone, Debug)]
pub(super) struct TensorInfo {
    pub shape: Shape,
    pub dtype: Dtype,
    pub source: Source,
    /// Whether it is a result that `Tape::store` placed in a persistent tensor.
    pub stored: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub op: Op,
    pub inputs: Vec<Var>,
    pub outputs: Vec<Var>,
}

/// A list of operations on symbolic tensors.
///
/// The recording methods, one per operation, live beside the adjoints in `ops/`. They check shapes and
/// panic on a mismatch, naming both: a wrong shape is a mistake in the recording code, never in a user's data.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    pub(super) tensors: Vec<TensorInfo>,
    pub(super) nodes: Vec<Node>,
    pub(super) outputs: Vec<Var>,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle on a persistent tensor.
    pub fn persistent(&mut self, store: &Store, id: PersistentId) -> Var {
        let tensor = &store[id];
        let source = Source::Persistent { arena: tensor.arena, offset: tensor.offset };
        self.add_tensor(tensor.shape.clone(), tensor.arena.dtype(), source)
    }

    /// Shape of a tensor.
    pub fn shape(&self, v: Var) -> &Shape {
        &self.tensors[v.0].shape
    }

    /// Element type of a tensor.
    pub fn dtype(&self, v: Var) -> Dtype {
        self.tensors[v.0].dtype
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, v: Var, shape: impl Into<Shape>) -> Var {
        let shape = shape.into();
        assert_eq!(shape.len(), self.shape(v).len(), "reshape of {:?} to {shape:?}", self.shape(v));
        self.add_tensor(shape, self.dtype(v), Source::Alias(v))
    }

    /// Keeps a tensor until the end of the step, for the host to read
    /// ([`super::Engine::read_output`] counts outputs in the order of these calls).
    pub fn output(&mut self, v: Var) {
        self.outputs.push(v);
    }

    /// Makes `v` live in the persistent tensor `id` (a parameter's gradient, say): its producer writes there directly.
    pub fn store(&mut self, v: Var, store: &Store, id: PersistentId) {
        let target = &store[id];
        assert_eq!(target.shape.len(), self.shape(v).len(), "storing {:?} in {}", self.shape(v), target.name);
        assert_eq!(target.arena.dtype(), self.dtype(v), "storing another element type in {}", target.name);
        let place = Source::Persistent { arena: target.arena, offset: target.offset };
        let root = self.root(v);
        if let Source::Node(node) = self.tensors[root.0].source
            && !self.nodes[node].op.updates()
            && !self.outputs.iter().any(|&o| self.root(o) == root)
        {
            // The node keeps its output handle; only the place changes.
            self.tensors[root.0].source = place;
            self.tensors[root.0].stored = true;
        } else {
            let copy = self.add_tensor(target.shape.clone(), target.arena.dtype(), place);
            self.nodes.push(Node { op: Op::Copy, inputs: vec![v], outputs: vec![copy] });
        }
    }

    /// The tensor that owns the elements of `v`.
    pub(super) fn root(&self, mut v: Var) -> Var {
        while let Source::Alias(of) = self.tensors[v.0].source {
            v = of;
        }
        v
    }

    /// Appends a node with one new transient output.
    pub(super) fn push(&mut self, op: Op, inputs: Vec<Var>, shape: Shape) -> Var {
        self.push_many(op, inputs, vec![(shape, Dtype::F32)])[0]
    }

    /// Appends a node with new transient outputs.
    pub(super) fn push_many(&mut self, op: Op, inputs: Vec<Var>, outputs: Vec<(Shape, Dtype)>) -> Vec<Var> {
        let node = self.nodes.len();
        let outputs: Vec<Var> =
            outputs.into_iter().map(|(shape, dtype)| self.add_tensor(shape, dtype, Source::Node(node))).collect();
        self.nodes.push(Node { op, inputs, outputs: outputs.clone() });
        outputs
    }

    /// Appends a node that updates persistent tensors in place.
    pub(super) fn push_update(&mut self, op: Op, inputs: Vec<Var>, updated: Vec<Var>) {
        for &v in &updated {
            let persistent = matches!(self.tensors[v.0].source, Source::Persistent { .. });
            assert!(persistent, "{} updates persistent tensors only", op.name());
        }
        self.nodes.push(Node { op, inputs, outputs: updated });
    }

    fn add_tensor(&mut self, shape: Shape, dtype: Dtype, source: Source) -> Var {
        assert!(!shape.is_empty(), "an empty tensor {shape:?}");
        self.tensors.push(TensorInfo { shape, dtype, source, stored: false });
        Var(self.tensors.len() - 1)
    }
}
