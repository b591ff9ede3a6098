//! Recording a case: persistent inputs with seeded contents, guards around them, outputs and gradients.

use std::collections::BTreeMap;

use super::reference::Memory;
use super::table::Case;
use proteus::tape::{Arena, PersistentId, Program, Rows, Shape, Store, Tape, Var};

/// Elements of the guard tensors between all others.
const GUARD: usize = 64;

/// SplitMix64 (Steele, Lea and Flood 2014): enough for test data, the same everywhere.
pub struct Rng(u64);

impl Rng {
    /// A generator whose stream depends on a name, so that cases do not move each other's data.
    pub fn new(name: &str) -> Rng {
        Rng(name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.bits() >> 40) as f32 / (1u32 << 24) as f32)
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f32 {
        let (u, v) = (self.uniform(1e-7, 1.0), self.uniform(0.0, std::f32::consts::TAU));
        (-2.0 * u.ln()).sqrt() * v.cos()
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> u32 {
        (self.bits() % n as u64) as u32
    }
}

/// Records one case.
pub struct Builder {
    pub tape: Tape,
    pub store: Store,
    pub rng: Rng,
    contents: Vec<(PersistentId, Vec<u8>)>,
    ids: BTreeMap<Var, PersistentId>,
    wrt: Vec<Var>,
    outputs: Vec<(String, Var)>,
}

impl Builder {
    fn new(name: &str) -> Builder {
        let mut builder = Builder {
            tape: Tape::new(),
            store: Store::new(),
            rng: Rng::new(name),
            contents: Vec::new(),
            ids: BTreeMap::new(),
            wrt: Vec::new(),
            outputs: Vec::new(),
        };
        for arena in Arena::ALL {
            builder.guard(arena);
        }
        builder
    }

    fn guard(&mut self, arena: Arena) {
        // A guard among the parameters reserves the same place in the arenas of their twins.
        match arena {
            Arena::Parameters => self.store.parameter("guard", [GUARD]),
            Arena::Gradients | Arena::Moment1 | Arena::Moment2 => return,
            _ => self.store.add("guard", [GUARD], arena),
        };
    }

    /// A persistent tensor with the given elements, as bytes.
    fn tensor(&mut self, shape: impl Into<Shape>, arena: Arena, bytes: Vec<u8>) -> Var {
        let shape = shape.into();
        assert_eq!(bytes.len(), shape.len() * arena.dtype().size(), "contents of {shape:?}");
        let name = format!("t{}", self.contents.len());
        let id = match arena {
            Arena::Parameters => self.store.parameter(name, shape),
            _ => self.store.add(name, shape, arena),
        };
        self.guard(arena);
        self.contents.push((id, bytes));
        let v = self.tape.persistent(&self.store, id);
        self.ids.insert(v, id);
        v
    }

    /// A persistent f32 tensor.
    pub fn real_in(&mut self, arena: Arena, shape: impl Into<Shape>, values: &[f32]) -> Var {
        self.tensor(shape, arena, bytemuck::cast_slice(values).to_vec())
    }

    /// An f32 input.
    pub fn real(&mut self, shape: impl Into<Shape>, values: &[f32]) -> Var {
        self.real_in(Arena::Parameters, shape, values)
    }

    /// An f32 input of elements drawn by `draw`.
    pub fn draw(&mut self, shape: impl Into<Shape>, mut draw: impl FnMut(&mut Rng) -> f32) -> Var {
        let shape = shape.into();
        let values: Vec<f32> = (0..shape.len()).map(|_| draw(&mut self.rng)).collect();
        self.real(shape, &values)
    }

    /// An f32 input of standard normal elements.
    pub fn normal(&mut self, shape: impl Into<Shape>) -> Var {
        self.draw(shape, Rng::normal)
    }

    /// A u32 input.
    pub fn index(&mut self, shape: impl Into<Shape>, values: &[u32]) -> Var {
        self.tensor(shape, Arena::Control, bytemuck::cast_slice(values).to_vec())
    }

    /// A u32 input of `n` random indices below `bound`.
    pub fn indices(&mut self, n: usize, bound: usize) -> Var {
        let values: Vec<u32> = (0..n).map(|_| self.rng.below(bound)).collect();
        self.index([n], &values)
    }

    /// A clock: images seen in the epoch, steps done.
    pub fn clock(&mut self, images: u32, step: u32) -> Var {
        self.index([2], &[images, step])
    }

    /// u32 results, to be updated.
    pub fn results(&mut self, shape: impl Into<Shape>, values: &[u32]) -> Var {
        self.tensor(shape, Arena::Results, bytemuck::cast_slice(values).to_vec())
    }

    /// f32 state, to be updated.
    pub fn state(&mut self, shape: impl Into<Shape>) -> Var {
        let shape = shape.into();
        let values: Vec<f32> = (0..shape.len()).map(|_| self.rng.normal()).collect();
        self.real_in(Arena::State, shape, &values)
    }

    /// A data set of random bytes.
    pub fn images(&mut self, shape: impl Into<Shape>) -> Var {
        let shape = shape.into();
        let bytes = (0..shape.len()).map(|_| self.rng.below(256) as u8).collect();
        self.tensor(shape, Arena::Images, bytes)
    }

