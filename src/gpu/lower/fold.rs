//! Normalisation folded into loads: a normalised map, or the gradient of a normalisation, is computed from the maps before by
//! the convolutions that load it. It takes a channel's four coefficients, which the kernel that sums over the channel writes
//! with its sums. Where nothing else reads such a map, it is written by no kernel.
//!
//! * `BatchNorm` (, `Relu`), read by `Conv2d`, `Conv2dGradWeight` and the mask of `Conv2dGradInput`
//! * `BatchNormGradInput`, read by `Conv2dGradInput` and `Conv2dGradWeight`
//! * `BatchNorm` (, `Add`), `Relu`, or `BatchNorm` alone, read by `Conv2d` and then by others: the convolution writes it as it loads it
//!
//! All are with the statistics of the batch; `shared/folded_norm.wgsl` has the formulas.

use super::Lowered;
use super::fuse::{Besides, Unit};
use crate::tape::{Call, Op, Operand, Place, Program};

/// A map that is computed as it is loaded.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The storage of the map.
    storage: usize,
    /// What is normalised.
    pub x: Operand,
    /// Mean and variance by which it is.
    pub statistics: Vec<Operand>,
    /// For the gradient of a normalisation, the gradient of its result.
    pub dy: Option<Operand>,
    /// What is added to a normalised map.
    pub residual: Option<Operand>,
    /// Whether a normalised map is rectified.
    pub rectify: bool,
    /// Where it is written by what loads it.
    pub written: Option<Operand>,
    /// Added to variances.
    pub eps: f32,
    /// What it is computed with.
    pub slot: Slot,
}

/// Coefficients of a map, four numbers a channel.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// The storage of all coefficients of a program.
    pub storage: usize,
    /// Channels before.
    pub first: usize,
}

impl Folded {
    /// The map that is loaded in the place of this one.
    pub fn loaded(&self) -> &Operand {
        self.dy.as_ref().unwrap_or(&self.x)
    }

    /// FLOPs and bytes beyond those of a map that is there.
    fn cost(&self) -> (u64, u64) {
        let elements = self.x.shape.len() as u64;
        let [channels, _, _] = self.x.shape.tail();
        let besides = u64::from(self.rectify) + u64::from(self.residual.is_some());
        let flops = if self.dy.is_some() { 5 } else { 3 + besides };
        let others = [self.dy.is_some(), self.residual.is_some(), self.written.is_some()];
        let maps = others.into_iter().map(u64::from).sum::<u64>();
        (flops * elements, 16 * channels as u64 + 4 * maps * elements)
    }
}

/// The coefficients that sums over channels are to write.
#[derive(Clone, Debug)]
pub struct Coefficients {
    /// Scale, and with the statistics shift of the normalisation.
    pub parameters: Vec<Operand>,
    /// Added to variances.
    pub eps: f32,
    /// Where they are written.
    pub slot: Slot,
}

impl Coefficients {
    /// Bytes that they move: what is written, and the parameters.
    pub fn bytes(&self) -> u64 {
        let channels = self.parameters[0].shape.len() as u64;
        4 * channels * (4 + self.parameters.len() as u64)
    }
}

/// The maps that a unit computes as it loads them.
#[derive(Clone, Debug, Default)]
pub struct Folds(Vec<Folded>);

impl Folds {
    /// How an operand is computed; `None` if it is there.
    pub fn of(&self, operand: &Operand) -> Option<&Folded> {
        self.0.iter().find(|f| f.storage == operand.storage)
    }

    /// FLOPs and bytes beyond those of loading an operand.
    pub fn cost(&self, operand: &Operand) -> (u64, u64) {
        self.of(operand).map_or((0, 0), Folded::cost)
    }
}

/// What kernels do with the maps that they load.
pub struct Loading<'a> {
    /// Whether that of a call computes them.
    pub computes: &'a dyn Fn(&Call) -> bool,
    /// Whether it writes them as well, each pixel once.
    pub writes: &'a dyn Fn(&Call) -> bool,
}

