//! Batch normalisation (Ioffe and Szegedy 2015).

use super::Incoming;
use crate::tape::op::Op;
use crate::tape::record::{Node, Tape, Var};
use crate::tape::tensor::{Dtype, Shape};

impl Tape {
    /// Mean and biased variance of each channel of x `[B,C,H,W]`.
    pub fn batch_norm_stats(&mut self, x: Var) -> (Var, Var) {
        let [_, c, _, _] = self.shape(x).tail();
        let channel = (Shape::from([c]), Dtype::F32);
        let out = self.push_many(Op::BatchNormStats, vec![x], vec![channel.clone(), channel]);
        (out[0], out[1])
    }

    /// Moves the running statistics towards those of a batch of `count` values per channel.
    pub fn running_stats(&mut self, stats: (Var, Var), running: (Var, Var), momentum: f32, count: usize) {
        let op = Op::RunningStats { momentum, count };
        self.push_update(op, vec![stats.0, stats.1], vec![running.0, running.1]);
    }

    /// gamma (x - mean) / sqrt(variance + eps) + beta. `batch_stats` says that the statistics are those of x itself,
    /// so that the gradient runs through them as well.
    pub fn batch_norm(&mut self, x: Var, stats: (Var, Var), gamma: Var, beta: Var, eps: f32, batch_stats: bool) -> Var {
        let [_, c, _, _] = self.shape(x).tail();
        for v in [stats.0, stats.1, gamma, beta] {
            assert_eq!(self.shape(v).0, [c], "batch_norm of {:?}", self.shape(x));
        }
        let inputs = vec![x, stats.0, stats.1, gamma, beta];
        self.push(Op::BatchNorm { eps, batch_stats }, inputs, self.shape(x).clone())
    }
}

pub(super) fn adjoint(tape: &mut Tape, node: &Node, input: usize, dy: Incoming) -> Option<Var> {
    let (dy, Op::BatchNorm { eps, batch_stats }) = (dy[0]?, &node.op) else { return None };
    let [x, mean, variance, gamma, _] = node.inputs[..] else { return None };
    // With xhat = (x - mean) inv_std: dgamma = sum dy xhat, dbeta = sum dy, recorded once for the node.
    let params = vec![x, dy, mean, variance];
    let op = Op::BatchNormGradParams { eps: *eps };
    let recorded = tape.nodes.iter().rev().take(4).find(|n| n.op == op && n.inputs == params);
    let (dgamma, dbeta) = match recorded {
        Some(n) => (n.outputs[0], n.outputs[1]),
        None => {
            let channel = (tape.shape(gamma).clone(), Dtype::F32);
            let out = tape.push_many(op, params, vec![channel.clone(), channel]);
            (out[0], out[1])
        }
    };
    match input {
        // dx = gamma inv_std (dy - dbeta/n - xhat dgamma/n), or gamma inv_std dy when the statistics are constants.
        0 => {
            let op = Op::BatchNormGradInput { eps: *eps, batch_stats: *batch_stats };
            Some(tape.push(op, vec![x, dy, mean, variance, gamma, dgamma, dbeta], tape.shape(x).clone()))
        }
        3 => Some(dgamma),
        4 => Some(dbeta),
        _ => None,
    }
}
