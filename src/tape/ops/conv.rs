//! Convolution without bias (batch normalisation follows it in every encoder).

use super::Incoming;
use crate::tape::op::{ConvSpec, Op};
use crate::tape::program::Call;
use crate::tape::record::{Node, Tape, Var};
use crate::tape::tensor::Shape;

impl Tape {
    /// x `[B,Ci,H,W]` correlated with w `[Co,Ci,kh,kw]` -> `[B,Co,H',W']`.
    pub fn conv2d(&mut self, x: Var, w: Var, spec: ConvSpec) -> Var {
        let [b, ci, h, wd] = self.shape(x).tail();
        let [co, wi, kh, kw] = self.shape(w).tail();
        assert_eq!(ci, wi, "conv2d: input {:?}, weights {:?}", self.shape(x), self.shape(w));
        let shape = Shape::from([b, co, spec.out(h, kh), spec.out(wd, kw)]);
        self.push(Op::Conv2d(spec), vec![x, w], shape)
    }
}

pub(super) fn adjoint(tape: &mut Tape, node: &Node, input: usize, dy: Incoming) -> Option<Var> {
    let (dy, Op::Conv2d(spec)) = (dy[0]?, &node.op) else { return None };
    let (x, w) = (node.inputs[0], node.inputs[1]);
    let shape = tape.shape(node.inputs[input]).clone();
    Some(match input {
        // dx = dy correlated with w flipped and transposed, between the strides.
        0 => tape.push(Op::Conv2dGradInput(*spec), vec![dy, w], shape),
        // dw[o,i,a,b] = sum over images and pixels of dy[o,p] x[i, s p + (a,b) - pad].
        _ => tape.push(Op::Conv2dGradWeight(*spec), vec![x, dy], shape),
    })
}

/// 2 B Co H' W' Ci kh kw for each of the three.
pub(super) fn flops(call: &Call) -> u64 {
    let (weights, output) = match call.op {
        Op::Conv2d(_) => (&call.inputs[1], &call.outputs[0]),
        Op::Conv2dGradInput(_) => (&call.inputs[1], &call.inputs[0]),
        _ => (&call.outputs[0], &call.inputs[1]),
    };
    let [_, ci, kh, kw] = weights.shape.tail();
    2 * (output.shape.len() * ci * kh * kw) as u64
}
