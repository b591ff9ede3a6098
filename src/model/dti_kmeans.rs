//! DTI K-means: loss = mean over images of min over k of the squared distance to the k-th transformed prototype
//! (Monnier et al. 2020, equation 4).

use super::gaussian_weights;
use crate::nn::{Declare, Encoder, EncoderKind, Heads, Initial, Mode, STACKED};
use crate::tape::{Arena, Engine, EngineError, Padding, PersistentId, Rows, Store, Tape, Var};
use crate::warp::{Module, Options, Sequence, Source, Transformation};
use rand::Rng;

/// What a model is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Number of prototypes.
    pub k: usize,
    /// Channels of the images.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Network that reads the images.
    pub encoder: EncoderKind,
    /// Transformations after the identity.
    pub sequence: Sequence,
    /// Sizes of the transformations.
    pub options: Options,
    /// What warps read outside a prototype.
    pub padding: Padding,
    /// Standard deviation in pixels of Gaussian weights on the distance.
    pub gaussian_weights: Option<f64>,
}

/// The tensors of a model in a store.
#[derive(Clone, Debug)]
pub struct DtiKmeans {
    /// What it is made of.
    pub spec: Spec,
    prototypes: PersistentId,
    encoder: Option<Encoder>,
    stages: Vec<Stage>,
    weights: Option<PersistentId>,
    initial: Initial,
}

/// A transformation of the sequence with the heads that predict its parameters.
#[derive(Clone, Debug)]
struct Stage {
    module: Module,
    options: Options,
    heads: Heads,
    constants: Vec<PersistentId>,
}

impl Stage {
    fn transformation(&self) -> Box<dyn Transformation> {
        self.module.transformation(self.options)
    }

    /// Transforms the source image of each row.
    fn apply(&self, tape: &mut Tape, store: &Store, source: Source, beta: Var, padding: Padding) -> Source {
        let constants: Vec<Var> = self.constants.iter().map(|&id| tape.persistent(store, id)).collect();
        Source::own(self.transformation().apply(tape, source, beta, &constants, padding))
    }
}

/// What a training step minimises and what it learns about the batch.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    /// Mean distance to the winner, shape [1]; its gradient runs through the winner's transformations only.
    pub loss: Var,
    /// Distances [B,K], without gradient.
    pub distances: Var,
    /// Smallest distance [B], without gradient.
    pub minimum: Var,
    /// Winner u32 [B].
    pub winner: Var,
}

/// A batch compared with the prototypes, for evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// Distances [B,K].
    pub distances: Var,
    /// Smallest distance [B].
    pub minimum: Var,
    /// Winner u32 [B].
    pub winner: Var,
}

impl DtiKmeans {
    /// Declares a model's tensors. Parameters are declared group by group, so that the optimiser can sweep over each.
    pub fn new(store: &mut Store, spec: Spec) -> Self {
        let item = [spec.channels, spec.height, spec.width];
        let weights = spec.gaussian_weights.map(|_| store.add("loss_weights", item, Arena::Constants));
        let mut declare = Declare::new(store);
        // Prototypes get their values from data; see `initialise`.
        let prototypes = declare.store.parameter("prototypes", [spec.k, item[0], item[1], item[2]]);
        let sequence = &spec.sequence.0;
        let encoder = (!sequence.is_empty())
            .then(|| Encoder::new(&mut declare, "transformer.encoder.encoder", spec.encoder, spec.channels));
        let stages = sequence.iter().enumerate().map(|(t, &module)| {
            let name = format!("transformer.tsf_sequences.{STACKED}.tsf_modules.{}", t + 1);
            let transformation = module.transformation(spec.options);
            let outputs = transformation.parameters(spec.channels);
            let regressor = format!("{name}.regressor");
            let heads = Heads::new(&mut declare, &regressor, spec.k, spec.encoder.features(), outputs);
            let constants = transformation.constants(spec.height, spec.width).into_iter();
            let constants =
                constants.map(|c| declare.store.add(format!("{name}.{}", c.name), c.shape, Arena::Constants));
            Stage { module, options: spec.options, heads, constants: constants.collect() }
        });
        let stages = stages.collect();
        let initial = declare.initial;
        DtiKmeans { spec, prototypes, encoder, stages, weights, initial }
    }

    /// The same tensors with the hard limits of morphology (see [`Options`]): for evaluation, as these have no gradient.
    pub fn with_hard_morphology(&self) -> Self {
        let mut model = self.clone();
        model.spec.options.hard_morphology = true;
        model.stages.iter_mut().for_each(|stage| stage.options.hard_morphology = true);
        model
    }

    /// Writes starting values: the given prototypes [K,C,H,W], and encoder and heads drawn from `rng`.
    pub fn initialise(
        &self,
        store: &Store,
        engine: &mut dyn Engine,
        prototypes: &[f32],
        rng: &mut impl Rng,
    ) -> Result<(), EngineError> {
        self.write_constants(store, engine)?;
        engine.write_f32(&store[self.prototypes], prototypes)?;
        for (id, init) in &self.initial {
            let tensor = &store[*id];
            engine.write_f32(tensor, &init.draw(tensor.shape.len(), rng))?;
        }
        Ok(())
    }

