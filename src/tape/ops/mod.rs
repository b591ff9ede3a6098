//! The op table: one file per family, each with shape rules (the recording methods), adjoints and costs.

mod bookkeeping;
mod color;
mod conv;
mod distance;
mod elementwise;
mod linear;
mod mixture;
mod morpho;
mod norm;
mod pool;
mod sample;

pub use bookkeeping::AdamSpec;
pub use morpho::LARGEST_WINDOW;

use super::error::TapeError;
use super::op::Op;
use super::program::Call;
use super::record::{Node, Tape, Var};
use super::tensor::Shape;

/// Gradients of a node's outputs; an output that nothing depends on has none.
type Incoming<'a> = &'a [Option<Var>];

/// Appends the adjoint of `node` for its input number `input` and returns that input's gradient; `None` if it is
/// identically zero. An adjoint always consumes the incoming gradients: a constant Jacobian would be right only when
/// the operation happens to be the loss.
pub(super) fn adjoint(tape: &mut Tape, node: &Node, input: usize, dy: Incoming) -> Result<Option<Var>, TapeError> {
    let gradient = match node.op {
        Op::Copy | Op::Add | Op::Relu | Op::Sum { .. } => elementwise::adjoint(tape, node, input, dy),
        Op::Conv2d(_) => conv::adjoint(tape, node, input, dy),
        // The gradient through batch statistics is part of BatchNormGradInput.
        Op::BatchNorm { batch_stats: true, .. } if input == 1 || input == 2 => return Ok(None),
        Op::BatchNorm { .. } => norm::adjoint(tape, node, input, dy),
        Op::Shortcut { .. } | Op::Pool { .. } | Op::GlobalAvgPool => pool::adjoint(tape, node, input, dy),
        Op::Linear(_) => linear::adjoint(tape, node, input, dy),
        Op::AffineGrid | Op::ProjectiveGrid | Op::ControlGrid | Op::GridSample(..) => {
            sample::adjoint(tape, node, input, dy)
        }
        Op::Color(_) => color::adjoint(tape, node, input, dy),
        // The gradient through e is part of those of the image and the weights.
        Op::Morpho { .. } if input == 2 => return Ok(None),
        Op::MorphoWeights | Op::Morpho { .. } => morpho::adjoint(tape, node, input, dy),
        Op::SquaredDistance { .. } | Op::MinRow => distance::adjoint(tape, node, input, dy),
        // The E step: gamma minimises expected cost plus sum gamma log gamma, a bound that then equals the negative
        // log-likelihood, so the gradient at constant gamma is that of the likelihood itself.
        Op::Responsibilities => return Ok(None),
        Op::ExpectedCost if input == 0 => return Ok(None),
        Op::NegLogNormal { .. } | Op::LogSoftmax | Op::ExpectedCost => mixture::adjoint(tape, node, input, dy),
        _ => None,
    };
    match gradient {
        None => Err(TapeError::NotDifferentiable { op: node.op.name(), input }),
        some => Ok(some),
    }
}

impl Call {
    /// Bytes moved when every element that is needed is read once and every result written once.
    pub fn bytes(&self) -> u64 {
        let elements = |o: &super::program::Operand| o.shape.len() as u64;
        let (inputs, outputs): (Vec<u64>, Vec<u64>) =
            (self.inputs.iter().map(elements).collect(), self.outputs.iter().map(elements).collect());
        match self.op {
            // A byte read for each number written, and the order and clock of the batch.
            Op::GatherImages => 5 * outputs[0] + 4 * self.outputs[0].shape.0[0] as u64 + 4,
            // Of tensors over the whole epoch only the rows of this step are touched.
            Op::StoreRows => 8 * inputs[0] + 4,
            Op::Record => 12,
            Op::Count => 12 * inputs[0],
            Op::Adam { .. } => 4 * (inputs[0] + 2 * outputs.iter().sum::<u64>()) + 12,
            _ => {
                let times = if self.op.updates() { 2 } else { 1 };
                4 * (inputs.iter().sum::<u64>() + times * outputs.iter().sum::<u64>())
            }
        }
    }

