//! A plain interpreter of programs in f64, written from the formulas that `Op` documents and from nothing else:
//! naive loops that can be checked by eye, against which engines are compared.

mod mixture;
mod nn;
mod transformations;
mod warp;

use proteus::tape::{Arena, Call, Dtype, Op, Operand, Place, Program, Rows, Store};

/// Elements of a tensor: reals in f64, integers exactly.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Real(Vec<f64>),
    Index(Vec<u32>),
    Bytes(Vec<u8>),
}

impl Data {
    /// Elements from the bytes that an engine holds.
    pub fn from_bytes(dtype: Dtype, bytes: &[u8]) -> Data {
        match dtype {
            Dtype::F32 => {
                Data::Real(bytemuck::pod_collect_to_vec::<u8, f32>(bytes).into_iter().map(f64::from).collect())
            }
            Dtype::U32 => Data::Index(bytemuck::pod_collect_to_vec(bytes)),
            Dtype::U8 => Data::Bytes(bytes.to_vec()),
        }
    }

    /// The bytes that an engine would hold.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Data::Real(x) => x.iter().flat_map(|&x| (x as f32).to_ne_bytes()).collect(),
            Data::Index(x) => bytemuck::cast_slice(x).to_vec(),
            Data::Bytes(x) => x.clone(),
        }
    }

    /// The reals of an f32 tensor.
    pub fn real(&self) -> &[f64] {
        let Data::Real(x) = self else { panic!("an f32 tensor is needed") };
        x
    }

    fn index(&self) -> &[u32] {
        let Data::Index(x) = self else { panic!("a u32 tensor is needed") };
        x
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::Real(x) => x.len(),
            Data::Index(x) => x.len(),
            Data::Bytes(x) => x.len(),
        }
    }

    fn slice(&self, from: usize, len: usize) -> Data {
        match self {
            Data::Real(x) => Data::Real(x[from..from + len].to_vec()),
            Data::Index(x) => Data::Index(x[from..from + len].to_vec()),
            Data::Bytes(x) => Data::Bytes(x[from..from + len].to_vec()),
        }
    }

    fn overwrite(&mut self, from: usize, data: &Data) {
        match (self, data) {
            (Data::Real(x), Data::Real(y)) => x[from..from + y.len()].copy_from_slice(y),
            (Data::Index(x), Data::Index(y)) => x[from..from + y.len()].copy_from_slice(y),
            (Data::Bytes(x), Data::Bytes(y)) => x[from..from + y.len()].copy_from_slice(y),
            _ => panic!("element types differ"),
        }
    }
}

/// Contents of all arenas.
#[derive(Clone, Debug)]
pub struct Memory {
    arenas: Vec<Data>,
}

impl Memory {
    /// Arenas from their bytes, in the order of `Arena::ALL`.
    pub fn from_bytes(bytes: &[Vec<u8>]) -> Memory {
        let arenas = Arena::ALL.iter().zip(bytes).map(|(a, bytes)| Data::from_bytes(a.dtype(), bytes)).collect();
        Memory { arenas }
    }

    /// Zero-filled arenas as bytes.
    pub fn zero_bytes(store: &Store) -> Vec<Vec<u8>> {
        Arena::ALL.iter().map(|&a| vec![0; store.arena_len(a) * a.dtype().size()]).collect()
    }

    /// Elements `offset..offset + len` of an arena.
    pub fn get(&self, arena: Arena, offset: usize, len: usize) -> Data {
        self.arenas[arena.index()].slice(offset, len)
    }

    /// One real, for finite differences.
    pub fn real_mut(&mut self, arena: Arena, offset: usize) -> &mut f64 {
        let Data::Real(x) = &mut self.arenas[arena.index()] else { panic!("{arena:?} holds no reals") };
        &mut x[offset]
    }
}

