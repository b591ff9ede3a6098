//! Squared distances between images and transformed prototypes, and their minimum.

use super::Incoming;
use crate::tape::op::{Op, Rows};
use crate::tape::record::{Node, Tape, Var};
use crate::tape::tensor::{Dtype, Shape};

impl Tape {
    /// `d[b,j]` = mean over pixels of weights (`x[b]` - `t[row]`)^2 for x `[B,C,H,W]`, t `[S,C,H,W]`, the row of t
    /// found by `rows`: `Own` takes t of B J rows image by image, `Each` the S prototypes for every image, `Selected`
    /// one per image. No gradient for x, which is data.
    pub fn squared_distance(&mut self, x: Var, t: Var, weights: Option<Var>, rows: Rows, index: Option<Var>) -> Var {
        let item: [usize; 3] = self.shape(x).tail();
        assert_eq!(item, self.shape(t).tail(), "squared_distance of {:?} and {:?}", self.shape(x), self.shape(t));
        let (b, s) = (self.shape(x).rows(3), self.shape(t).rows(3));
        let r = match rows {
            Rows::Own => s,
            Rows::Each => b * s,
            Rows::Selected => b,
        };
        assert_eq!(r % b, 0, "squared_distance: {s} prototypes for {b} images");
        self.check_rows("squared_distance", rows, r, s, index);
        if let Some(weights) = weights {
            assert_eq!(self.shape(weights).len(), item.iter().product::<usize>(), "one weight a pixel and channel");
        }
        let op = Op::SquaredDistance { rows, weighted: weights.is_some() };
        let inputs = [x, t].into_iter().chain(weights).chain(index).collect();
        self.push(op, inputs, Shape::from([b, r / b]))
    }

    /// Minimum of each row of d `[B,K]` and the position of its first occurrence: (`[B]`, u32 `[B]`).
    pub fn min_row(&mut self, d: Var) -> (Var, Var) {
        let row = Shape::from([self.shape(d).rows(1)]);
        let out = self.push_many(Op::MinRow, vec![d], vec![(row.clone(), Dtype::F32), (row, Dtype::U32)]);
        (out[0], out[1])
    }
}

pub(super) fn adjoint(tape: &mut Tape, node: &Node, input: usize, dy: Incoming) -> Option<Var> {
    let dy = dy[0]?;
    match node.op {
        // dt = 2/n weights (t - x) dd for every row, then summed over the images that share a prototype.
        Op::SquaredDistance { rows, weighted } => {
            let (x, t) = (node.inputs[0], node.inputs[1]);
            if input != 1 {
                return None;
            }
            let index = (rows == Rows::Selected).then(|| *node.inputs.last().expect("has inputs"));
            let mut inputs = vec![x, t, dy];
            inputs.extend_from_slice(&node.inputs[2..]);
            let item: [usize; 3] = tape.shape(t).tail();
            let shape = tape.shape(dy).with_tail(0, &item);
            let shape = if rows == Rows::Own { tape.shape(t).clone() } else { shape };
            let per_row = tape.push(Op::SquaredDistanceGrad { rows, weighted }, inputs, shape);
            let like = tape.shape(t).clone();
            Some(tape.sum_rows(per_row, &like, rows, index))
        }
        // The minimum hands its gradient to where it was found.
        Op::MinRow => {
            let d = node.inputs[0];
            Some(tape.push(Op::MinRowGrad, vec![dy, node.outputs[1]], tape.shape(d).clone()))
        }
        _ => None,
    }
}
