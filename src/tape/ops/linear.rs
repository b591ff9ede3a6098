//! Linear layers: plain, one per prototype, or the one that a row selects.

use super::Incoming;
use crate::tape::op::{Op, Rows};
use crate::tape::program::Call;
use crate::tape::record::{Node, Tape, Var};
use crate::tape::tensor::Dtype;

impl Tape {
    /// y = w x + b for every row of x `[R,I]`, with weights w `[S,O,I]`, b `[S,O]` found by `rows` -> `[R,O]`. R may be
    /// several dimensions. `Rows::Each` with S = 1 is the plain layer; `Rows::Selected` needs `index` u32 `[R]`.
    pub fn linear(&mut self, x: Var, w: Var, b: Var, rows: Rows, index: Option<Var>) -> Var {
        let [i] = self.shape(x).tail();
        let [s, o, wi] = self.shape(w).tail();
        let r = self.shape(x).rows(1);
        assert_eq!(i, wi, "linear: input {:?}, weights {:?}", self.shape(x), self.shape(w));
        assert_eq!(self.shape(b).0, [s, o], "linear: bias of weights {:?}", self.shape(w));
        self.check_rows("linear", rows, r, s, index);
        let shape = self.shape(x).with_tail(1, &[o]);
        self.push(Op::Linear(rows), [x, w, b].into_iter().chain(index).collect(), shape)
    }

    /// Panics unless R rows can find their partners among S by `rows`.
    pub(super) fn check_rows(&self, op: &str, rows: Rows, r: usize, s: usize, index: Option<Var>) {
        match rows {
            Rows::Own => assert_eq!(r, s, "{op}: {r} rows with {s} partners of their own"),
            Rows::Each => assert_eq!(r % s, 0, "{op}: {r} rows in groups of {s}"),
            Rows::Selected => {
                let index = index.expect("selected rows need an index");
                assert_eq!(self.dtype(index), Dtype::U32, "{op}: an index is u32");
                assert_eq!(self.shape(index).len(), r, "{op}: one index a row");
            }
        }
        assert_eq!(rows == Rows::Selected, index.is_some(), "{op}: an index goes with selected rows only");
    }
}

pub(super) fn adjoint(tape: &mut Tape, node: &Node, input: usize, dy: Incoming) -> Option<Var> {
    let (dy, &Op::Linear(rows)) = (dy[0]?, &node.op) else { return None };
    let (x, w, b) = (node.inputs[0], node.inputs[1], node.inputs[2]);
    let index = node.inputs.get(3).copied();
    match input {
        // dx = w^T dy, row by row.
        0 => {
            let inputs = [dy, w].into_iter().chain(index).collect();
            Some(tape.push(Op::LinearGradInput(rows), inputs, tape.shape(x).clone()))
        }
        // dw[s] = sum over the rows of s of dy x^T; db[s] = sum of dy. Recorded once for the node.
        1 | 2 => {
            let inputs: Vec<Var> = [x, dy].into_iter().chain(index).collect();
            // Two layers on one x may have one dy as well, where their outputs are added, but groups of their own.
            let same = |v: Var| tape.shape(v) == tape.shape(w);
            let last = tape.nodes.last();
            let last = last.filter(|n| n.op == Op::LinearGradWeight(rows) && n.inputs == inputs && same(n.outputs[0]));
            let out = match last {
                Some(n) => n.outputs.clone(),
                None => {
                    let shapes = [w, b].map(|v| (tape.shape(v).clone(), Dtype::F32));
                    tape.push_many(Op::LinearGradWeight(rows), inputs, shapes.to_vec())
                }
            };
            Some(out[input - 1])
        }
        _ => None,
    }
}

/// 2 R O I for each of the three, and the bias.
pub(super) fn flops(call: &Call) -> u64 {
    let (weights, rows) = match call.op {
        Op::LinearGradWeight(_) => (&call.outputs[0], &call.inputs[0]),
        _ => (&call.inputs[1], &call.inputs[0]),
    };
    let [o, i] = weights.shape.tail();
    (2 * rows.shape.rows(1) * o * i) as u64
}