/// The parts of persistent tensors that a program writes: arena, first element, number of elements.
pub fn written(program: &Program) -> Vec<(Arena, usize, usize)> {
    let mut all: Vec<_> = program
        .calls
        .iter()
        .flat_map(|call| &call.outputs)
        .filter_map(|o| match program.storages[o.storage].place {
            Place::Persistent { arena, offset } => Some((arena, offset, o.shape.len())),
            Place::Transient => None,
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Executes a program once and returns its outputs.
pub fn run(program: &Program, memory: &mut Memory) -> Vec<Data> {
    let mut transient: Vec<Option<Data>> = vec![None; program.storages.len()];
    for call in &program.calls {
        let inputs: Vec<Data> = call.inputs.iter().map(|o| fetch(program, memory, &transient, o)).collect();
        let old: Vec<Data> = match call.op.updates() {
            true => call.outputs.iter().map(|o| fetch(program, memory, &transient, o)).collect(),
            false => Vec::new(),
        };
        let outputs = evaluate(&Args { call, inputs: &inputs, old: &old });
        assert_eq!(outputs.len(), call.outputs.len(), "{}: number of outputs", call.op.name());
        for (operand, data) in call.outputs.iter().zip(outputs) {
            assert_eq!(operand.shape.len(), data.len(), "{}: length of an output", call.op.name());
            match program.storages[operand.storage].place {
                Place::Persistent { arena, offset } => memory.arenas[arena.index()].overwrite(offset, &data),
                Place::Transient => transient[operand.storage] = Some(data),
            }
        }
    }
    program.outputs.iter().map(|o| fetch(program, memory, &transient, o)).collect()
}

fn fetch(program: &Program, memory: &Memory, transient: &[Option<Data>], operand: &Operand) -> Data {
    let storage = &program.storages[operand.storage];
    assert_eq!(storage.len, operand.shape.len(), "an operand covers its storage");
    match storage.place {
        Place::Persistent { arena, offset } => memory.get(arena, offset, storage.len),
        Place::Transient => {
            transient[operand.storage].clone().expect("a transient tensor is written before it is read")
        }
    }
}

/// Operands of a call.
pub struct Args<'a> {
    pub call: &'a Call,
    inputs: &'a [Data],
    old: &'a [Data],
}

impl Args<'_> {
    /// Input number `i`, reals.
    pub fn real(&self, i: usize) -> &[f64] {
        self.inputs[i].real()
    }

    /// Input number `i`, integers.
    pub fn index(&self, i: usize) -> &[u32] {
        self.inputs[i].index()
    }

    /// Last extents of input number `i`.
    pub fn dims<const N: usize>(&self, i: usize) -> [usize; N] {
        self.call.inputs[i].shape.tail()
    }

    /// Last extents of output number `i`.
    pub fn out_dims<const N: usize>(&self, i: usize) -> [usize; N] {
        self.call.outputs[i].shape.tail()
    }

    /// Elements of output number `i`.
    pub fn out_len(&self, i: usize) -> usize {
        self.call.outputs[i].shape.len()
    }

    /// Zeros for output number `i`.
    pub fn zeros(&self, i: usize) -> Vec<f64> {
        vec![0.0; self.out_len(i)]
    }

    /// The row that row `r` uses, among `s`; a selection is the last input.
    pub fn row(&self, rows: Rows, r: usize, s: usize) -> usize {
        let row = match rows {
            Rows::Own => r,
            Rows::Each => r % s,
            Rows::Selected => self.inputs.last().expect("an index").index()[r] as usize,
        };
        assert!(row < s, "row {row} of {s}");
        row
    }
}

fn evaluate(args: &Args) -> Vec<Data> {
    let families = [nn::evaluate, warp::evaluate, transformations::evaluate, mixture::evaluate];
    if let Some(outputs) = families.iter().find_map(|evaluate| evaluate(args)) {
        return outputs;
    }
    let one = |x: Vec<f64>| vec![Data::Real(x)];
    match args.call.op {
        Op::GatherImages => {
            let Data::Bytes(data) = &args.inputs[0] else { panic!("images are bytes") };
            let (order, first) = (args.index(1), args.index(2)[0] as usize);
            let item: usize = args.dims::<3>(0).iter().product();
            let batch = args.out_len(0) / item;
            let pixels = (0..batch).flat_map(|b| {
                let image = order[first + b] as usize;
                data[image * item..(image + 1) * item].iter().map(|&p| f64::from(p) / 255.0)
            });
            one(pixels.collect())
        }
        Op::Fill { value } => one(vec![f64::from(value); args.out_len(0)]),
        Op::Copy => vec![args.inputs[0].clone()],
        Op::MultiplyAdd { rounds } => {
            one(args.real(0).iter().map(|&x| (0..rounds).fold(x, |v, _| v / 2.0 + 1.0)).collect())
        }
        Op::Add => one(args.real(0).iter().zip(args.real(1)).map(|(a, b)| a + b).collect()),
        Op::Relu => one(args.real(0).iter().map(|x| x.max(0.0)).collect()),
        Op::ReluGrad => {
            let pairs = args.real(0).iter().zip(args.real(1));
            one(pairs.map(|(&y, &dy)| if y > 0.0 { dy } else { 0.0 }).collect())
        }
        Op::Sum { scale } => one(vec![f64::from(scale) * args.real(0).iter().sum::<f64>()]),
        Op::SumGrad { scale } => one(vec![f64::from(scale) * args.real(0)[0]; args.out_len(0)]),
        Op::Adam { group, beta1, beta2, eps, weight_decay } => {
            let [_, groups, _] = args.dims(1);
            let at = 2 * (args.index(2)[1] as usize * groups + group);
            let (a, c) = (args.real(1)[at], args.real(1)[at + 1]);
            let (b1, b2, eps, decay) = (beta1, beta2, f64::from(eps), f64::from(weight_decay));
            let [mut p, mut m, mut v] = [0, 1, 2].map(|i| args.old[i].real().to_vec());
            for (i, gradient) in args.real(0).iter().enumerate() {
                let g = gradient + decay * p[i];
                m[i] = b1 * m[i] + (1.0 - b1) * g;
                v[i] = b2 * v[i] + (1.0 - b2) * g * g;
                p[i] -= a * m[i] / (v[i].sqrt() * c + eps);
            }
            [p, m, v].map(Data::Real).to_vec()
        }
        Op::Record => {
            let mut history = args.old[0].real().to_vec();
            history[args.index(1)[1] as usize] = args.real(0)[0];
            one(history)
        }
        Op::StoreRows => {
            let mut all = args.old[0].clone();
            let rows = args.call.inputs[0].shape.0[0];
            let width = args.inputs[0].len() / rows;
            all.overwrite(args.index(1)[0] as usize * width, &args.inputs[0]);
            vec![all]
        }
        Op::Count => {
            let mut counts = args.old[0].index().to_vec();
            args.index(0).iter().for_each(|&i| counts[i as usize] += 1);
            vec![Data::Index(counts)]
        }
        Op::Advance { images } => {
            let clock = args.old[0].index();
            vec![Data::Index(vec![clock[0] + images as u32, clock[1] + 1])]
        }
        ref other => panic!("the reference does not know {}", other.name()),
    }
}
