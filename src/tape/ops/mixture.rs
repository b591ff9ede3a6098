//! A mixture of normal densities: their negative logarithms, mixing proportions, and the cost that EM minimises.

use super::{Incoming, same};
use crate::tape::op::{Op, Rows};
use crate::tape::record::{Node, Tape, Var};
use crate::tape::tensor::Shape;

impl Tape {
    /// `d[b,j]` = 1/2 sum over pixels and channels of weights ((`x[b]` - mu)^2 / v + log v) + n/2 log(2 pi) with
    /// v = sigma^2 + min_variance, for x `[B,C,H,W]`, mu `[S,C,H,W]`, sigma `[T,C,H,W]` and R = B J rows -> `[B,J]`; n
    /// counts pixels and channels, whatever their weights. Each of mu and sigma comes with the way its row is found:
    /// `Own` takes B J rows image by image, `Each` J rows for every image, `Selected` those of `index` u32 `[R]`.
    /// Beside selected rows there may be own ones. No gradient for x, which is data.
    pub fn neg_log_normal(
        &mut self,
        x: Var,
        mu: (Var, Rows),
        sigma: (Var, Rows),
        weights: Option<Var>,
        index: Option<Var>,
        min_variance: f32,
    ) -> Var {
        let op = "neg_log_normal";
        let item: [usize; 3] = self.shape(x).tail();
        let b = self.shape(x).rows(3);
        let modes = [mu.1, sigma.1];
        let selected = modes.contains(&Rows::Selected);
        assert!(!(selected && modes.contains(&Rows::Each)), "{op}: rows are selected or taken in turn, not both");
        assert_eq!(selected, index.is_some(), "{op}: an index goes with selected rows only");
        assert!(min_variance >= f32::MIN_POSITIVE, "{op}: a smallest variance of {min_variance}");
        let [r, also] = [mu, sigma].map(|(v, rows)| {
            assert_eq!(item, self.shape(v).tail(), "{op} of {:?} and {:?}", self.shape(x), self.shape(v));
            let s = self.shape(v).rows(3);
            let r = match rows {
                Rows::Own => s,
                Rows::Each => b * s,
                Rows::Selected => index.map_or(0, |index| self.shape(index).len()),
            };
            self.check_rows(op, rows, r, s, index.filter(|_| rows == Rows::Selected));
            r
        });
        assert_eq!(r, also, "{op}: {:?} and {:?} for {b} images", self.shape(mu.0), self.shape(sigma.0));
        assert_eq!(r % b, 0, "{op}: {r} rows for {b} images");
        if let Some(weights) = weights {
            assert_eq!(self.shape(weights).len(), item.iter().product::<usize>(), "one weight a pixel and channel");
        }
        let op = Op::NegLogNormal { mean: mu.1, deviation: sigma.1, weighted: weights.is_some(), min_variance };
        let inputs = [x, mu.0, sigma.0].into_iter().chain(weights).chain(index).collect();
        self.push(op, inputs, Shape::from([b, r / b]))
    }

    /// x - log sum exp x over the last dimension.
    pub fn log_softmax(&mut self, x: Var) -> Var {
        self.push(Op::LogSoftmax, vec![x], self.shape(x).clone())
    }

    /// gamma `[B,K]` = softmax over k of (log_pi - d) for d `[B,K]`, log_pi `[K]`: the E step, a constant for gradients.
    pub fn responsibilities(&mut self, d: Var, log_pi: Var) -> Var {
        let [_, k] = self.shape(d).tail();
        assert_eq!(self.shape(log_pi).0, [k], "responsibilities of {:?}", self.shape(d));
        self.push(Op::Responsibilities, vec![d, log_pi], self.shape(d).clone())
    }

    /// q `[B]` = sum over k of gamma (d - log_pi) for gamma, d `[B,K]`, log_pi `[K]`. No gradient for gamma.
    pub fn expected_cost(&mut self, gamma: Var, d: Var, log_pi: Var) -> Var {
        same("expected_cost", self.shape(gamma), self.shape(d));
        let [b, k] = self.shape(d).tail();
        assert_eq!(self.shape(log_pi).0, [k], "expected_cost of {:?}", self.shape(d));
        self.push(Op::ExpectedCost, vec![gamma, d, log_pi], Shape::from([b]))
    }
}

pub(super) fn adjoint(tape: &mut Tape, node: &Node, input: usize, dy: Incoming) -> Option<Var> {
    let dy = dy[0]?;
    match node.op {
        Op::NegLogNormal { mean, deviation, weighted, min_variance } => {
            let (op, rows) = match input {
                // dmu = weights (mu - x) / v dd for every row, then summed over the rows that share a mean.
                1 => (Op::NegLogNormalGradMean { mean, deviation, weighted, min_variance }, mean),
                // dsigma = weights sigma (1/v - (x - mu)^2 / v^2) dd alike.
                2 => (Op::NegLogNormalGradDeviation { mean, deviation, weighted, min_variance }, deviation),
                _ => return None,
            };
            let mut inputs = node.inputs[..3].to_vec();
            inputs.push(dy);
            inputs.extend_from_slice(&node.inputs[3..]);
            let like = tape.shape(node.inputs[input]).clone();
            let item: [usize; 3] = like.tail();
            let shape = if rows == Rows::Own { like.clone() } else { tape.shape(dy).with_tail(0, &item) };
            let per_row = tape.push(op, inputs, shape);
            let index = (rows == Rows::Selected).then(|| *node.inputs.last().expect("has inputs"));
            Some(tape.sum_rows(per_row, &like, rows, index))
        }
        // y = x - log sum exp x: dx = dy - exp(y) sum dy.
        Op::LogSoftmax => {
            let y = node.outputs[0];
            Some(tape.push(Op::LogSoftmaxGrad, vec![y, dy], tape.shape(y).clone()))
        }
        // q = sum gamma (d - log_pi): dd = gamma dq, dlog_pi = - sum over b of gamma dq.
        Op::ExpectedCost => {
            let op = match input {
                1 => Op::ExpectedCostGradDistance,
                2 => Op::ExpectedCostGradMixing,
                _ => return None,
            };
            Some(tape.push(op, vec![node.inputs[0], dy], tape.shape(node.inputs[input]).clone()))
        }
        _ => None,
    }
}
