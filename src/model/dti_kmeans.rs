//! DTI K-means: loss = mean over images of min over k of the squared distance to the k-th transformed prototype
//! (Monnier et al. 2020, equation 4).

use super::transformer::Acting;
use super::{Common, Compared, Model, Objective, Spec, Start};
use crate::nn::{Declare, Mode};
use crate::tape::{Engine, EngineError, PersistentId, Store, Tape, Var};

/// The tensors of a model in a store.
#[derive(Clone, Debug)]
pub struct DtiKmeans {
    common: Common,
    prototypes: PersistentId,
}

impl DtiKmeans {
    /// Declares a model's tensors. Parameters are declared group by group, so that the optimiser can sweep over each.
    pub fn new(store: &mut Store, spec: Spec) -> Self {
        let declare = Declare::new(store);
        // Prototypes get their values from data; see `Model::initialise`.
        let prototypes = declare.store.parameter("prototypes", [spec.k, spec.channels, spec.height, spec.width]);
        DtiKmeans { prototypes, common: Common::new(declare, spec, vec![prototypes]) }
    }

    /// Distances `[B,K]` of x to every prototype, or `[B,1]` to the `winner`, for features of x.
    fn distances(&self, tape: &mut Tape, store: &Store, x: Var, features: Option<Var>, to: Against) -> Var {
        let transformer = &self.common.transformer;
        let predicted = transformer.predict(tape, store, features, to.winner, (to.active, to.mode));
        let prototypes = tape.persistent(store, self.prototypes);
        let source = transformer.apply(tape, store, prototypes, &predicted, Acting::All);
        let weights = self.common.weights(tape, store);
        tape.squared_distance(x, source.image, weights, source.rows, source.index)
    }
}

/// What images are compared with.
#[derive(Clone, Copy)]
struct Against {
    winner: Option<Var>,
    active: usize,
    mode: Mode,
}

impl Model for DtiKmeans {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn objective(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Objective {
        let features = self.common.transformer.features(tape, store, x, active, Mode::Train);
        let distances = self.distances(tape, store, x, features, Against { winner: None, active, mode: Mode::Train });
        let (_, winner) = tape.min_row(distances);
        // Only the winner receives a gradient, so its chain alone is recorded again and differentiated.
        let own = self.distances(tape, store, x, features, Against { winner: Some(winner), active, mode: Mode::Train });
        let loss = tape.mean(own);
        Objective { loss, distances, winner }
    }

    fn evaluate(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Compared {
        let features = self.common.transformer.features(tape, store, x, active, Mode::Eval);
        let distances = self.distances(tape, store, x, features, Against { winner: None, active, mode: Mode::Eval });
        let (minimum, winner) = tape.min_row(distances);
        Compared { distances, minimum, winner, cost: minimum }
    }

    fn write_clusters(&self, store: &Store, engine: &mut dyn Engine, start: &Start) -> Result<(), EngineError> {
        engine.write_f32(&store[self.prototypes], &start.prototypes)
    }
}
