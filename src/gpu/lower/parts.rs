//! Sums over channels that begin where a map is computed: its kernel writes those of each tile, and the kernel of the sums
//! reads no map, it only merges them.
//!
//! * `Conv2d`, `BatchNormStats` of its result
//! * `Conv2dGradInput` with a folded mask, `BatchNormGradParams` of that normalisation

use super::Lowered;
use super::fold::Folded;
use super::fuse::Unit;
use crate::tape::{Call, Op, Operand};

/// Parts of the sums over channels: two for each channel and split, and how many values a split has, `[2, C, splits]` and
/// `[splits]`.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where they are.
    pub storage: usize,
    /// Into how many parts the values of a channel are divided.
    pub splits: usize,
}

impl Parts {
    /// Room for them.
    pub fn new(lowered: &mut Lowered, channels: usize, splits: usize) -> Self {
        Parts { storage: lowered.workspace((2 * channels + 1) * splits), splits }
    }

    /// FLOPs and bytes of a call that would have these without parts: those that write them sum besides, the sums read parts in
    /// the place of maps.
    pub fn cost(&self, call: &Call, (flops, bytes): (u64, u64)) -> (u64, u64) {
        let map = |o: &Operand| o.shape.len() as u64;
        let maps = match call.op {
            Op::BatchNormStats => &call.inputs[..1],
            Op::BatchNormGradParams { .. } => &call.inputs[..2],
            _ => {
                let [channels, _, _] = call.outputs[0].shape.tail();
                return (flops + 4 * map(&call.outputs[0]), bytes + self.bytes(channels));
            }
        };
        let [channels, _, _] = call.inputs[0].shape.tail();
        let read: u64 = maps.iter().map(|o| 4 * map(o)).sum();
        // A mean, a deviation and its square, or two sums.
        let flops = if maps.len() == 1 { 7 } else { 2 } * (channels * self.splits) as u64;
        (flops, bytes - read + self.bytes(channels))
    }

    fn bytes(&self, channels: usize) -> u64 {
        4 * ((2 * channels + 1) * self.splits) as u64
    }
}

/// Has parts written where `splits` tells into how many the kernel of a call divides its result.
pub fn share(lowered: &mut Lowered, units: &mut [Unit], splits: impl Fn(&Call) -> Option<usize>) {
    for at in 0..units.len() {
        let Some(writer) = units[..at].iter().rposition(|unit| writes(unit, &units[at])) else { continue };
        let Some(splits) = splits(&units[writer].call) else { continue };
        let [channels, _, _] = units[writer].call.outputs[0].shape.tail();
        let parts = Parts::new(lowered, channels, splits);
        units[writer].besides.parts = Some(parts.clone());
        units[at].besides.parts = Some(parts);
    }
}

/// Whether a unit computes the map that another sums over, and what else its sums need.
fn writes(unit: &Unit, sums: &Unit) -> bool {
    let (map, inputs) = (&unit.call.outputs[0], &sums.call.inputs);
    // In the same shape: another one would have other channels.
    let same = |a: &Operand, b: &Operand| a.storage == b.storage && a.shape == b.shape;
    let alike = match (&unit.call.op, &sums.call.op) {
        (Op::Conv2d(_), Op::BatchNormStats) => same(map, &inputs[0]),
        (Op::Conv2dGradInput(_), &Op::BatchNormGradParams { eps }) => {
            let normalised = unit.besides.mask.as_ref().and_then(|mask| unit.besides.folds.of(mask));
            let by_these = |f: &Folded| {
                let statistics = f.statistics.iter().zip(&inputs[2..4]).all(|(a, b)| same(a, b));
                same(&f.x, &inputs[0]) && statistics && f.eps == eps
            };
            same(map, &inputs[1]) && normalised.is_some_and(by_these)
        }
        _ => false,
    };
    alike && unit.besides.parts.is_none()
}