/// Folds what can be.
pub fn fold(lowered: &mut Lowered, program: &Program, units: Vec<Unit>, loading: &Loading<'_>) -> Vec<Unit> {
    let mut units: Vec<Option<Unit>> = units.into_iter().map(Some).collect();
    let mut slot = Slot { storage: lowered.workspace(0), first: 0 };
    for at in 0..units.len() {
        let Some(plan) = plan(program, &units, at, loading) else { continue };
        let Plan { summed, readers, parameters, eps, written } = plan;
        let Some(unit) = units[at].take() else { continue };
        let (x, out) = (unit.call.inputs[0].clone(), &unit.call.outputs[0]);
        let dy = is_gradient(&unit).then(|| unit.call.inputs[1].clone());
        let [channels, _, _] = out.shape.tail();
        let maps = 1 + usize::from(dy.is_some());
        let statistics = unit.call.inputs[maps..maps + 2].to_vec();
        let (storage, written) = (out.storage, written.then(|| out.clone()));
        let Besides { residual, rectify, .. } = unit.besides;
        let folded = Folded { storage, x, statistics, dy, residual, rectify, written, eps, slot };
        for (i, unit) in units.iter_mut().enumerate() {
            let Some(unit) = unit else { continue };
            if i == summed {
                let parameters = parameters.clone();
                unit.besides.coefficients = Some(Coefficients { parameters, eps, slot });
            }
            if readers.contains(&i) {
                unit.besides.folds.0.push(folded.clone());
            }
        }
        slot.first += channels;
    }
    lowered.storages[slot.storage].len = 4 * slot.first;
    units.into_iter().flatten().collect()
}

/// How a normalisation can be folded.
struct Plan {
    /// The unit that sums over its channels.
    summed: usize,
    /// Those that load its result.
    readers: Vec<usize>,
    /// Scale and, for a result, shift.
    parameters: Vec<Operand>,
    eps: f32,
    /// Whether the only one of these writes it for others.
    written: bool,
}

fn is_gradient(unit: &Unit) -> bool {
    matches!(unit.call.op, Op::BatchNormGradInput { .. })
}

/// The plan for the unit at a position, if it has one.
fn plan(program: &Program, units: &[Option<Unit>], at: usize, loading: &Loading<'_>) -> Option<Plan> {
    let unit = units[at].as_ref()?;
    let Call { op, inputs, outputs } = &unit.call;
    let gradient = is_gradient(unit);
    let (maps, sums, parameters, summing, eps) = match *op {
        Op::BatchNorm { batch_stats: true, eps } => {
            (&inputs[..1], &inputs[1..3], &inputs[3..5], Op::BatchNormStats, eps)
        }
        Op::BatchNormGradInput { batch_stats: true, eps } => {
            (&inputs[..2], &inputs[5..7], &inputs[4..5], Op::BatchNormGradParams { eps }, eps)
        }
        _ => return None,
    };
    let same = |a: &[Operand], b: &[Operand]| a.iter().zip(b).all(|(a, b)| a.storage == b.storage);
    let sums_here = |u: &Unit| {
        let alike = u.call.op == summing && same(&u.call.outputs, sums) && same(&u.call.inputs, inputs);
        alike && u.besides.coefficients.is_none()
    };
    let summed = units[..at].iter().rposition(|u| u.as_ref().is_some_and(sums_here))?;
    let transient = |o: &Operand| program.storages[o.storage].place == Place::Transient;
    let summing = units[summed].as_ref()?;
    let between = program.calls[summing.index..unit.index].iter().chain(&summing.besides.running);
    let constant = |o: &Operand| !transient(o) && !is_written(program, o, between.clone());
    // Maps are written once, so that they can be read later; parameters are read earlier.
    if !maps.iter().chain(outputs).chain(&unit.besides.residual).all(transient) || !parameters.iter().all(constant) {
        return None;
    }
    let out = &outputs[0];
    let computes = |u: &Unit| loads(u, out, gradient) && (loading.computes)(&u.call);
    let readers: Vec<usize> = (at + 1..units.len()).filter(|&i| units[i].as_ref().is_some_and(computes)).collect();
    let found = |readers, written| Some(Plan { summed, readers, parameters: parameters.to_vec(), eps, written });
    // A fused `Relu` reads another map, that which its unit would have without it.
    let reads: Vec<usize> = (0..program.calls.len())
        .filter(|&i| program.calls[i].inputs.iter().any(|o| o.storage == out.storage))
        .collect();
    let wanted = program.outputs.iter().any(|o| o.storage == out.storage);
    if reads.len() == readers.len() && !reads.is_empty() && !wanted && unit.besides.residual.is_none() {
        return found(readers, false);
    }
    // Fused calls run where their first was, or later.
    let &first = readers.first().filter(|_| !gradient)?;
    let reader = units[first].as_ref()?;
    let is_first = reads.first() == Some(&reader.index);
    if is_first && (loading.writes)(&reader.call) { found(vec![first], true) } else { None }
}

