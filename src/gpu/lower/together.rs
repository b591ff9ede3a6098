//! Sums that can wait: sums of partial sums, as of weight gradients, several of them as one launch.

use super::launch::Launch;
use super::{Access, Dispatch, Lowered, workgroups};
use crate::tape::{Arena, Place, Storage, Work};
use std::ops::Range;

/// The kernel.
const KERNEL: &str = "sum_parts";
/// Tensors that it has bindings for.
const TENSORS: usize = 7;
/// Elements of a workgroup, and how it slices the parts.
const ELEMENTS: usize = 16;
const SLICES: usize = 16;
/// Partial sums that may wait at most: they keep their memory meanwhile, and should still be in a GPU's second cache.
const WAITING: usize = 1 << 23;

const BEGINS: [&str; TENSORS - 1] = ["begin1", "begin2", "begin3", "begin4", "begin5", "begin6"];
const LENGTHS: [&str; TENSORS] = ["length0", "length1", "length2", "length3", "length4", "length5", "length6"];
const PARTS: [&str; TENSORS] = ["parts0", "parts1", "parts2", "parts3", "parts4", "parts5", "parts6"];
const FIRSTS: [&str; TENSORS] = ["first0", "first1", "first2", "first3", "first4", "first5", "first6"];

/// A sum of all rows of partial sums, into a tensor of an arena.
struct Sum {
    /// Position of its dispatch.
    at: usize,
    /// Storage of the partial sums.
    from: usize,
    parts: usize,
    arena: Arena,
    /// Where the result is in it.
    to: Range<usize>,
}

/// Unites sums whose results nobody looks at before the last of them.
pub fn unite(lowered: &mut Lowered) {
    let mut groups: Vec<Vec<Sum>> = Vec::new();
    let mut open: Vec<Sum> = Vec::new();
    for (at, dispatch) in lowered.dispatches.iter().enumerate() {
        let sum = sum(lowered, at, dispatch);
        let waiting = |sums: &[Sum]| sums.iter().map(|s| s.parts * s.to.len()).sum::<usize>();
        let joins = |sum: &Sum| {
            let others = open.iter().all(|s| s.arena == sum.arena);
            others && open.len() < TENSORS && waiting(&open) + sum.parts * sum.to.len() <= WAITING
        };
        let goes_on = match &sum {
            Some(sum) => joins(sum),
            None => true,
        } && !open.iter().any(|s| touches(lowered, dispatch, s));
        if !goes_on {
            groups.push(std::mem::take(&mut open));
        }
        open.extend(sum);
    }
    groups.push(open);
    let mut dispatches: Vec<Option<Dispatch>> = std::mem::take(&mut lowered.dispatches).into_iter().map(Some).collect();
    for group in groups.iter().filter(|group| group.len() > 1) {
        let members: Vec<Dispatch> = group.iter().filter_map(|sum| dispatches[sum.at].take()).collect();
        let (Some(sum), Some(last)) = (group.last(), members.last()) else { continue };
        let mut united = dispatch(lowered, group);
        united.call = last.call;
        let (flops, bytes) = members.iter().fold((0, 0), |(f, b), m| (f + m.work.flops, b + m.work.bytes));
        united.work = Work { kernel: KERNEL, detail: format!("of {} tensors", group.len()), flops, bytes };
        dispatches[sum.at] = Some(united);
    }
    lowered.dispatches = dispatches.into_iter().flatten().collect();
}

/// A dispatch as a sum that may wait.
fn sum(lowered: &Lowered, at: usize, dispatch: &Dispatch) -> Option<Sum> {
    let param = |name| dispatch.params.iter().find(|p| p.name == name).map(|p| p.bits as usize);
    if dispatch.kernel != "sum_rows" || param("shared_rows") != Some(1) || dispatch.bindings[1].storage.is_some() {
        return None;
    }
    let (from, to) = (dispatch.bindings[0].storage?, dispatch.bindings[2].storage?);
    let Place::Persistent { arena, offset } = lowered.storages[to].place else { return None };
    let transient = lowered.storages[from].place == Place::Transient;
    let (parts, length) = (param("rows")?, param("item")?);
    // With fewer parts most slices have nothing to do.
    (transient && parts >= 2 * SLICES).then_some(Sum { at, from, parts, arena, to: offset..offset + length })
}

