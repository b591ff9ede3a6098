//! Planned memory: transient storages that are never alive together share a slot.

/// What slots hold, as users read it when there is no room for them.
pub const ACTIVATIONS: &str = "activations (a smaller batch_size needs less)";

/// A storage's need: its size in elements and the calls between which it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Elements.
    pub len: usize,
    /// First call that writes it.
    pub first: usize,
    /// Last call that touches it.
    pub last: usize,
}

/// The result of planning: a slot for each storage, and the slots' sizes, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// Slot of each lifetime, in the order given.
    pub slot: Vec<usize>,
    /// Elements of each slot.
    pub len: Vec<usize>,
}

/// Greedy by size: the largest storages choose first, each taking the first slot in which its lifetime is free
/// (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020, section 4.3).
/// With `reuse` off every storage has a slot of its own, to tell a planning fault from a kernel's.
pub fn assign(lifetimes: &[Lifetime], reuse: bool) -> Slots {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lifetimes[i].len), lifetimes[i].first));
    let mut slots = Slots { slot: vec![0; lifetimes.len()], len: Vec::new() };
    let mut tenants: Vec<Vec<Lifetime>> = Vec::new();
    for i in order {
        let life = lifetimes[i];
        let free = |tenants: &Vec<Lifetime>| tenants.iter().all(|t| t.last < life.first || life.last < t.first);
        let slot = match tenants.iter().position(free) {
            Some(slot) if reuse => slot,
            _ => {
                tenants.push(Vec::new());
                slots.len.push(life.len);
                tenants.len() - 1
            }
        };
        tenants[slot].push(life);
        slots.slot[i] = slot;
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(len: usize, first: usize, last: usize) -> Lifetime {
        Lifetime { len, first, last }
    }

    #[test]
    fn a_chain_needs_two_slots() {
        let lives: Vec<_> = (0..10).map(|i| life(100, i, i + 1)).collect();
        let slots = assign(&lives, true);
        assert_eq!(slots.len, [100, 100]);
        assert!(lives.windows(2).enumerate().all(|(i, _)| slots.slot[i] != slots.slot[i + 1]));
    }

    #[test]
    fn a_small_one_fits_a_larger_slot() {
        let slots = assign(&[life(10, 2, 3), life(1000, 0, 1)], true);
        assert_eq!(slots.len, [1000]);
        assert_eq!(assign(&[life(10, 2, 3), life(1000, 0, 1)], false).len, [1000, 10]);
    }

    #[test]
    fn nothing_alive_together_shares_a_slot() {
        // Pseudo-random lifetimes, checked pair by pair.
        let lives: Vec<_> =
            (0..200usize).map(|i| life(1 + i * 7919 % 100, i * 31 % 97, i * 31 % 97 + i * 17 % 13)).collect();
        let slots = assign(&lives, true);
        for i in 0..lives.len() {
            assert!(lives[i].len <= slots.len[slots.slot[i]], "storage {i} fits its slot");
            for j in 0..i {
                let together = lives[i].first <= lives[j].last && lives[j].first <= lives[i].last;
                assert!(!together || slots.slot[i] != slots.slot[j], "storages {i} and {j} share a slot");
            }
        }
        assert!(slots.len.iter().sum::<usize>() < lives.iter().map(|l| l.len).sum::<usize>(), "slots are reused");
    }
}
