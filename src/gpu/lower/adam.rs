//! The optimiser: one sweep over groups of parameters that lie side by side.

use super::launch::Launch;
use super::{Lowered, workgroups};
use crate::tape::{ALIGNMENT, Call, Dtype, Op, Operand, Place, Program, Storage};

/// Groups that the kernel tells apart.
const GROUPS: usize = 8;
/// Elements of a workgroup.
const WORKGROUP: usize = 256;
/// The parameters that say where the groups after the first begin.
const BEGINS: [&str; GROUPS - 1] = ["begin1", "begin2", "begin3", "begin4", "begin5", "begin6", "begin7"];

/// The calls after the one at `index` that can share its sweep: steps of Adam with the same rates for the groups that come
/// next in memory and in the schedule.
pub(super) fn neighbours(program: &Program, index: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut decay = decay_of(&program.calls[index]);
    for next in index + 1..program.calls.len().min(index + GROUPS) {
        let (before, call) = (&program.calls[next - 1], &program.calls[next]);
        let other = decay_of(call);
        let one_decay = decay == 0.0 || other == 0.0 || decay == other;
        if !(one_decay && continues(program, before, call)) {
            break;
        }
        decay = decay.max(other);
        found.push(next);
    }
    found
}

fn decay_of(call: &Call) -> f32 {
    match call.op {
        Op::Adam { weight_decay, .. } => weight_decay,
        _ => 0.0,
    }
}

/// Whether `call` is a step of Adam for the group right after that of `before`.
fn continues(program: &Program, before: &Call, call: &Call) -> bool {
    let (Op::Adam { group: a, beta1, beta2, eps, .. }, Op::Adam { group: b, beta1: b1, beta2: b2, eps: e, .. }) =
        (&before.op, &call.op)
    else {
        return false;
    };
    // Arena and first element; and where the next tensor begins, which no tensor's values lie between.
    let place = |o: &Operand| match program.storages[o.storage].place {
        Place::Persistent { arena, offset } => Some((arena, offset)),
        Place::Transient => None,
    };
    let end = |o: &Operand| {
        let (arena, offset) = place(o)?;
        Some((arena, (offset + o.shape.len()).next_multiple_of(ALIGNMENT / arena.dtype().size())))
    };
    let adjoins = |(x, y): (&Operand, &Operand)| place(y).is_some() && end(x) == place(y);
    let same_rates = before.inputs[1..].iter().zip(&call.inputs[1..]).all(|(x, y)| place(x) == place(y));
    let tensors = [(&before.inputs[0], &call.inputs[0])].into_iter().chain(before.outputs.iter().zip(&call.outputs));
    b == &(a + 1) && (beta1, beta2, eps) == (b1, b2, e) && same_rates && tensors.into_iter().all(adjoins)
}

/// One sweep over the group of `call` and the `rest`, its neighbours in order.
pub(super) fn adam(lowered: &mut Lowered, call: &Call, rest: &[Call]) {
    let Op::Adam { group, beta1, beta2, eps, .. } = call.op else { return };
    let groups: Vec<&Call> = [call].into_iter().chain(rest).collect();
    let offset = |c: &Call| match lowered.storages[c.outputs[0].storage].place {
        Place::Persistent { offset, .. } => offset,
        Place::Transient => 0,
    };
    let mut begins: Vec<usize> = groups.iter().map(|c| offset(c) - offset(call)).collect();
    let n = begins[rest.len()] + groups[rest.len()].outputs[0].shape.len();
    begins.resize(GROUPS, n);
    let [columns, _] = call.inputs[1].shape.tail();
    let weight_decay = groups.iter().map(|c| decay_of(c)).fold(0.0, f32::max);
    let decayed = (0..).zip(&groups).map(|(k, c)| usize::from(decay_of(c) > 0.0) << k).sum::<usize>();
    let mut launch = Launch::new("adam").param("n", n).param("steps", call.inputs[1].shape.rows(2));
    launch = launch.param("columns", columns).param("column", group);
    launch = launch.param("beta1", beta1 as f32).param("beta2", beta2 as f32);
    launch = launch.param("rest1", (1.0 - beta1) as f32).param("rest2", (1.0 - beta2) as f32);
    launch = launch.param("eps", eps).param("weight_decay", weight_decay).param("decayed", decayed);
    for (name, begin) in BEGINS.into_iter().zip(&begins[1..]) {
        launch = launch.param(name, *begin);
    }
    let gradient = whole(lowered, &call.inputs[0], n);
    launch = launch.read_storage(gradient).read_all(&call.inputs[1..]);
    for o in &call.outputs {
        let storage = whole(lowered, o, n);
        launch = launch.write_storage(storage);
    }
    launch.groups(lowered, workgroups(n.div_ceil(WORKGROUP)));
}

/// The first `n` elements from where an operand begins.
fn whole(lowered: &mut Lowered, operand: &Operand, n: usize) -> usize {
    if operand.shape.len() == n {
        return operand.storage;
    }
    let place = lowered.storages[operand.storage].place;
    lowered.storages.push(Storage { len: n, dtype: Dtype::F32, place });
    lowered.storages.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{AdamSpec, Arena, Store, Tape};

    /// Steps of Adam for groups of so many elements with decays and columns of the schedule.
    fn steps(groups: &[(usize, f32, usize)]) -> Program {
        let (mut tape, mut store) = (Tape::new(), Store::new());
        let ids: Vec<_> = groups.iter().map(|&(n, ..)| store.parameter("p", [n])).collect();
        let schedule = store.add("schedule", [3, 9, 2], Arena::State);
        let clock = store.add("clock", [2], Arena::Control);
        let [schedule, clock] = [schedule, clock].map(|id| tape.persistent(&store, id));
        for (&id, &(_, weight_decay, column)) in ids.iter().zip(groups) {
            let [p, g, m, v] = [Arena::Parameters, Arena::Gradients, Arena::Moment1, Arena::Moment2].map(|arena| {
                let view = store.view(id, id, arena);
                tape.persistent(&store, view)
            });
            let spec = AdamSpec { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay };
            tape.adam((p, m, v), g, schedule, clock, column, spec);
        }
        Program::new(&tape)
    }

    #[test]
    fn neighbours_share_a_sweep() {
        let found = |groups: &[(usize, f32, usize)]| neighbours(&steps(groups), 0).len();
        assert_eq!(found(&[(5, 0.0, 0), (3, 1e-6, 1), (7, 1e-6, 2)]), 2);
        assert_eq!(found(&[(5, 0.0, 0), (3, 1e-6, 1), (7, 1e-5, 2)]), 1, "two decays");
        assert_eq!(found(&[(5, 0.0, 0), (3, 0.0, 2), (7, 0.0, 3)]), 0, "a column between");
        assert_eq!(found(&[(5, 0.0, 0); 3]), 0, "one column for all");
        let many: Vec<_> = (0..9).map(|k| (4, 0.0, k)).collect();
        assert_eq!(found(&many), GROUPS - 1, "as many as the kernel tells apart");
    }
}
