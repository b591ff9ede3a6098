//! Copies, sums and rectification, element by element, and the sum over all elements.

use super::{Incoming, same};
use crate::tape::op::Op;
use crate::tape::record::{Node, Tape, Var};
use crate::tape::tensor::Shape;

impl Tape {
    /// A tensor of equal elements.
    pub fn fill(&mut self, shape: impl Into<Shape>, value: f32) -> Var {
        self.push(Op::Fill { value }, vec![], shape.into())
    }

    /// x after `rounds` times v = v / 2 + 1, without a gradient: what a device's peak is measured with.
    pub fn multiply_add(&mut self, x: Var, rounds: u32) -> Var {
        self.push(Op::MultiplyAdd { rounds }, vec![x], self.shape(x).clone())
    }

    /// A copy of x.
    pub fn copy(&mut self, x: Var) -> Var {
        self.push(Op::Copy, vec![x], self.shape(x).clone())
    }

    /// a + b.
    pub fn add(&mut self, a: Var, b: Var) -> Var {
        same("add", self.shape(a), self.shape(b));
        self.push(Op::Add, vec![a, b], self.shape(a).clone())
    }

    /// max(x, 0).
    pub fn relu(&mut self, x: Var) -> Var {
        self.push(Op::Relu, vec![x], self.shape(x).clone())
    }

    /// scale * (sum of all elements), shape `[1]`.
    pub fn sum(&mut self, x: Var, scale: f32) -> Var {
        self.push(Op::Sum { scale }, vec![x], Shape::from([1]))
    }

    /// Mean of all elements, shape `[1]`.
    pub fn mean(&mut self, x: Var) -> Var {
        self.sum(x, 1.0 / self.shape(x).len() as f32)
    }
}

pub(super) fn adjoint(tape: &mut Tape, node: &Node, _input: usize, dy: Incoming) -> Option<Var> {
    let dy = dy[0]?;
    let shape = tape.shape(node.inputs[0]).clone();
    Some(match node.op {
        // y = a + b: da = db = dy; a copy alike.
        Op::Add | Op::Copy => dy,
        // y = max(x, 0): dx = dy [y > 0].
        Op::Relu => tape.push(Op::ReluGrad, vec![node.outputs[0], dy], shape),
        // y = s sum x: dx_i = s dy.
        Op::Sum { scale } => tape.push(Op::SumGrad { scale }, vec![dy], shape),
        _ => return None,
    })
}