/// Whether a unit loads a map in the one place where its kernel could compute it.
fn loads(unit: &Unit, map: &Operand, gradient: bool) -> bool {
    let is = |o: &Operand| o.storage == map.storage && o.shape == map.shape;
    let [first, second, residual, mask] =
        [unit.call.inputs.first(), unit.call.inputs.get(1), unit.besides.residual.as_ref(), unit.besides.mask.as_ref()]
            .map(|o| o.is_some_and(is));
    let read = [first, second, residual, mask];
    let only = match (&unit.call.op, gradient) {
        (Op::Conv2d(_) | Op::Conv2dGradWeight(_), false) | (Op::Conv2dGradInput(_), true) => 0,
        (Op::Conv2dGradWeight(_), true) => 1,
        (Op::Conv2dGradInput(_), false) if unit.call.outputs[0].shape == map.shape => 3,
        _ => return false,
    };
    (0..read.len()).all(|i| read[i] == (i == only))
}

/// Whether one of these calls writes to the arena of a parameter.
fn is_written<'c>(program: &Program, parameter: &Operand, mut calls: impl Iterator<Item = &'c Call>) -> bool {
    let arena = program.arena(parameter);
    calls.any(|call| call.outputs.iter().any(|o| arena.is_some() && program.arena(o) == arena))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::lower::{Dispatch, Fusion, Lowered, TILED, Variants, lower};
    use crate::tape::{Arena, ConvSpec, Store, Tape};

    /// conv - norm - relu - conv - norm - conv, differentiated. `spy` adds a reader of the rectified map, which is then
    /// wanted whole; with `moving` a scale is changed before it is used.
    fn program(spy: bool, moving: bool) -> Program {
        let (mut tape, mut store) = (Tape::new(), Store::new());
        let x = store.add("x", [2, 4, 5, 5], Arena::Constants);
        let spec = ConvSpec { stride: 1, pad: 1 };
        let w = store.parameter("w", [4, 4, 3, 3]);
        let [gamma, beta] = ["gamma", "beta"].map(|name| store.parameter(name, [4]));
        let [x, w, scale, beta] = [x, w, gamma, beta].map(|id| tape.persistent(&store, id));
        let normalised = |tape: &mut Tape, x| {
            let y = tape.conv2d(x, w, spec);
            let stats = tape.batch_norm_stats(y);
            if moving {
                let changed = tape.relu(beta);
                tape.store(changed, &store, gamma);
            }
            tape.batch_norm(y, stats, scale, beta, 1e-5, true)
        };
        let y = normalised(&mut tape, x);
        let y = tape.relu(y);
        if spy {
            let sum = tape.sum(y, 1.0);
            tape.output(sum);
        }
        let y = normalised(&mut tape, y);
        let y = tape.conv2d(y, w, spec);
        let loss = tape.mean(y);
        let gradients = tape.gradients(loss, &[w]).expect("differentiable");
        gradients.into_iter().flatten().for_each(|g| tape.output(g));
        Program::new(&tape)
    }

    fn count(lowered: &Lowered, kernel: &str) -> usize {
        lowered.dispatches.iter().filter(|d| d.kernel == kernel).count()
    }

    #[test]
    fn normalisations_between_convolutions_have_no_kernel() {
        let folded = |program: &Program, fusion, variants: &Variants| {
            let lowered = lower(program, fusion, variants).expect("lowers");
            [count(&lowered, "batch_norm"), count(&lowered, "batch_norm_grad_input")]
        };
        let tiled = Variants::all(TILED);
        assert_eq!(folded(&program(false, false), Fusion::Loads, &tiled), [0, 0], "all");
        assert_eq!(folded(&program(false, false), Fusion::Results, &tiled), [2, 2], "switched off");
        assert_eq!(folded(&program(false, false), Fusion::Loads, &Variants::default()), [2, 2], "plain kernels do not");
        assert_eq!(folded(&program(true, false), Fusion::Loads, &tiled), [1, 0], "a map that others read as well");
        assert_eq!(folded(&program(false, true), Fusion::Loads, &tiled)[0], 2, "a scale that changes in between");
    }

    #[test]
    fn a_map_that_others_read_is_written_by_the_first() {
        let (mut tape, mut store) = (Tape::new(), Store::new());
        let spec = ConvSpec { stride: 1, pad: 1 };
        let x = store.add("x", [2, 4, 5, 5], Arena::Constants);
        let w = store.parameter("w", [4, 4, 3, 3]);
        let [gamma, beta] = ["gamma", "beta"].map(|name| store.parameter(name, [4]));
        let [x, w, gamma, beta] = [x, w, gamma, beta].map(|id| tape.persistent(&store, id));
        // Two residual blocks of one convolution.
        let mut y = tape.conv2d(x, w, spec);
        for _ in 0..2 {
            let z = tape.conv2d(y, w, spec);
            let stats = tape.batch_norm_stats(z);
            let z = tape.batch_norm(z, stats, gamma, beta, 1e-5, true);
            let z = tape.add(z, y);
            y = tape.relu(z);
        }
        let y = tape.global_avg_pool(y);
        tape.output(y);
        let lowered = lower(&Program::new(&tape), Fusion::Loads, &Variants::all(TILED)).expect("lowers");
        assert_eq!(count(&lowered, "batch_norm"), 1, "the last, which no convolution reads");
        let writes = |d: &&Dispatch| d.constants.contains(&("WRITES", 1.0));
        let writer = lowered.dispatches.iter().find(writes).expect("the second block");
        assert!(writer.constants.contains(&("RESIDUAL", 1.0)) && writer.constants.contains(&("RECTIFY", 1.0)));
        assert_eq!(lowered.dispatches.iter().filter(writes).count(), 1);
    }

    #[test]
    fn sums_over_channels_begin_in_the_convolutions() {
        // A convolution, the merge of its parts; nothing reads the map in between.
        let lowered = lower(&program(false, false), Fusion::Loads, &Variants::all(TILED)).expect("lowers");
        let set = |d: &Dispatch, name| d.constants.iter().any(|&(n, value)| n == name && value == 1.0);
        let merges = |kernel| {
            let all: Vec<_> = lowered.dispatches.iter().filter(|d| d.kernel == kernel).collect();
            let stage = |d: &&&Dispatch| d.constants.contains(&("STAGE", 2.0));
            (all.len(), all.iter().filter(stage).count())
        };
        assert_eq!(merges("batch_norm_stats"), (2, 2), "of both results");
        let summing = |kernel| lowered.dispatches.iter().filter(|d| d.kernel == kernel && set(d, "SUMS")).count();
        assert_eq!(summing("conv2d_tiled"), 2, "the last is not normalised");
        // The second normalisation is not rectified, so its gradient comes from a kernel without a mask.
        assert_eq!(merges("batch_norm_grad_params"), (2, 1), "of the rectified one");
        assert_eq!(summing("conv2d_grad_input_tiled"), 1);
    }
}
