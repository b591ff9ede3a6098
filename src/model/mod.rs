//! Models: what is minimised.

mod common;
mod dti_gmm;
mod dti_kmeans;
mod spec;
mod transformer;
mod weights;

pub use common::Common;
pub use dti_gmm::DtiGmm;
pub use dti_kmeans::DtiKmeans;
pub use spec::{Kind, Spec, UnknownModel};
pub use transformer::{Acting, Predicted, Transformer};
pub use weights::gaussian_weights;

use crate::tape::{Engine, EngineError, PersistentId, Store, Tape, Var};
use rand::Rng;

/// What a training step minimises and what it learns about the batch.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    /// What is minimised, shape `[1]`.
    pub loss: Var,
    /// Distances `[B,K]`, without gradient where the model needs none.
    pub distances: Var,
    /// Nearest prototype u32 `[B]`.
    pub winner: Var,
}

/// A batch compared with the prototypes, for evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// Distances `[B,K]`: squared, or -log N in a mixture.
    pub distances: Var,
    /// Smallest distance `[B]`.
    pub minimum: Var,
    /// Nearest prototype u32 `[B]`.
    pub winner: Var,
    /// What each image adds to the loss `[B]`.
    pub cost: Var,
}

/// Values that clusters start from.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Prototypes, or means of a mixture `[K,C,H,W]`.
    pub prototypes: Vec<f32>,
    /// Standard deviations of a mixture `[K,C,H,W]`; other models do not look at them.
    pub deviations: Vec<f32>,
}

/// Parameters that the optimiser treats alike, declared one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// In the order of declaration.
    pub parameters: Vec<PersistentId>,
    /// Whether weight decay applies.
    pub decayed: bool,
}

/// Prototypes that are transformed for each image: what training, evaluation and checkpoints need of a model.
pub trait Model {
    /// What all models have.
    fn common(&self) -> &Common;

    /// What all models have, to change it.
    fn common_mut(&mut self) -> &mut Common;

    /// The loss of images x `[B,C,H,W]` with the first `active` transformations after the identity, in training mode.
    fn objective(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Objective;

    /// Images x `[B,C,H,W]` compared with all prototypes, in evaluation mode.
    fn evaluate(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Compared;

    /// Writes the values that clusters start from.
    fn write_clusters(&self, store: &Store, engine: &mut dyn Engine, start: &Start) -> Result<(), EngineError>;

    /// What it is made of.
    fn spec(&self) -> &Spec {
        &self.common().spec
    }

    /// The prototypes `[K,C,H,W]`.
    fn prototypes(&self) -> PersistentId {
        self.common().clusters[0]
    }

    /// Standard deviations `[K,C,H,W]` and logits of the mixing weights `[K]` of a mixture.
    fn mixture(&self) -> Option<[PersistentId; 2]> {
        None
    }

    /// Writes starting values: of the clusters as given, of encoder and heads drawn from `rng`.
    fn initialise(
        &self,
        store: &Store,
        engine: &mut dyn Engine,
        start: &Start,
        rng: &mut dyn Rng,
    ) -> Result<(), EngineError> {
        self.write_constants(store, engine)?;
        self.write_clusters(store, engine, start)?;
        for (id, init) in &self.common().initial {
            let tensor = &store[*id];
            engine.write_f32(tensor, &init.draw(tensor.shape.len(), rng))?;
        }
        Ok(())
    }

    /// Writes what is neither trained nor stored in checkpoints.
    fn write_constants(&self, store: &Store, engine: &mut dyn Engine) -> Result<(), EngineError> {
        self.common().write_constants(store, engine)
    }

    /// Prototype `winner` u32 `[B]` of each image x `[B,C,H,W]` after each of the `active` transformations, `[B,C,H,W]`
    /// each, in evaluation mode. The last is the prototype aligned to the image; while only the identity is active
    /// there is none.
    fn align(&self, tape: &mut Tape, store: &Store, x: Var, winner: Var, active: usize) -> Vec<Var> {
        let prototypes = tape.persistent(store, self.prototypes());
        self.common().transformer.chain(tape, store, (x, prototypes, winner), active)
    }

    /// All prototypes transformed for each of the images x `[B,C,H,W]`, in evaluation mode -> `[B,K,C,H,W]`.
    fn transformed(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Var {
        assert!(active > 0, "the identity alone transforms nothing");
        self.common().transformed(tape, store, x, active)
    }

    /// The optimiser's groups while `active` transformations are: clusters, encoder, heads of each.
    fn groups(&self, active: usize) -> Vec<Group> {
        let clusters = Group { parameters: self.common().clusters.clone(), decayed: false };
        let network = self.common().transformer.parameters(active).into_iter();
        let network = network.map(|parameters| Group { parameters, decayed: true });
        std::iter::once(clusters).chain(network).collect()
    }

    /// Tensors whose first axis is the prototype: what moves when a cluster is restarted. The prototypes come first.
    fn per_prototype(&self) -> Vec<PersistentId> {
        let Common { clusters, transformer, .. } = self.common();
        clusters.iter().copied().chain(transformer.per_prototype()).collect()
    }

    /// Everything that a checkpoint holds: parameters and running statistics.
    fn state(&self) -> Vec<PersistentId> {
        let Common { clusters, initial, .. } = self.common();
        clusters.iter().copied().chain(initial.iter().map(|(id, _)| *id)).collect()
    }
}
