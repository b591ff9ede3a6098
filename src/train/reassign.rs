//! Empty clusters restart from the largest one (Monnier et al. 2020, section 3.3).

use crate::tape::{Arena, Engine, EngineError, PersistentId, Store};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Standard deviation of the noise on a restarted prototype.
const NOISE: f64 = 1e-4;

/// Which clusters restarted, and from which one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// The restarted clusters.
    pub restarted: Vec<usize>,
    /// The largest cluster.
    pub from: usize,
}

/// Decides: every cluster whose share is below `threshold` / K restarts from the largest. `None` if none does.
pub fn decide(counts: &[u32], threshold: f64) -> Option<Restart> {
    let total: f64 = counts.iter().map(|&c| f64::from(c)).sum();
    let least = threshold / counts.len() as f64;
    // The first of equals, as numpy's argmax.
    let from = (0..counts.len()).rev().max_by_key(|&k| counts[k])?;
    let small = |k: &usize| total > 0.0 && f64::from(counts[*k]) / total < least;
    let restarted: Vec<usize> = (0..counts.len()).filter(small).collect();
    (!restarted.is_empty()).then_some(Restart { restarted, from })
}

/// A tensor whose first axis is the prototype, with its Adam moments.
#[derive(Clone, Copy, Debug)]
pub struct Branch {
    /// The parameter.
    pub parameter: PersistentId,
    /// Its first moments.
    pub moment1: PersistentId,
    /// Its second moments.
    pub moment2: PersistentId,
}

impl Branch {
    /// Finds the moments of a parameter.
    pub fn new(store: &mut Store, parameter: PersistentId) -> Self {
        let mut view = |arena| store.view(parameter, parameter, arena);
        let (moment1, moment2) = (view(Arena::Moment1), view(Arena::Moment2));
        Branch { parameter, moment1, moment2 }
    }
}

/// Copies, by value, the largest cluster's slices of all branches and their moments over those of the restarted ones.
/// Prototypes (the first branch) get noise, the largest cluster's own included.
pub fn apply(
    restart: &Restart,
    branches: &[Branch],
    store: &Store,
    engine: &mut dyn Engine,
    rng: &mut impl Rng,
) -> Result<(), EngineError> {
    for (i, branch) in branches.iter().enumerate() {
        for id in [branch.parameter, branch.moment1, branch.moment2] {
            let tensor = &store[id];
            let mut values = engine.read_f32(tensor)?;
            let slice = tensor.shape.len() / tensor.shape.0[0];
            let source = values[restart.from * slice..][..slice].to_vec();
            let noisy = i == 0 && id == branch.parameter;
            let targets = restart.restarted.iter().chain(noisy.then_some(&restart.from));
            for &k in targets {
                for (to, &from) in values[k * slice..][..slice].iter_mut().zip(&source) {
                    let draw: f64 = if noisy { StandardNormal.sample(rng) } else { 0.0 };
                    *to = from + (NOISE * draw) as f32;
                }
            }
            engine.write_f32(tensor, &values)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_shares_restart_from_the_largest() {
        assert_eq!(decide(&[50, 0, 30, 1], 0.2), Some(Restart { restarted: vec![1, 3], from: 0 }));
        assert_eq!(decide(&[25, 25, 25, 25], 0.2), None);
        assert_eq!(decide(&[0, 0], 0.2), None, "nothing counted yet");
        assert_eq!(decide(&[0, 7, 7], 0.2).map(|r| r.from), Some(1), "the first of equals");
        assert_eq!(decide(&[100, 0], 0.0), None, "switched off");
    }
}
