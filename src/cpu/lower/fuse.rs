//! Calls that run as one kernel: what normalisation takes along, and what is left to the kernels that read it.

use super::Lowering;
use crate::cpu::{Map, batch_norm};
use crate::tape::{Call, Op, Place};

impl Lowering<'_> {
    /// Whether a sum is all that a rectification rectifies, or a rectified gradient goes into batch normalisation alone:
    /// these then read the inputs instead, which saves a pass over memory.
    pub fn leaves(&self, call: &Call) -> bool {
        let out = &call.outputs[0];
        let transient = self.program.storages[out.storage].place == Place::Transient;
        let readers = self.program.calls.iter().filter(|c| c.inputs.iter().any(|o| o.storage == out.storage));
        let second = |c: &Call| {
            let mut positions = c.inputs.iter().enumerate().filter(|(_, o)| o.storage == out.storage);
            positions.all(|(i, o)| i == 1 && o.shape == out.shape)
        };
        let left_to = |c: &Call| match (&call.op, &c.op) {
            (Op::Add, Op::ReluGrad) => !self.leaves(c),
            (Op::ReluGrad, Op::BatchNormGradParams { .. } | Op::BatchNormGradInput { .. }) => true,
            _ => false,
        };
        out.shape.rank() == 4
            && transient
            && !self.program.outputs.iter().any(|o| o.storage == out.storage)
            && readers.clone().count() > 0
            && readers.clone().all(|c| second(c) && left_to(c))
            // A sum is added up once.
            && (call.op == Op::ReluGrad || readers.count() == 1)
    }

    /// Batch normalisation with the rectification, or addition and rectification, that only it feeds.
    pub fn batch_norm(&mut self, index: usize, eps: f32) -> usize {
        let program = self.program;
        let call = &program.calls[index];
        let map = Map::of(&call.outputs[0].shape);
        let next = |at: usize| program.calls.get(at);
        let feeds = |from: &Call, to: Option<&Call>, op: &Op| {
            let out = &from.outputs[0];
            to.is_some_and(|to| {
                to.op == *op && to.inputs.iter().any(|o| o.storage == out.storage && o.shape == out.shape)
            }) && self.uses(out.storage) == 1
                && program.storages[out.storage].place == Place::Transient
        };
        let (then, last, residual) = if feeds(call, next(index + 1), &Op::Relu) {
            (batch_norm::Then::Relu, index + 1, None)
        } else if feeds(call, next(index + 1), &Op::Add) && feeds(&program.calls[index + 1], next(index + 2), &Op::Relu)
        {
            let add = &program.calls[index + 1];
            let other = add.inputs.iter().find(|o| o.storage != call.outputs[0].storage);
            match other {
                Some(residual) => (batch_norm::Then::AddRelu, index + 2, Some(residual)),
                None => (batch_norm::Then::Nothing, index, None),
            }
        } else {
            (batch_norm::Then::Nothing, index, None)
        };
        let mut inputs = vec![self.channels_last(&call.inputs[0])];
        inputs.extend(call.inputs[1..].iter().map(|o| o.storage));
        inputs.extend(residual.map(|o| self.channels_last(o)));
        let kernel = batch_norm::kernel(self.isa, map, eps, then);
        let mut named = Call { outputs: program.calls[last].outputs.clone(), ..call.clone() };
        named.inputs.extend(residual.cloned());
        let draft = self.drafts.len();
        self.emit(&named, kernel, inputs, |_| true, 0);
        self.drafts[draft].work.flops = program.calls[index..=last].iter().map(Call::flops).sum();
        last - index + 1
    }

    /// Number of calls and program outputs that read a storage.
    pub fn uses(&self, storage: usize) -> usize {
        let inputs = self.program.calls.iter().flat_map(|c| &c.inputs);
        inputs.chain(&self.program.outputs).filter(|o| o.storage == storage).count()
    }
}