/// Whether a dispatch reads or writes where a sum's result will be, or what it sums.
fn touches(lowered: &Lowered, dispatch: &Dispatch, sum: &Sum) -> bool {
    dispatch.bindings.iter().any(|binding| {
        let Some(index) = binding.storage else { return false };
        let storage = &lowered.storages[index];
        match storage.place {
            Place::Persistent { arena, offset } => {
                arena == sum.arena && offset < sum.to.end && sum.to.start < offset + storage.len
            }
            Place::Transient => index == sum.from && binding.access == Access::Write,
        }
    })
}

/// One launch for several sums.
fn dispatch(lowered: &mut Lowered, sums: &[Sum]) -> Dispatch {
    let start = sums.iter().map(|s| s.to.start).min().unwrap_or(0);
    let end = sums.iter().map(|s| s.to.end).max().unwrap_or(0);
    let place = Place::Persistent { arena: sums[0].arena, offset: start };
    lowered.storages.push(Storage { len: end - start, dtype: sums[0].arena.dtype(), place });
    let to = lowered.storages.len() - 1;
    let mut begins = vec![0];
    for sum in sums {
        begins.push(begins[begins.len() - 1] + sum.to.len().div_ceil(ELEMENTS));
    }
    let all = begins[sums.len()];
    begins.resize(TENSORS + 1, all);
    let mut launch = Launch::new(KERNEL).param("groups", all);
    for (name, begin) in BEGINS.into_iter().zip(&begins[1..]) {
        launch = launch.param(name, *begin);
    }
    for (k, names) in LENGTHS.into_iter().zip(PARTS).zip(FIRSTS).enumerate() {
        let ((length, parts), first) = names;
        let [of_length, of_parts, of_first] = sums.get(k).map_or([0; 3], |s| [s.to.len(), s.parts, s.to.start - start]);
        launch = launch.param(length, of_length).param(parts, of_parts).param(first, of_first);
    }
    for k in 0..TENSORS {
        launch = launch.bind(sums.get(k).map(|s| s.from), Access::Read);
    }
    launch.write_storage(to).build(workgroups(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::lower::{Fusion, Variants, lower};
    use crate::tape::{ConvSpec, Program, Store, Tape};

    /// Kernels that sum the weight gradients of convolutions, written into the arena of gradients; a `spy` reads each before the
    /// next is computed.
    fn kernels(layers: usize, spy: bool, fusion: Fusion) -> Vec<&'static str> {
        let (mut tape, mut store) = (Tape::new(), Store::new());
        let x = store.add("x", [8, 4, 32, 32], Arena::Constants);
        let spec = ConvSpec { stride: 1, pad: 1 };
        let x = tape.persistent(&store, x);
        for layer in 0..layers {
            let id = store.parameter(format!("w{layer}"), [4, 4, 3, 3]);
            let w = tape.persistent(&store, id);
            let y = tape.conv2d(x, w, spec);
            let loss = tape.mean(y);
            let gradients = tape.gradients(loss, &[w]).expect("differentiable");
            let place = store.view(id, id, Arena::Gradients);
            tape.store(gradients[0].expect("depends on it"), &store, place);
            if spy {
                let stored = tape.persistent(&store, place);
                let sum = tape.sum(stored, 1.0);
                tape.output(sum);
            }
        }
        let lowered = lower(&Program::new(&tape), fusion, &Variants::default()).expect("lowers");
        let sums = |d: &&Dispatch| ["sum_rows", KERNEL].contains(&d.kernel);
        lowered.dispatches.iter().filter(sums).map(|d| d.kernel).collect()
    }

    #[test]
    fn sums_that_nobody_waits_for_are_one_launch() {
        assert_eq!(kernels(3, false, Fusion::Off), ["sum_rows"; 3]);
        assert_eq!(kernels(3, false, Fusion::Loads), [KERNEL]);
        assert_eq!(kernels(9, false, Fusion::Loads), [KERNEL, KERNEL], "seven, then two");
        assert_eq!(kernels(8, false, Fusion::Loads), [KERNEL, "sum_rows"], "seven, then one");
        assert_eq!(kernels(3, true, Fusion::Loads), ["sum_rows"; 3], "each is waited for");
    }
}