    /// The twin of a parameter in the arena of gradients or moments, with elements drawn by `draw`.
    pub fn twin(&mut self, parameter: Var, arena: Arena, mut draw: impl FnMut(&mut Rng) -> f32) -> Var {
        let id = self.twin_id(parameter, arena);
        let values: Vec<f32> = (0..self.store[id].shape.len()).map(|_| draw(&mut self.rng)).collect();
        self.contents.push((id, bytemuck::cast_slice(&values).to_vec()));
        self.tape.persistent(&self.store, id)
    }

    /// The handle for `Tape::store` of the same.
    pub fn twin_id(&mut self, parameter: Var, arena: Arena) -> PersistentId {
        let id = self.ids[&parameter];
        self.store.view(id, id, arena)
    }

    /// The persistent tensor of an input.
    pub fn id(&self, v: Var) -> PersistentId {
        self.ids[&v]
    }

    /// Asks for the gradient with respect to an input, and for its check by finite differences.
    pub fn wrt(&mut self, v: Var) -> Var {
        assert!(self.ids.contains_key(&v), "gradients are checked for persistent inputs");
        self.wrt.push(v);
        v
    }

    /// Names a result to be compared. With `wrt` given, it also enters the loss.
    pub fn out(&mut self, name: &str, v: Var) {
        self.outputs.push((name.to_owned(), v));
    }

    /// A number that depends on every element of v with another weight: the operation under test then sits in the
    /// middle of a graph and its incoming gradient is nowhere 1. Reals only.
    fn project(&mut self, v: Var, number: usize) -> Var {
        let n = self.tape.shape(v).len();
        let target = self.normal([1, 1, 1, n]);
        let weights: Vec<f32> = (0..n).map(|_| self.rng.uniform(0.2, 2.0)).collect();
        let weights = self.real_in(Arena::Constants, [n], &weights);
        let row = self.tape.reshape(v, [1, 1, 1, n]);
        let d = self.tape.squared_distance(target, row, Some(weights), Rows::Own, None);
        self.tape.sum(d, 1.7 - 0.3 * number as f32)
    }
}

/// A case as recorded: everything that runs on an engine or on the reference.
pub struct Recorded {
    pub store: Store,
    /// Forward, with the loss as its only output; absent without differentiable inputs.
    pub loss: Option<Program>,
    /// Forward and gradients, each result an output.
    pub program: Program,
    /// Names of the outputs of `program`.
    pub names: Vec<String>,
    /// How many of them are results of the forward pass; the rest are gradients.
    pub forward: usize,
    /// Differentiable inputs, in the order of the gradients.
    pub wrt: Vec<PersistentId>,
    /// Contents of all arenas before the run.
    pub initial: Vec<Vec<u8>>,
}

impl Recorded {
    pub fn new(case: &Case) -> Recorded {
        let mut b = Builder::new(&case.name);
        (case.build)(&mut b);
        let outputs = b.outputs.clone();
        let mut gradients = Vec::new();
        let mut loss_program = None;
        if !b.wrt.is_empty() {
            let reals = |b: &Builder, v| b.tape.dtype(v) == proteus::tape::Dtype::F32;
            let kept: Vec<Var> = outputs.iter().map(|o| o.1).filter(|&v| reals(&b, v)).collect();
            let terms: Vec<Var> = kept.into_iter().enumerate().map(|(i, v)| b.project(v, i)).collect();
            let loss = terms.into_iter().reduce(|a, c| b.tape.add(a, c)).expect("a differentiable case has a result");
            let mut forward = b.tape.clone();
            forward.output(loss);
            loss_program = Some(Program::new(&forward));
            let wrt = b.wrt.clone();
            gradients = b.tape.gradients(loss, &wrt).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        }
        let mut names = Vec::new();
        for (name, v) in &outputs {
            b.tape.output(*v);
            names.push(name.clone());
        }
        for (&v, gradient) in b.wrt.iter().zip(gradients) {
            let id = b.ids[&v];
            b.tape.output(gradient.unwrap_or_else(|| panic!("{}: no gradient", case.name)));
            names.push(format!("gradient of {}", b.store[id].name));
        }
        let program = Program::new(&b.tape);

        // Whatever is not a tensor's own holds a pattern: reals NaN, so that reading it shows as well.
        let mut initial = Memory::zero_bytes(&b.store);
        for (arena, bytes) in Arena::ALL.iter().zip(&mut initial) {
            let pattern: &[u8] = match arena.dtype() {
                proteus::tape::Dtype::F32 => &0x7fc0_beef_u32.to_ne_bytes(),
                proteus::tape::Dtype::U32 => &0xdead_beef_u32.to_ne_bytes(),
                proteus::tape::Dtype::U8 => &[0xa5],
            };
            bytes.chunks_mut(pattern.len()).for_each(|chunk| chunk.copy_from_slice(pattern));
        }
        for (id, bytes) in &b.contents {
            let t = &b.store[*id];
            let from = t.offset * t.arena.dtype().size();
            initial[t.arena.index()][from..from + bytes.len()].copy_from_slice(bytes);
        }
        let wrt = b.wrt.iter().map(|v| b.ids[v]).collect();
        Recorded { store: b.store, loss: loss_program, program, names, forward: outputs.len(), wrt, initial }
    }
}
