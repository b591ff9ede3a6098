//! What all models have: clusters, the network that transforms them, weights of pixels.

use super::transformer::{Acting, Transformer};
use super::{Spec, gaussian_weights};
use crate::nn::{Declare, Initial, Mode};
use crate::tape::{Engine, EngineError, PersistentId, Store, Tape, Var};

/// The part of a model that does not depend on what it minimises.
#[derive(Clone, Debug)]
pub struct Common {
    /// What the model is made of.
    pub spec: Spec,
    /// Parameters of the clusters, prototypes first; the first axis of each is the cluster.
    pub clusters: Vec<PersistentId>,
    /// Encoder, heads, transformations.
    pub transformer: Transformer,
    /// Starting values of encoder and heads.
    pub initial: Initial,
    weights: Option<PersistentId>,
}

impl Common {
    /// Declares what comes after the `clusters`, which are declared already.
    pub fn new(mut declare: Declare, spec: Spec, clusters: Vec<PersistentId>) -> Self {
        let item = [spec.channels, spec.height, spec.width];
        let weights = spec.gaussian_weights.map(|_| declare.constant("loss_weights", item));
        let transformer = Transformer::new(&mut declare, &spec);
        Common { clusters, transformer, initial: declare.initial, weights, spec }
    }

    /// Weights of the pixels `[C,H,W]`, if there are any.
    pub fn weights(&self, tape: &mut Tape, store: &Store) -> Option<Var> {
        self.weights.map(|id| tape.persistent(store, id))
    }

    /// Writes what is neither trained nor stored in checkpoints.
    pub fn write_constants(&self, store: &Store, engine: &mut dyn Engine) -> Result<(), EngineError> {
        let Spec { channels, height, width, .. } = self.spec;
        if let (Some(id), Some(std)) = (self.weights, self.spec.gaussian_weights) {
            engine.write_f32(&store[id], &gaussian_weights(channels, height, width, std))?;
        }
        self.transformer.write_constants(store, engine)
    }

    /// Prototypes transformed for each of the images x `[B,C,H,W]` in evaluation mode `[B,K,C,H,W]`.
    pub fn transformed(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Var {
        let features = self.transformer.features(tape, store, x, active, Mode::Eval);
        let predicted = self.transformer.predict(tape, store, features, None, (active, Mode::Eval));
        let prototypes = tape.persistent(store, self.clusters[0]);
        self.transformer.apply(tape, store, prototypes, &predicted, Acting::All).image
    }
}
