//! DTI GMM: a Gaussian mixture whose means and standard deviations are transformed for each image, trained by gradient
//! steps on the expected complete log-likelihood (Monnier et al. 2020, section 3.4).

use super::transformer::Acting;
use super::{Common, Compared, Model, Objective, Spec, Start};
use crate::nn::{Declare, Mode};
use crate::tape::{Engine, EngineError, PersistentId, Store, Tape, Var};

/// The tensors of a model in a store.
#[derive(Clone, Debug)]
pub struct DtiGmm {
    common: Common,
    means: PersistentId,
    deviations: PersistentId,
    mixing: PersistentId,
}

/// Logits of the mixing weights at the start.
const MIXING: f32 = 1.0;

/// A batch under the mixture.
struct Likelihood {
    /// -log N(x_i; k) `[B,K]`.
    distances: Var,
    /// -sum over k of gamma_ik (log N_ik + log pi_k) `[B]`.
    cost: Var,
}

impl DtiGmm {
    /// Declares a model's tensors under the published names. Parameters are declared group by group, so that the
    /// optimiser can sweep over each.
    pub fn new(store: &mut Store, spec: Spec) -> Self {
        let declare = Declare::new(store);
        let images = [spec.k, spec.channels, spec.height, spec.width];
        // These get their values from data; see `Model::initialise`.
        let means = declare.store.parameter("mus", images);
        let deviations = declare.store.parameter("sigmas", images);
        let mixing = declare.store.parameter("mixing_params", [spec.k]);
        DtiGmm { means, deviations, mixing, common: Common::new(declare, spec, vec![means, deviations, mixing]) }
    }

    fn likelihood(&self, tape: &mut Tape, store: &Store, x: Var, active: usize, mode: Mode) -> Likelihood {
        let transformer = &self.common.transformer;
        let features = transformer.features(tape, store, x, active, mode);
        let predicted = transformer.predict(tape, store, features, None, (active, mode));
        let [means, deviations, mixing] =
            [self.means, self.deviations, self.mixing].map(|id| tape.persistent(store, id));
        // Deviations follow the pixels that they belong to; changes of value are the mean's alone.
        let mean = transformer.apply(tape, store, means, &predicted, Acting::All);
        let deviation = transformer.apply(tape, store, deviations, &predicted, Acting::Spatial);
        let weights = self.common.weights(tape, store);
        let (mean, deviation) = ((mean.image, mean.rows), (deviation.image, deviation.rows));
        let distances = tape.neg_log_normal(x, mean, deviation, weights, None, self.common.spec.min_variance);
        let mixing = tape.log_softmax(mixing);
        let responsibilities = tape.responsibilities(distances, mixing);
        let cost = tape.expected_cost(responsibilities, distances, mixing);
        Likelihood { distances, cost }
    }
}

impl Model for DtiGmm {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn objective(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Objective {
        let Likelihood { distances, cost } = self.likelihood(tape, store, x, active, Mode::Train);
        let (_, winner) = tape.min_row(distances);
        let loss = tape.mean(cost);
        Objective { loss, distances, winner }
    }

    fn evaluate(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Compared {
        let Likelihood { distances, cost } = self.likelihood(tape, store, x, active, Mode::Eval);
        // By the likelihood alone, without the mixing weights.
        let (minimum, winner) = tape.min_row(distances);
        Compared { distances, minimum, winner, cost }
    }

    fn mixture(&self) -> Option<[PersistentId; 2]> {
        Some([self.deviations, self.mixing])
    }

    fn write_clusters(&self, store: &Store, engine: &mut dyn Engine, start: &Start) -> Result<(), EngineError> {
        engine.write_f32(&store[self.means], &start.prototypes)?;
        engine.write_f32(&store[self.deviations], &start.deviations)?;
        engine.write_f32(&store[self.mixing], &vec![MIXING; self.common.spec.k])
    }
}
