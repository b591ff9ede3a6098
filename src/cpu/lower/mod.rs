//! Lowering: a program's calls become kernels over memory, with layouts, fusions and workspaces settled.

mod rows;

use super::memory::{Region, Span, Spans};
use super::simd::Isa;
use super::*;
use crate::tape::{Call, Dtype, Op, Operand, Place, Program, Work, memory};
use std::collections::HashMap;
use std::sync::Arc;

/// A kernel with its operands.
pub struct Step {
    pub work: Arc<Work>,
    pub kernel: Kernel,
    pub spans: Spans,
}

/// What a program becomes.
pub struct Lowered {
    pub steps: Vec<Step>,
    /// Words of each slot.
    pub slots: Vec<usize>,
    /// Where the program's outputs are.
    pub outputs: Vec<Span>,
}

/// How a storage holds a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Planar,
    ChannelsLast(Map),
}

/// A kernel whose operands are still storages.
struct Draft {
    work: Work,
    kernel: Kernel,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

struct Lowering<'a> {
    isa: Isa,
    storages: Vec<(usize, Place)>,
    layouts: Vec<Layout>,
    drafts: Vec<Draft>,
    /// Storages that hold another one in another layout: channels last as this map, or as the tape has it.
    converted: HashMap<(usize, Option<Map>), usize>,
    /// Whether operations on rows are chained.
    chains: bool,
    /// Whether convolutions use Winograd's algorithm where it applies.
    winograd: bool,
    waiting: rows::Waiting,
    /// Sums and rectified gradients that are left to the kernels that read them, with their own inputs.
    left: HashMap<usize, [Operand; 2]>,
    program: &'a Program,
}

/// Lowers a program.
pub fn lower(program: &Program, options: &Options) -> Lowered {
    let Options { isa, reuse, chains, winograd, .. } = *options;
    let words = |len: usize, dtype: Dtype| (len * dtype.size()).div_ceil(4);
    let storages: Vec<_> = program.storages.iter().map(|s| (words(s.len, s.dtype), s.place)).collect();
    let layouts = vec![Layout::Planar; storages.len()];
    let mut lowering = Lowering {
        isa,
        storages,
        layouts,
        drafts: Vec::new(),
        converted: HashMap::new(),
        chains,
        winograd,
        waiting: rows::Waiting::default(),
        left: HashMap::new(),
        program,
    };
    let mut index = 0;
    while index < program.calls.len() {
        index += lowering.call(index);
    }
    lowering.emit_waiting();
    let outputs: Vec<usize> = program.outputs.iter().map(|o| lowering.planar(o)).collect();
    lowering.place(&outputs, reuse)
}