    /// Floating-point operations of a call; a multiply-add counts two, a transcendental one.
    pub fn flops(&self) -> u64 {
        let call = self;
        let out = call.outputs.first().map_or(0, |o| o.shape.len()) as u64;
        let first = call.inputs.first().map_or(0, |o| o.shape.len()) as u64;
        match call.op {
            Op::Conv2d(_) | Op::Conv2dGradInput(_) | Op::Conv2dGradWeight(_) => conv::flops(call),
            Op::Linear(_) | Op::LinearGradInput(_) | Op::LinearGradWeight(_) => linear::flops(call),
            Op::BatchNormStats => 5 * first,
            Op::BatchNorm { .. } => 2 * first,
            Op::BatchNormGradParams { .. } => 5 * first,
            Op::BatchNormGradInput { .. } => 6 * first,
            Op::AffineGrid | Op::AffineGridGrad => 4 * out.max(first),
            Op::ProjectiveGrid => 15 * out / 2,
            Op::ProjectiveGridGrad => 30 * call.inputs[1].shape.len() as u64 / 2,
            Op::ControlGrid => 2 * out * call.inputs[0].shape.rows(2) as u64,
            Op::ControlGridGrad => 2 * call.inputs[1].shape.len() as u64 * call.inputs[0].shape.rows(2) as u64,
            Op::GridSample(..) => 8 * out + 12 * call.inputs[1].shape.len() as u64 / 2,
            Op::GridSampleGradImage(_) => 8 * call.inputs[1].shape.len() as u64,
            Op::GridSampleGradGrid(..) => 12 * call.inputs[2].shape.len() as u64,
            Op::Color(_) => 2 * out,
            Op::ColorGradImage => out,
            Op::ColorGradBeta(_) => 3 * call.inputs[1].shape.len() as u64,
            Op::MorphoWeights | Op::MorphoWeightsGrad => 3 * out,
            Op::MorphoExp(_) => 2 * out,
            Op::Morpho { kernel, .. } => 4 * out * (kernel * kernel) as u64,
            Op::MorphoGradImage { kernel, .. } => 5 * out * (kernel * kernel) as u64,
            Op::MorphoGradWeights { kernel, .. } => 6 * call.inputs[2].shape.len() as u64 * (kernel * kernel) as u64,
            Op::MorphoLimit { kernel, .. } => out * (kernel * kernel) as u64,
            Op::Pool { window, .. } => out * (window * window) as u64,
            Op::PoolGrad { window, .. } => call.inputs[2].shape.len() as u64 * (window * window) as u64,
            Op::SquaredDistance { .. } => {
                3 * out * call.inputs[0].shape.rows(0) as u64 / call.outputs[0].shape.0[0] as u64
            }
            Op::SquaredDistanceGrad { .. } => 3 * out,
            Op::NegLogNormal { .. } => {
                8 * out * call.inputs[0].shape.rows(0) as u64 / call.outputs[0].shape.0[0] as u64
            }
            Op::NegLogNormalGradMean { .. } => 5 * out,
            Op::NegLogNormalGradDeviation { .. } => 9 * out,
            Op::LogSoftmax | Op::LogSoftmaxGrad => 4 * out,
            Op::Responsibilities => 5 * out,
            Op::ExpectedCost => 3 * first,
            Op::ExpectedCostGradDistance => out,
            Op::ExpectedCostGradMixing => 2 * first,
            Op::Adam { .. } => 14 * out,
            Op::MultiplyAdd { rounds } => 2 * u64::from(rounds) * out,
            Op::GatherImages | Op::Add | Op::Relu | Op::ReluGrad => out,
            Op::GlobalAvgPool | Op::GlobalAvgPoolGrad | Op::SumRows(_) | Op::Sum { .. } | Op::MinRow => first.max(out),
            _ => 0,
        }
    }
}

/// Panics unless two shapes are equal.
fn same(op: &str, a: &Shape, b: &Shape) {
    assert_eq!(a, b, "{op}: shapes differ");
}
