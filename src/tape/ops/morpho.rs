//! Differentiable morphology: a weighted mean over a window, softly the largest or the smallest value.

use super::Incoming;
use crate::tape::op::{Op, Rows};
use crate::tape::record::{Node, Tape, Var};
use crate::tape::tensor::{Dtype, Shape};

/// Extent at most of the windows of morphology: with their border pixels of an image must fit into the workgroup memory that
/// every GPU has.
pub const LARGEST_WINDOW: usize = 31;

impl Tape {
    /// y(i) = sum over a window of `kernel` x `kernel` pixels q of a_q x(i+q) e^(alpha x(i+q)) / sum of a_q e^(alpha x(i+q))
    /// with x = 0 outside the image, for image `[S,C,H,W]` found by `rows` and beta `[R,1+kernel^2]` -> `[R,C,H,W]`:
    /// alpha = beta_0, a = sigmoid(beta_1.. + c), c = 5 at the centre of the window and -5 elsewhere. R may be several
    /// dimensions; the window is odd, and [`LARGEST_WINDOW`] at most.
    pub fn morpho(&mut self, image: Var, beta: Var, kernel: usize, rows: Rows, index: Option<Var>) -> Var {
        let (p, shape) = self.morpho_weights("morpho", image, beta, kernel, rows, index);
        // Once for each source pixel, not for each pixel of each window.
        let e = self.push(Op::MorphoExp(rows), [image, p].into_iter().chain(index).collect(), shape.clone());
        let inputs = [image, p, e].into_iter().chain(index).collect();
        let outputs = vec![(shape.clone(), Dtype::F32), (shape, Dtype::F32)];
        self.push_many(Op::Morpho { kernel, rows }, inputs, outputs)[0]
    }

    /// The limit of [`Tape::morpho`] as alpha goes to plus or minus infinity, by its sign, over the positions of the window
    /// with a_q > 1/2 (over the centre if there are none): the largest or the smallest x(i+q). With alpha = 0 the weighted
    /// mean. Without gradient.
    pub fn morpho_limit(&mut self, image: Var, beta: Var, kernel: usize, rows: Rows, index: Option<Var>) -> Var {
        let (p, shape) = self.morpho_weights("morpho_limit", image, beta, kernel, rows, index);
        let inputs = [image, p].into_iter().chain(index).collect();
        self.push(Op::MorphoLimit { kernel, rows }, inputs, shape)
    }

    /// Checks the operands of a morphology and turns beta into (alpha, a); with the shape of the result.
    fn morpho_weights(
        &mut self,
        op: &str,
        image: Var,
        beta: Var,
        kernel: usize,
        rows: Rows,
        index: Option<Var>,
    ) -> (Var, Shape) {
        let item: [usize; 3] = self.shape(image).tail();
        let [width] = self.shape(beta).tail();
        assert!(!kernel.is_multiple_of(2), "{op}: a window of {kernel} has no centre");
        assert!(kernel <= LARGEST_WINDOW, "{op}: a window of {kernel}, more than {LARGEST_WINDOW}");
        assert_eq!(width, 1 + kernel * kernel, "{op}: beta {:?} for a window of {kernel}", self.shape(beta));
        self.check_rows(op, rows, self.shape(beta).rows(1), self.shape(image).rows(3), index);
        let p = self.push(Op::MorphoWeights, vec![beta], self.shape(beta).clone());
        (p, self.shape(beta).with_tail(1, &item))
    }
}

/// The gradient through e, which is a function of image and p, is part of theirs.
pub(super) fn adjoint(tape: &mut Tape, node: &Node, input: usize, dy: Incoming) -> Option<Var> {
    let dy = dy[0]?;
    match node.op {
        // d sigmoid = a (1 - a).
        Op::MorphoWeights => {
            let p = node.outputs[0];
            Some(tape.push(Op::MorphoWeightsGrad, vec![p, dy], tape.shape(p).clone()))
        }
        Op::Morpho { kernel, rows } => {
            let [image, p, e] = node.inputs[..3] else { return None };
            let index = node.inputs.get(3).copied();
            let inputs = [image, p, e, node.outputs[0], node.outputs[1], dy].into_iter().chain(index).collect();
            match input {
                // With D the denominator, dy(i)/dx(s) = a_(s-i) e(s) (1 + alpha (x(s) - y(i))) / D(i).
                0 => {
                    let shape = tape.shape(dy).clone();
                    let per_row = tape.push(Op::MorphoGradImage { kernel, rows }, inputs, shape);
                    let like = tape.shape(image).clone();
                    Some(tape.sum_rows(per_row, &like, rows, index))
                }
                // dy(i)/da_q = e (x - y(i)) / D(i) and dy(i)/dalpha = sum over q of a_q e x (x - y(i)) / D(i) at i+q.
                1 => Some(tape.push(Op::MorphoGradWeights { kernel, rows }, inputs, tape.shape(p).clone())),
                _ => None,
            }
        }
        _ => None,
    }
}
