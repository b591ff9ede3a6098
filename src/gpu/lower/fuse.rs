//! Which calls run as one kernel: what follows a product or a normalisation element by element is done where its result is
//! still in registers. The patterns, besides those of `fold.rs` and `parts.rs`:
//!
//! * `Conv2dGradInput` (, `Add`) , `ReluGrad`: the gradient of a residual block
//! * `BatchNorm` (, `Add`), `Relu`
//! * `Linear`, `Relu`; `LinearGradInput` (, `Add`) (, `ReluGrad`); `GlobalAvgPoolGrad`, `ReluGrad`
//! * `BatchNormStats`, `RunningStats`
//! * `Adam` of groups that lie side by side
//! * transformations, `SquaredDistance`, see `chain.rs`
//!
//! A fused kernel runs where the last of its calls was; the statistics and Adam run where the first was.

use super::adam::neighbours;
use super::chain::Chain;
use super::fold::{Coefficients, Folds};
use super::parts::Parts;
use crate::tape::{Call, Op, Operand, Place, Program, Work};
use std::collections::HashMap;

/// What a kernel does besides its call: as it loads its operands, and with its results.
#[derive(Clone, Debug, Default)]
pub struct Besides {
    /// Added to the result.
    pub residual: Option<Operand>,
    /// The result is rectified.
    pub rectify: bool,
    /// The result is zero where this is not positive.
    pub mask: Option<Operand>,
    /// Running statistics that a batch's statistics update.
    pub running: Option<Call>,
    /// Steps of Adam for the groups of parameters that come next.
    pub adam: Vec<Call>,
    /// Transformations that come before, whose result is measured.
    pub chain: Option<Chain>,
    /// Maps that are computed as they are loaded.
    pub folds: Folds,
    /// What such maps are computed with, to be written with the sums over channels.
    pub coefficients: Option<Coefficients>,
    /// Parts of sums over channels: written by what computes a map, merged by the sums themselves.
    pub parts: Option<Parts>,
}

/// A call with what it does besides.
pub struct Unit {
    /// Position of the call in the program.
    pub index: usize,
    /// The call; its outputs are those of the last call it stands for.
    pub call: Call,
    /// What else it does.
    pub besides: Besides,
}

impl Unit {
    /// What it does, the calls it stands for together; what they hand to each other does not move.
    pub fn work(&self) -> Work {
        let own = Work::of(&self.call);
        let elements = self.call.outputs.first().map_or(0, |o| o.shape.len()) as u64;
        let Besides { residual, rectify, mask, running, adam, chain, folds, coefficients, parts } = &self.besides;
        if let Some(chain) = chain {
            let detail = format!("{} of {}", chain.names(), own.detail);
            return Work { flops: own.flops + chain.flops, bytes: chain.bytes, detail, ..own };
        }
        let operands = u64::from(residual.is_some()) + u64::from(mask.is_some());
        let flops = (operands + u64::from(*rectify)) * elements;
        let along = running.iter().chain(adam).map(|call| (call.flops(), call.bytes()));
        let loaded = self.call.inputs.iter().chain(mask).map(|o| folds.cost(o));
        let written = coefficients.iter().map(|c| (0, c.bytes()));
        let extra = along.chain(loaded).chain(written).chain([(flops, 4 * operands * elements)]);
        let (flops, bytes) = extra.fold((own.flops, own.bytes), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1));
        let (flops, bytes) = parts.as_ref().map_or((flops, bytes), |parts| parts.cost(&self.call, (flops, bytes)));
        Work { flops, bytes, ..own }
    }
}

/// The calls of a program in order of execution, fused where a pattern fits; one by one without `fuse`. `chained` chooses the
/// distances that are computed with the transformations before them.
pub fn units(program: &Program, fuse: bool, chained: impl Fn(&Call) -> bool) -> Vec<Unit> {
    let mut fuser = Fuser { program, readers: readers(program), taken: vec![false; program.calls.len()] };
    let mut chains = if fuse { fuser.chains(chained) } else { HashMap::new() };
    let mut units: Vec<(usize, Unit)> = Vec::new();
    for (index, call) in program.calls.iter().enumerate() {
        if fuser.taken[index] {
            continue;
        }
        let chain = chains.remove(&index);
        let plain = || (index, Unit { index, call: call.clone(), besides: Besides { chain, ..Besides::default() } });
        units.push(if fuse { fuser.lead(index).unwrap_or_else(plain) } else { plain() });
    }
    units.sort_by_key(|(position, _)| *position);
    units.into_iter().map(|(_, unit)| unit).collect()
}

/// For each storage the calls that read it; a program's outputs count as a reader beyond the last call.
fn readers(program: &Program) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); program.storages.len()];
    for (index, call) in program.calls.iter().enumerate() {
        for o in &call.inputs {
            readers[o.storage].push(index);
        }
    }
    for o in &program.outputs {
        readers[o.storage].push(program.calls.len());
    }
    readers
}