    /// Writes what is neither trained nor stored in checkpoints.
    pub fn write_constants(&self, store: &Store, engine: &mut dyn Engine) -> Result<(), EngineError> {
        let Spec { channels, height, width, .. } = self.spec;
        if let (Some(id), Some(std)) = (self.weights, self.spec.gaussian_weights) {
            engine.write_f32(&store[id], &gaussian_weights(channels, height, width, std))?;
        }
        for stage in &self.stages {
            let constants = stage.transformation().constants(height, width);
            for (&id, constant) in stage.constants.iter().zip(&constants) {
                engine.write_f32(&store[id], &constant.values)?;
            }
        }
        Ok(())
    }

    /// The loss of images x [B,C,H,W] with the first `active` transformations after the identity, in training mode.
    pub fn objective(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Objective {
        let features = self.features(tape, store, x, active, Mode::Train);
        let distances = self.distances(tape, store, x, features, active);
        let (minimum, winner) = tape.min_row(distances);
        // Only the winner receives a gradient, so its chain alone is recorded again and differentiated.
        let aligned = self.chain(tape, store, features, Some(winner), active);
        let weights = self.weights.map(|id| tape.persistent(store, id));
        let own = tape.squared_distance(x, aligned.image, weights, aligned.rows, aligned.index);
        let loss = tape.mean(own);
        Objective { loss, distances, minimum, winner }
    }

    /// Images x [B,C,H,W] compared with all prototypes, in evaluation mode.
    pub fn evaluate(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Compared {
        let features = self.features(tape, store, x, active, Mode::Eval);
        let distances = self.distances(tape, store, x, features, active);
        let (minimum, winner) = tape.min_row(distances);
        Compared { distances, minimum, winner }
    }

    /// Prototype `winner` u32 [B] of each image x [B,C,H,W], transformed for it in evaluation mode [B,C,H,W]; `None` while
    /// only the identity is active.
    pub fn align(&self, tape: &mut Tape, store: &Store, x: Var, winner: Var, active: usize) -> Option<Var> {
        let features = self.features(tape, store, x, active, Mode::Eval)?;
        Some(self.chain(tape, store, Some(features), Some(winner), active).image)
    }

    /// All prototypes transformed for each of the images x [B,C,H,W], in evaluation mode -> [B,K,C,H,W].
    pub fn transformed(&self, tape: &mut Tape, store: &Store, x: Var, active: usize) -> Var {
        assert!(active > 0, "the identity alone transforms nothing");
        let features = self.features(tape, store, x, active, Mode::Eval);
        self.chain(tape, store, features, None, active).image
    }

    /// The optimiser's groups while `active` transformations are: prototypes, encoder, heads of each, as first and last
    /// parameter. Groups of weights that are decayed say so.
    pub fn groups(&self, active: usize) -> Vec<Group> {
        let mut groups = vec![Group { parameters: vec![self.prototypes], decayed: false }];
        if active > 0 {
            let encoder = self.encoder.iter().map(Encoder::parameters);
            let heads = self.stages[..active].iter().map(|s| s.heads.parameters());
            groups.extend(encoder.chain(heads).map(|parameters| Group { parameters, decayed: true }));
        }
        groups
    }

    /// The prototypes [K,C,H,W].
    pub fn prototypes(&self) -> PersistentId {
        self.prototypes
    }

    /// Tensors whose first axis is the prototype: what moves when a cluster is restarted. The prototypes come first.
    pub fn per_prototype(&self) -> Vec<PersistentId> {
        std::iter::once(self.prototypes).chain(self.stages.iter().flat_map(|s| s.heads.parameters())).collect()
    }

    /// Everything that a checkpoint holds: parameters and running statistics.
    pub fn state(&self) -> Vec<PersistentId> {
        std::iter::once(self.prototypes).chain(self.initial.iter().map(|(id, _)| *id)).collect()
    }

    /// Features [B,d]; the identity alone needs none.
    fn features(&self, tape: &mut Tape, store: &Store, x: Var, active: usize, mode: Mode) -> Option<Var> {
        assert!(active <= self.stages.len(), "{active} transformations active of {}", self.stages.len());
        let encoder = self.encoder.as_ref().filter(|_| active > 0)?;
        Some(encoder.forward(tape, store, x, mode))
    }

    /// Distances [B,K] of x to every transformed prototype.
    fn distances(&self, tape: &mut Tape, store: &Store, x: Var, features: Option<Var>, active: usize) -> Var {
        let source = self.chain(tape, store, features, None, active);
        let weights = self.weights.map(|id| tape.persistent(store, id));
        tape.squared_distance(x, source.image, weights, source.rows, source.index)
    }

    /// Prototypes transformed for each image: all K of them, or only the `winner` of each.
    fn chain(
        &self,
        tape: &mut Tape,
        store: &Store,
        features: Option<Var>,
        winner: Option<Var>,
        active: usize,
    ) -> Source {
        let image = tape.persistent(store, self.prototypes);
        let rows = if winner.is_some() { Rows::Selected } else { Rows::Each };
        let mut source = Source { image, rows, index: winner };
        if let Some(features) = features {
            for stage in &self.stages[..active] {
                let beta = match winner {
                    Some(winner) => stage.heads.selected(tape, store, features, winner),
                    None => stage.heads.all(tape, store, features),
                };
                source = stage.apply(tape, store, source, beta, self.spec.padding);
            }
        }
        source
    }
}

/// Parameters that the optimiser treats alike, declared one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// In the order of declaration.
    pub parameters: Vec<PersistentId>,
    /// Whether weight decay applies.
    pub decayed: bool,
}
