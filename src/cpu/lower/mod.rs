//! Lowering: a program's calls become kernels over memory, with layouts, fusions and workspaces settled.

mod fuse;
mod layouts;
mod place;
mod rows;

use super::memory::{Span, Spans};
use super::simd::Isa;
use super::*;
use crate::tape::{Call, Dtype, Op, Operand, Place, Program, Work};
use layouts::{Layout, is_shape, trivial};
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
        let by_winograd = |x, w, spec| self.winograd && winograd::applies(x, w, spec);
        // The number of leading inputs that are feature maps; for convolutions their positions differ.
        let (kernel, maps, workspace): (Kernel, &[usize], usize) = match call.op {
            Op::Conv2d(spec) if by_winograd(input(0), weights(1), spec) => (
                conv2d_winograd::kernel(isa, input(0), weights(1), false),
                &[0],
                conv2d_winograd::workspace(weights(1)),
            ),
            Op::Conv2dGradInput(spec) if by_winograd(input(0), weights(1), spec) => {
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
                let (x, dy) = (input(0), input(1));
                let kernel = if by_winograd(x, w, spec) && conv2d_grad_weight_winograd::applies(w) {
                    conv2d_grad_weight_winograd::kernel(isa, x, w, dy)
                } else {
                    conv2d_grad_weight::kernel(isa, x, w, dy, spec)
                };
                (kernel, &[0, 1], partial_sums::workspace(w, x.b))
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

    fn new_storage(&mut self, words: usize) -> usize {
        self.storages.push((words, Place::Transient));
        self.layouts.push(Layout::Planar);
        self.storages.len() - 1
    }

    fn workspace(&mut self, words: usize) -> Option<usize> {
        (words > 0).then(|| self.new_storage(words))
    }
}