struct Fuser<'a> {
    program: &'a Program,
    readers: Vec<Vec<usize>>,
    /// Calls that are part of another.
    taken: Vec<bool>,
}

impl Fuser<'_> {
    /// The chains of transformations, by the positions of the distances that they end in.
    fn chains(&mut self, chained: impl Fn(&Call) -> bool) -> HashMap<usize, Chain> {
        let mut chains = HashMap::new();
        for (index, call) in self.program.calls.iter().enumerate() {
            if matches!(call.op, Op::SquaredDistance { .. })
                && chained(call)
                && let Some(chain) = Chain::ending_at(self.program, &self.readers, index)
                && chain.members.iter().all(|&m| self.may_wait(&self.program.calls[m].inputs, m, index))
            {
                chain.members.iter().for_each(|&m| self.taken[m] = true);
                chains.insert(index, chain);
            }
        }
        chains
    }

    /// The unit that the call at `index` leads, and its position; `None` if no pattern fits.
    fn lead(&mut self, index: usize) -> Option<(usize, Unit)> {
        let call = &self.program.calls[index];
        let mut besides = Besides::default();
        let mut members = Vec::new();
        let mut position = index;
        match call.op {
            Op::BatchNormStats => {
                let next = *self.readers[call.outputs[0].storage].iter().find(|&&i| self.updates(i, call))?;
                let update = &self.program.calls[next];
                // Nothing in between may see the old values.
                let between = &self.program.calls[index + 1..next];
                let ours = |o: &Operand| update.outputs.iter().any(|u| u.storage == o.storage);
                if between.iter().any(|c| c.inputs.iter().chain(&c.outputs).any(ours)) {
                    return None;
                }
                besides.running = Some(update.clone());
                members.push(next);
            }
            Op::Adam { .. } => {
                members = neighbours(self.program, index);
                if members.is_empty() {
                    return None;
                }
                besides.adam = members.iter().map(|&m| self.program.calls[m].clone()).collect();
            }
            Op::BatchNorm { .. }
            | Op::Linear(_)
            | Op::Conv2dGradInput(_)
            | Op::LinearGradInput(_)
            | Op::GlobalAvgPoolGrad => {
                if !matches!(call.op, Op::Linear(_) | Op::GlobalAvgPoolGrad)
                    && let Some((next, residual)) = self.added(index)
                {
                    besides.residual = Some(residual);
                    members.push(next);
                    position = next;
                }
                if let Some(next) = self.sole_reader(position)
                    && self.finishes(call, position, next, &mut besides)
                {
                    members.push(next);
                    position = next;
                } else if besides.residual.is_none() || !matches!(call.op, Op::LinearGradInput(_)) {
                    // A convolution or a normalisation leaves an addition by itself to a kernel of its own.
                    return None;
                }
                let late = call.inputs.iter().chain(&besides.residual);
                if !self.may_wait(late, index, position) {
                    return None;
                }
            }
            _ => return None,
        }
        // What runs where it was keeps its own outputs; a result that is computed on has the shape of the leading call.
        let mut outputs = self.program.calls[position].outputs.clone();
        if position > index {
            outputs[0].shape = call.outputs[0].shape.clone();
        }
        members.iter().for_each(|&m| self.taken[m] = true);
        Some((position, Unit { index, call: Call { outputs, ..call.clone() }, besides }))
    }

    /// Whether the call at `next` rectifies the result of the one at `last`, or masks it if `call`, which both follow, computes a
    /// gradient; notes it down.
    fn finishes(&self, call: &Call, last: usize, next: usize, besides: &mut Besides) -> bool {
        let (before, then) = (&self.program.calls[last], &self.program.calls[next]);
        match (&call.op, &then.op) {
            (Op::BatchNorm { .. } | Op::Linear(_), Op::Relu) => besides.rectify = true,
            (Op::Conv2dGradInput(_) | Op::LinearGradInput(_) | Op::GlobalAvgPoolGrad, Op::ReluGrad)
                if then.inputs[0].storage != before.outputs[0].storage =>
            {
                besides.mask = Some(then.inputs[0].clone());
            }
            _ => return false,
        }
        true
    }

    /// Whether the call at `index` updates running statistics with those that `stats` computes.
    fn updates(&self, index: usize, stats: &Call) -> bool {
        let Some(call) = self.program.calls.get(index) else { return false };
        let same = call.inputs.iter().zip(&stats.outputs).all(|(a, b)| a.storage == b.storage);
        matches!(call.op, Op::RunningStats { .. }) && same && !self.taken[index]
    }

    /// The addition that alone reads the result of a call, and what it adds.
    fn added(&self, index: usize) -> Option<(usize, Operand)> {
        let next = self.sole_reader(index)?;
        let add = &self.program.calls[next];
        let result = self.program.calls[index].outputs[0].storage;
        let other = add.inputs.iter().find(|o| o.storage != result)?;
        (add.op == Op::Add).then(|| (next, other.clone()))
    }

    /// The one call that reads the result of a call, in whatever shape: what is fused goes element by element.
    fn sole_reader(&self, index: usize) -> Option<usize> {
        let out = &self.program.calls[index].outputs[0];
        let &[reader] = &self.readers[out.storage][..] else { return None };
        let call = self.program.calls.get(reader)?;
        let transient = self.program.storages[out.storage].place == Place::Transient;
        let whole = call.inputs.iter().all(|o| o.storage != out.storage || o.shape.len() == out.shape.len());
        (transient && whole && !self.taken[reader]).then_some(reader)
    }

    /// Whether what the call at `index` does can be done at `position` instead: nothing before that changes what it reads.
    fn may_wait<'o>(&self, read: impl IntoIterator<Item = &'o Operand>, index: usize, position: usize) -> bool {
        let arena = |o: &Operand| self.program.arena(o);
        let read: Vec<_> = read.into_iter().filter_map(arena).collect();
        let between = &self.program.calls[index + 1..position];
        !between.iter().flat_map(|c| &c.outputs).filter_map(arena).any(|written| read.contains(&written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Arena, ConvSpec, Store, Tape};

    /// A residual block as it is differentiated, and a layer of a head.
    fn block() -> Program {
        let (mut tape, mut store) = (Tape::new(), Store::new());
        let spec = ConvSpec { stride: 1, pad: 1 };
        let w = store.parameter("w", [4, 4, 3, 3]);
        let [gamma, beta] = ["gamma", "beta"].map(|name| store.parameter(name, [4]));
        let x = store.add("x", [2, 4, 5, 5], Arena::Constants);
        let [x, w, gamma, beta] = [x, w, gamma, beta].map(|id| tape.persistent(&store, id));
        let mut y = tape.conv2d(x, w, spec);
        y = tape.relu(y);
        for residual in [false, true] {
            let z = tape.conv2d(y, w, spec);
            let stats = tape.batch_norm_stats(z);
            let z = tape.batch_norm(z, stats, gamma, beta, 1e-5, true);
            let z = if residual { tape.add(z, y) } else { z };
            y = tape.relu(z);
        }
        let loss = tape.mean(y);
        let gradients = tape.gradients(loss, &[w, gamma, beta]).expect("differentiable");
        gradients.into_iter().flatten().for_each(|g| tape.output(g));
        Program::new(&tape)
    }

    #[test]
    fn patterns_are_found_and_nothing_is_lost() {
        let program = block();
        let alone = units(&program, false, |_| true);
        assert!(alone.iter().map(|u| u.index).eq(0..program.calls.len()), "without fusion all calls in order");
        let fused = units(&program, true, |_| true);
        let count = |f: &dyn Fn(&Unit) -> bool| fused.iter().filter(|u| f(u)).count();
        assert_eq!(count(&|u| u.besides.rectify && u.besides.residual.is_none()), 1, "normalised and rectified");
        assert_eq!(count(&|u| u.besides.rectify && u.besides.residual.is_some()), 1, "with the residual");
        assert_eq!(count(&|u| u.besides.mask.is_some() && u.besides.residual.is_none()), 1, "a gradient rectified");
        assert_eq!(count(&|u| u.besides.mask.is_some() && u.besides.residual.is_some()), 1, "added and rectified");
        assert_eq!(program.calls.len() - fused.len(), 1 + 2 + 1 + 2, "so many calls fewer");
        // Each storage is written before it is read.
        let mut written: Vec<usize> = Vec::new();
        for unit in &fused {
            let besides = [&unit.besides.residual, &unit.besides.mask];
            for o in unit.call.inputs.iter().chain(besides.into_iter().flatten()) {
                let transient = program.storages[o.storage].place == Place::Transient;
                assert!(!transient || written.contains(&o.storage), "{} reads too early", unit.call.op.name());
            }
            written.extend(unit.call.outputs.iter().map(|o| o.storage));
        }
        assert!(program.outputs.iter().all(|o| written.contains(&o.storage)), "every output is computed");
    }

    #[test]
    fn what_others_read_is_not_fused_away() {
        let (mut tape, mut store) = (Tape::new(), Store::new());
        let x = store.add("x", [3, 4], Arena::Constants);
        let w = store.add("w", [1, 2, 4], Arena::Constants);
        let b = store.add("b", [1, 2], Arena::Constants);
        let [x, w, b] = [x, w, b].map(|id| tape.persistent(&store, id));
        let y = tape.linear(x, w, b, crate::tape::Rows::Each, None);
        let z = tape.relu(y);
        tape.output(z);
        assert_eq!(units(&Program::new(&tape), true, |_| true).len(), 1);
        tape.output(y);
        assert_eq!(units(&Program::new(&tape), true, |_| true).len(), 2, "the result itself is wanted");
    }
}
