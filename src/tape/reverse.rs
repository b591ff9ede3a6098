//! Reverse-mode differentiation: adjoint operations appended to the tape.

use super::error::TapeError;
use super::ops;
use super::record::{Source, Tape, Var};
use super::tensor::Dtype;

impl Tape {
    /// Gradients of the scalar `loss` with respect to `wrt`, in their order; `None` where the loss does not depend on it.
    ///
    /// Only operations between `wrt` and the loss are walked. Handles on the same persistent tensor count as one, but
    /// a result that [`Tape::store`] made to live there is not what the tensor held before.
    pub fn gradients(&mut self, loss: Var, wrt: &[Var]) -> Result<Vec<Option<Var>>, TapeError> {
        let (elements, dtype) = (self.shape(loss).len(), self.dtype(loss));
        if elements != 1 || dtype != Dtype::F32 {
            return Err(TapeError::NotScalar { elements, dtype });
        }
        let one = self.fill(self.shape(loss).clone(), 1.0);
        self.gradients_from(&[(loss, one)], wrt)
    }

    /// Vector-Jacobian product: as [`Tape::gradients`], but from any number of outputs of any shape, each paired with
    /// the gradient that comes in there. It is the gradient of the sum over outputs of `incoming · output`, with the
    /// incoming gradients held constant. An output may also lie between `wrt` and another output.
    ///
    /// # Panics
    /// If an incoming gradient is not f32 or has another shape than its output.
    pub fn gradients_from(&mut self, outputs: &[(Var, Var)], wrt: &[Var]) -> Result<Vec<Option<Var>>, TapeError> {
        for &(output, incoming) in outputs {
            assert_eq!(self.shape(output), self.shape(incoming), "an output and its incoming gradient");
            assert!(
                self.dtype(output) == Dtype::F32 && self.dtype(incoming) == Dtype::F32,
                "gradients come from and into f32 tensors"
            );
        }

        // Which tensors lie on a path from `wrt`.
        let targets: Vec<Var> = wrt.iter().map(|&v| self.identity(v)).collect();
        let mut needed: Vec<bool> = (0..self.tensors.len()).map(|i| targets.contains(&self.identity(Var(i)))).collect();
        for node in &self.nodes {
            if !node.op.updates() && node.inputs.iter().any(|&v| needed[v.0] || needed[self.root(v).0]) {
                for &v in &node.outputs {
                    needed[v.0] = self.dtype(v) == Dtype::F32;
                }
            }
        }

        let forward = self.nodes.len();
        let mut gradient: Vec<Option<Var>> = vec![None; self.tensors.len()];
        for &(output, incoming) in outputs {
            let root = self.identity(output);
            // Only what `wrt` reaches, so that no sum is recorded for nothing.
            if needed[root.0] || needed[output.0] {
                self.accumulate(&mut gradient, root, incoming);
            }
        }
        for index in (0..forward).rev() {
            let node = self.nodes[index].clone();
            if node.op.updates() {
                continue;
            }
            let incoming: Vec<Option<Var>> = node.outputs.iter().map(|&v| gradient[v.0]).collect();
            if incoming.iter().all(Option::is_none) {
                continue;
            }
            for (position, &input) in node.inputs.iter().enumerate() {
                let root = self.identity(input);
                if !(needed[root.0] || needed[input.0]) || self.dtype(input) != Dtype::F32 {
                    continue;
                }
                let Some(contribution) = ops::adjoint(self, &node, position, &incoming)? else { continue };
                self.accumulate(&mut gradient, root, contribution);
            }
        }
        Ok(targets.iter().map(|v| gradient[v.0]).collect())
    }

    /// The first handle of the same elements: gradients are kept per identity.
    fn identity(&self, v: Var) -> Var {
        let root = self.root(v);
        let info = &self.tensors[root.0];
        let Source::Persistent { arena, offset } = info.source else { return root };
        if info.stored {
            return root;
        }
        let same = |t: &super::record::TensorInfo| {
            !t.stored
                && t.shape.len() == info.shape.len()
                && matches!(t.source, Source::Persistent { arena: a, offset: o } if a == arena && o == offset)
        };
        Var(self.tensors.iter().position(same).expect("the tensor itself matches"))
    }

    /// Adds a contribution to the gradient of `root`.
    fn accumulate(&mut self, gradient: &mut [Option<Var>], root: Var, contribution: Var) {
        let contribution = self.reshape_like(contribution, root);
        gradient[root.0] = Some(match gradient[root.0] {
            None => contribution,
            Some(sum) => self.add(sum, contribution),
        });
    }

    fn reshape_like(&mut self, v: Var, like: Var) -> Var {
        if self.shape(v) == self.shape(like) { v } else { self.reshape(v, self.shape(like).clone()) }
    }
}
