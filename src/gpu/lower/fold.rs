//! Normalisation folded into loads: a normalised map that only convolutions read, and the gradient of a normalisation, are
//! written by no kernel; what reads them computes them from the maps before as it loads. It takes a channel's four
//! coefficients, which the kernel that sums over the channel writes with its sums.
//!
//! * `BatchNorm` (, `Relu`), read by `Conv2d`, `Conv2dGradWeight` and the mask of `Conv2dGradInput`
//! * `BatchNormGradInput`, read by `Conv2dGradInput` and `Conv2dGradWeight`
//!
//! Both are with the statistics of the batch; `shared/folded_norm.wgsl` has the formulas.

use super::Lowered;
use super::fuse::Unit;
use crate::tape::{Call, Op, Operand, Place, Program};
use std::ops::Range;

/// A map that is computed as it is loaded.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The storage that would have been written.
    storage: usize,
    /// What is normalised.
    pub x: Operand,
    /// For the gradient of a normalisation, the gradient of its result.
    pub dy: Option<Operand>,
    /// Whether a normalised map is rectified.
    pub rectify: bool,
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
        let (flops, other) = if self.dy.is_some() { (5, 4 * elements) } else { (3 + u64::from(self.rectify), 0) };
        (flops * elements, 16 * channels as u64 + other)
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

/// What a unit loads that nobody writes.
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

/// Folds what can be; `takes` tells whether the kernel of a unit computes maps as it loads them.
pub fn fold(lowered: &mut Lowered, program: &Program, units: Vec<Unit>, takes: impl Fn(&Unit) -> bool) -> Vec<Unit> {
    let mut units: Vec<Option<Unit>> = units.into_iter().map(Some).collect();
    let mut slot = Slot { storage: lowered.workspace(0), first: 0 };
    for at in 0..units.len() {
        let Some(Plan { summed, readers, parameters, eps }) = plan(program, &units, at, &takes) else { continue };
        let Some(unit) = units[at].take() else { continue };
        let (x, out) = (unit.call.inputs[0].clone(), &unit.call.outputs[0]);
        let dy = is_gradient(&unit).then(|| unit.call.inputs[1].clone());
        let [channels, _, _] = out.shape.tail();
        let folded = Folded { storage: out.storage, x, dy, rectify: unit.after.rectify, eps, slot };
        for (i, unit) in units.iter_mut().enumerate() {
            let Some(unit) = unit else { continue };
            if i == summed {
                let parameters = parameters.clone();
                unit.after.coefficients = Some(Coefficients { parameters, eps, slot });
            }
            if readers.contains(&i) {
                unit.after.folds.0.push(folded.clone());
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
}

fn is_gradient(unit: &Unit) -> bool {
    matches!(unit.call.op, Op::BatchNormGradInput { .. })
}

/// The plan for the unit at a position, if it has one.
fn plan(program: &Program, units: &[Option<Unit>], at: usize, takes: impl Fn(&Unit) -> bool) -> Option<Plan> {
    let unit = units[at].as_ref()?;
    let Call { op, inputs, outputs } = &unit.call;
    let gradient = is_gradient(unit);
    let (maps, sums, parameters, summing, eps) = match *op {
        Op::BatchNorm { batch_stats: true, eps } if unit.after.residual.is_none() => {
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
        alike && u.after.coefficients.is_none()
    };
    let summed = units[..at].iter().rposition(|u| u.as_ref().is_some_and(sums_here))?;
    let transient = |o: &Operand| program.storages[o.storage].place == Place::Transient;
    let from = units[summed].as_ref()?.index;
    let constant = |o: &Operand| !transient(o) && !is_written(program, o, from..unit.index);
    // Maps are written once, so that they can be read later; parameters are read earlier.
    if !maps.iter().chain(outputs).all(transient) || !parameters.iter().all(constant) {
        return None;
    }
    let out = &outputs[0];
    let readers: Vec<usize> = (at + 1..units.len())
        .filter(|&i| units[i].as_ref().is_some_and(|u| loads(u, out, gradient) && takes(u)))
        .collect();
    let reads = program.calls.iter().filter(|c| c.inputs.iter().any(|o| o.storage == out.storage)).count();
    // A fused `Relu` reads the normalised map that its unit has as its own.
    let all = reads == readers.len() && !program.outputs.iter().any(|o| o.storage == out.storage);
    (all && reads > 0).then(|| Plan { summed, readers, parameters: parameters.to_vec(), eps })
}

/// Whether a unit loads a map in the one place where its kernel could compute it.
fn loads(unit: &Unit, map: &Operand, gradient: bool) -> bool {
    let is = |o: &Operand| o.storage == map.storage && o.shape == map.shape;
    let [first, second, residual, mask] =
        [unit.call.inputs.first(), unit.call.inputs.get(1), unit.after.residual.as_ref(), unit.after.mask.as_ref()]
            .map(|o| o.is_some_and(is));
    let read = [first, second, residual, mask];
    let only = match (&unit.call.op, gradient) {
        (Op::Conv2d(_) | Op::Conv2dGradWeight(_), false) | (Op::Conv2dGradInput(_), true) => 0,
        (Op::Conv2dGradWeight(_), true) => 1,
        (Op::Conv2dGradInput(_), false) => 3,
        _ => return false,
    };
    (0..read.len()).all(|i| read[i] == (i == only))
}

/// Whether one of these calls writes to the arena of a parameter.
fn is_written(program: &Program, parameter: &Operand, calls: Range<usize>) -> bool {
    let arena = |o: &Operand| match program.storages[o.storage].place {
        Place::Persistent { arena, .. } => Some(arena),
        Place::Transient => None,
    };
    program.calls[calls].iter().flat_map(|c| &c.outputs).any(|o| arena(o).is_some() && arena(o) == arena(parameter))
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