impl Lowering<'_> {
    /// Lowers the call at `index` and returns how many calls that took.
    fn call(&mut self, index: usize) -> usize {
        let program = self.program;
        let call = &program.calls[index];
        if let Some(kernel) = self.row_kernel(call) {
            self.row_call(call, kernel);
            return 1;
        }
        // Normalisation takes up to two of the calls behind it.
        self.settle(&program.calls[index..program.calls.len().min(index + 3)]);
        let (kernel, workspace) = match call.op {
            Op::BatchNorm { eps, .. } => return self.batch_norm(index, eps),
            Op::Conv2d(_)
            | Op::Conv2dGradInput(_)
            | Op::Conv2dGradWeight(_)
            | Op::BatchNormStats
            | Op::BatchNormGradParams { .. }
            | Op::BatchNormGradInput { .. }
            | Op::Shortcut { .. }
            | Op::ShortcutGrad { .. }
            | Op::Pool { .. }
            | Op::PoolGrad { .. }
            | Op::GlobalAvgPool
            | Op::GlobalAvgPoolGrad => {
                self.feature_map_call(call);
                return 1;
            }
            Op::Relu => {
                self.elementwise(call, &call.inputs, relu::kernel());
                return 1;
            }
            Op::Add | Op::ReluGrad if self.leaves(call) => {
                self.left.insert(call.outputs[0].storage, [call.inputs[0].clone(), call.inputs[1].clone()]);
                return 1;
            }
            Op::Add => {
                self.elementwise(call, &call.inputs, add::kernel(self.isa));
                return 1;
            }
            Op::ReluGrad => {
                let [y, dy] = [0, 1].map(|i| call.inputs[i].clone());
                let summed = self.left.remove(&dy.storage);
                let kernel = relu_grad::kernel(self.isa, summed.is_some());
                let inputs = summed.map_or(vec![y.clone(), dy], |[a, b]| vec![y, a, b]);
                self.elementwise(call, &inputs, kernel);
                return 1;
            }
            _ => self.planar_kernel(call),
        };
        let inputs = call.inputs.iter().map(|o| self.planar(o)).collect();
        let mut outputs: Vec<usize> = call.outputs.iter().map(|o| o.storage).collect();
        outputs.extend(self.workspace(workspace));
        self.drafts.push(Draft { work: Work::of(call), kernel, inputs, outputs });
        1
    }

    /// Kernels that take their operands as the tape lays them out, and the words of their workspace.
    fn planar_kernel(&self, call: &Call) -> (Kernel, usize) {
        let input = |i: usize| &call.inputs[i].shape;
        let output = &call.outputs[0].shape;
        let item = |shape: &Shape| shape.tail::<3>().iter().product::<usize>();
        let linear = |weights: &Shape, r: usize| {
            let [s, o, i] = weights.tail();
            linear::Extents { r, s, o, i }
        };
        let kernel = match call.op {
            Op::GatherImages => gather_images::kernel(input(0).rows(3), item(output)),
            Op::Fill { value } => fill::kernel(value),
            Op::Copy => copy::kernel(),
            Op::MultiplyAdd { rounds } => multiply_add::kernel(self.isa, rounds),
            Op::RunningStats { momentum, count } => running_stats::kernel(momentum, count),
            Op::Linear(rows) => {
                let e = linear(input(1), input(0).rows(1));
                return (linear::kernel(self.isa, e, rows), linear::workspace(e));
            }
            Op::LinearGradInput(rows) => {
                let e = linear(input(1), input(0).rows(1));
                return (linear_grad_input::kernel(self.isa, e, rows), linear_grad_input::workspace(e));
            }
            Op::LinearGradWeight(rows) => {
                let e = linear(output, input(0).rows(1));
                return (linear_grad_weight::kernel(self.isa, e, rows), linear_grad_weight::workspace(e));
            }
            Op::SumRows(rows) => {
                let n = item(output);
                sum_rows::kernel(input(0).len() / n, output.len() / n, n, rows)
            }
            Op::MinRow => min_row::kernel(input(0).tail::<1>()[0]),
            Op::MinRowGrad => min_row_grad::kernel(output.tail::<1>()[0]),
            Op::LogSoftmax => log_softmax::kernel(output.tail::<1>()[0]),
            Op::LogSoftmaxGrad => log_softmax_grad::kernel(output.tail::<1>()[0]),
            Op::Responsibilities => responsibilities::kernel(output.tail::<1>()[0]),
            Op::ExpectedCost => expected_cost::kernel(input(0).tail::<1>()[0]),
            Op::ExpectedCostGradDistance => expected_cost_grad_distance::kernel(output.tail::<1>()[0]),
            Op::ExpectedCostGradMixing => expected_cost_grad_mixing::kernel(output.tail::<1>()[0]),
            Op::Sum { scale } => sum::kernel(scale),
            Op::SumGrad { scale } => sum_grad::kernel(scale),
            Op::Adam { group, beta1, beta2, eps, weight_decay } => {
                let [groups, _] = input(1).tail();
                adam::kernel(adam::Step { group, groups, beta1, beta2, eps, weight_decay })
            }
            Op::Record => record::kernel(),
            Op::StoreRows => store_rows::kernel(input(0).len() / input(0).0[0]),
            Op::Count => count::kernel(),
            Op::Advance { images } => advance::kernel(images),
            _ => unreachable!("{} works on feature maps", call.op.name()),
        };
        (kernel, 0)
    }

    /// Convolution, normalisation, shortcuts and pooling: four-dimensional operands are channels last.
    fn feature_map_call(&mut self, call: &Call) {
        let map = |o: &Operand| Map::of(&o.shape);
        let input = |i: usize| map(&call.inputs[i]);
        let isa = self.isa;
        let mut operands = call.inputs.clone();
        // A gradient that was left to be rectified here comes with what rectifies it, last.
        let rectified = match call.op {
            Op::BatchNormGradParams { .. } | Op::BatchNormGradInput { .. } => {
                self.left.get(&operands[1].storage).cloned()
            }
            _ => None,
        };
        let masked = rectified.is_some();
        if let Some([y, dy]) = rectified {
            operands[1] = dy;
            operands.push(y);
        }
        let weights = |i: usize| conv2d::Weights::new(call.inputs[i].shape.tail());
        // The number of leading inputs that are feature maps; for convolutions their positions differ.
        let (kernel, maps, workspace): (Kernel, &[usize], usize) = match call.op {
            Op::Conv2d(spec) if self.winograd && winograd::applies(weights(1), spec) => (
                conv2d_winograd::kernel(isa, input(0), weights(1), false),
                &[0],
                conv2d_winograd::workspace(weights(1)),
            ),
            Op::Conv2dGradInput(spec) if self.winograd && winograd::applies(weights(1), spec) => {
                (conv2d_winograd::kernel(isa, input(0), weights(1), true), &[0], conv2d_winograd::workspace(weights(1)))
            }
            Op::Conv2d(spec) => {
                let w = weights(1);
                (conv2d::kernel(isa, input(0), w, map(&call.outputs[0]), spec), &[0], conv2d::workspace(w))
            }
            Op::Conv2dGradInput(spec) => {
                let w = weights(1);
                let kernel = conv2d_grad_input::kernel(isa, map(&call.outputs[0]), w, input(0), spec);
                (kernel, &[0], conv2d_grad_input::workspace(w))
            }
            Op::Conv2dGradWeight(spec) => {
                let w = conv2d::Weights::new(call.outputs[0].shape.tail());
                let kernel = conv2d_grad_weight::kernel(isa, input(0), w, input(1), spec);
                (kernel, &[0, 1], conv2d_grad_weight::workspace(w, input(0).b))
            }
            Op::BatchNormStats => (batch_norm_stats::kernel(isa, input(0)), &[0], 0),
            Op::BatchNormGradParams { eps } => {
                (batch_norm_grad_params::kernel(isa, input(0), eps, masked), &[0, 1, 4], 0)
            }
            Op::BatchNormGradInput { eps, batch_stats } => {
                (batch_norm_grad_input::kernel(isa, input(0), eps, batch_stats, masked), &[0, 1, 7], 0)
            }
            Op::Shortcut { stride } => (shortcut::kernel(input(0), map(&call.outputs[0]), stride), &[0], 0),
            Op::ShortcutGrad { stride } => (shortcut_grad::kernel(map(&call.outputs[0]), input(0), stride), &[0], 0),
            Op::Pool { kind, window, spec } => {
                (pool::kernel(input(0), map(&call.outputs[0]), kind, window, spec), &[0], 0)
            }
            Op::PoolGrad { window, spec } => (pool_grad::kernel(input(0), input(2), window, spec), &[0, 1, 2], 0),
            Op::GlobalAvgPool => (global_avg_pool::kernel(input(0)), &[0], 0),
            Op::GlobalAvgPoolGrad => (global_avg_pool_grad::kernel(map(&call.outputs[0])), &[], 0),
            _ => unreachable!("{} does not work on feature maps", call.op.name()),
        };
        let place = |this: &mut Self, (i, o): (usize, &Operand)| {
            if maps.contains(&i) { this.channels_last(o) } else { this.planar(o) }
        };
        let inputs = operands.iter().enumerate().map(|pair| place(self, pair)).collect();
        // Convolution weights are the only four-dimensional results that stay as the tape has them.
        let is_map = |o: &Operand| o.shape.rank() == 4 && !matches!(call.op, Op::Conv2dGradWeight(_));
        self.emit(call, kernel, inputs, is_map, workspace);
    }

    /// Whether a sum is all that a rectification rectifies, or a rectified gradient goes into batch normalisation alone:
    /// these then read the inputs instead, which saves a pass over memory.
    fn leaves(&self, call: &Call) -> bool {
        let out = &call.outputs[0];
        let transient = self.program.storages[out.storage].place == Place::Transient;
        let readers = self.program.calls.iter().filter(|c| c.inputs.iter().any(|o| o.storage == out.storage));
        let second = |c: &Call| {
            let mut positions = c.inputs.iter().enumerate().filter(|(_, o)| o.storage == out.storage);
            positions.all(|(i, o)| i == 1 && o.shape == out.shape)
        };
        let left_to = |c: &Call| match (&call.op, &c.op) {
            (Op::Add, Op::ReluGrad) => !self.leaves(c),
            (Op::ReluGrad, Op::BatchNormGradParams { .. } | Op::BatchNormGradInput { .. }) => true,
            _ => false,
        };
        out.shape.rank() == 4
            && transient
            && !self.program.outputs.iter().any(|o| o.storage == out.storage)
            && readers.clone().count() > 0
            && readers.clone().all(|c| second(c) && left_to(c))
            // A sum is added up once.
            && (call.op == Op::ReluGrad || readers.count() == 1)
    }

    /// Element-wise kernels work channels last if any operand is, to save conversions.
    fn elementwise(&mut self, call: &Call, operands: &[Operand], kernel: Kernel) {
        let last = |o: &Operand| matches!(self.layouts[o.storage], Layout::ChannelsLast(m) if is_shape(m, &o.shape));
        if operands.iter().any(last) {
            let inputs = operands.iter().map(|o| self.channels_last(o)).collect();
            self.emit(call, kernel, inputs, |_| true, 0);
        } else {
            let inputs = operands.iter().map(|o| self.planar(o)).collect();
            self.emit(call, kernel, inputs, |_| false, 0);
        }
    }

    /// Batch normalisation with the rectification, or addition and rectification, that only it feeds.
    fn batch_norm(&mut self, index: usize, eps: f32) -> usize {
        let program = self.program;
        let call = &program.calls[index];
        let map = Map::of(&call.outputs[0].shape);
        let next = |at: usize| program.calls.get(at);
        let feeds = |from: &Call, to: Option<&Call>, op: &Op| {
            let out = &from.outputs[0];
            to.is_some_and(|to| {
                to.op == *op && to.inputs.iter().any(|o| o.storage == out.storage && o.shape == out.shape)
            }) && self.uses(out.storage) == 1
                && program.storages[out.storage].place == Place::Transient
        };
        let (then, last, residual) = if feeds(call, next(index + 1), &Op::Relu) {
            (batch_norm::Then::Relu, index + 1, None)
        } else if feeds(call, next(index + 1), &Op::Add) && feeds(&program.calls[index + 1], next(index + 2), &Op::Relu)
        {
            let add = &program.calls[index + 1];
            let other = add.inputs.iter().find(|o| o.storage != call.outputs[0].storage);
            match other {
                Some(residual) => (batch_norm::Then::AddRelu, index + 2, Some(residual)),
                None => (batch_norm::Then::Nothing, index, None),
            }
        } else {
            (batch_norm::Then::Nothing, index, None)
        };
        let mut inputs = vec![self.channels_last(&call.inputs[0])];
        inputs.extend(call.inputs[1..].iter().map(|o| o.storage));
        inputs.extend(residual.map(|o| self.channels_last(o)));
        let kernel = batch_norm::kernel(self.isa, map, eps, then);
        let mut named = Call { outputs: program.calls[last].outputs.clone(), ..call.clone() };
        named.inputs.extend(residual.cloned());
        let draft = self.drafts.len();
        self.emit(&named, kernel, inputs, |_| true, 0);
        self.drafts[draft].work.flops = program.calls[index..=last].iter().map(Call::flops).sum();
        last - index + 1
    }

    /// Number of calls and program outputs that read a storage.
    fn uses(&self, storage: usize) -> usize {
        let inputs = self.program.calls.iter().flat_map(|c| &c.inputs);
        inputs.chain(&self.program.outputs).filter(|o| o.storage == storage).count()
    }

    /// Adds a kernel; results that it leaves channels last are noted, or converted at once where they are persistent.
    fn emit(
        &mut self,
        call: &Call,
        kernel: Kernel,
        inputs: Vec<usize>,
        is_map: impl Fn(&Operand) -> bool,
        workspace: usize,
    ) {
        let mut outputs = Vec::new();
        let mut conversions = Vec::new();
        for o in &call.outputs {
            let mut storage = o.storage;
            if is_map(o) && !trivial(&o.shape) {
                let map = Map::of(&o.shape);
                if self.storages[storage].1 == Place::Transient {
                    self.layouts[storage] = Layout::ChannelsLast(map);
                } else {
                    storage = self.new_storage(o.shape.len());
                    conversions.push((storage, o.storage, map));
                }
            }
            outputs.push(storage);
        }
        outputs.extend(self.workspace(workspace));
        self.drafts.push(Draft { work: Work::of(call), kernel, inputs, outputs });
        for (from, to, map) in conversions {
            self.convert(from, to, layout::to_planar(map));
        }
    }

    /// A storage with the operand channels last.
    fn channels_last(&mut self, operand: &Operand) -> usize {
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
    fn planar(&mut self, operand: &Operand) -> usize {
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

    fn convert(&mut self, from: usize, to: usize, kernel: Kernel) {
        let numbers = self.storages[to].0;
        let work = Work { kernel: "layout", detail: numbers.to_string(), flops: 0, bytes: 8 * numbers as u64 };
        self.drafts.push(Draft { work, kernel, inputs: vec![from], outputs: vec![to] });
    }

    fn new_storage(&mut self, words: usize) -> usize {
        self.storages.push((words, Place::Transient));
        self.layouts.push(Layout::Planar);
        self.storages.len() - 1
    }

    fn workspace(&mut self, words: usize) -> Option<usize> {
        (words > 0).then(|| self.new_storage(words))
    }

    /// Plans memory and turns storages into spans.
    fn place(self, outputs: &[usize], reuse: bool) -> Lowered {
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

/// Whether both layouts are the same memory.
fn trivial(shape: &Shape) -> bool {
    let map = Map::of(shape);
    map.c == 1 || map.pixels() == 1
}

fn is_shape(map: Map, shape: &Shape) -> bool {
    shape.rank() == 4 && Map::of(shape) == map
}
