//! Colour transformation: a scale and an offset for each channel.

use super::Incoming;
use crate::tape::op::{Op, Rows};
use crate::tape::record::{Node, Tape, Var};

impl Tape {
    /// (1 + w) x + o channel by channel, for image `[S,C,H,W]` found by `rows` and beta `[R,2C]` laid out `[C,2]` = (w, o)
    /// -> `[R,C,H,W]`. R may be several dimensions.
    pub fn color(&mut self, image: Var, beta: Var, rows: Rows, index: Option<Var>) -> Var {
        let item: [usize; 3] = self.shape(image).tail();
        let [p] = self.shape(beta).tail();
        assert_eq!(p, 2 * item[0], "color: beta {:?} for image {:?}", self.shape(beta), self.shape(image));
        self.check_rows("color", rows, self.shape(beta).rows(1), self.shape(image).rows(3), index);
        let shape = self.shape(beta).with_tail(1, &item);
        self.push(Op::Color(rows), [image, beta].into_iter().chain(index).collect(), shape)
    }
}

pub(super) fn adjoint(tape: &mut Tape, node: &Node, input: usize, dy: Incoming) -> Option<Var> {
    let (dy, &Op::Color(rows)) = (dy[0]?, &node.op) else { return None };
    let (image, beta) = (node.inputs[0], node.inputs[1]);
    let index = node.inputs.get(2).copied();
    match input {
        // dx = (1 + w) dy for each row; then the rows that share an image are summed.
        0 => {
            let per_row = tape.push(Op::ColorGradImage, vec![beta, dy], tape.shape(dy).clone());
            let like = tape.shape(image).clone();
            Some(tape.sum_rows(per_row, &like, rows, index))
        }
        // dw = sum of dy x, do = sum of dy.
        1 => {
            let inputs = [image, dy].into_iter().chain(index).collect();
            Some(tape.push(Op::ColorGradBeta(rows), inputs, tape.shape(beta).clone()))
        }
        _ => None,
    }
}
