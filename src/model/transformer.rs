//! The network that transforms prototypes for an image: an encoder that all prototypes share, and heads and
//! transformations of each (Monnier et al. 2020, section 3.2).

use super::Spec;
use crate::nn::{Declare, Encoder, Heads, Mode, STACKED};
use crate::tape::{Engine, EngineError, Padding, PersistentId, Rows, Store, Tape, Var};
use crate::warp::{Constant, Module, Options, Source, Transformation};

/// The tensors of the network in a store.
#[derive(Clone, Debug)]
pub struct Transformer {
    encoder: Option<Encoder>,
    stages: Vec<Stage>,
    padding: Padding,
    size: [usize; 2],
    /// Whether morphology takes its hard limits in evaluation mode.
    hard_morphology: bool,
}

/// Which transformations of the sequence act on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acting {
    /// All of them.
    All,
    /// Those that move pixels, not those that change values.
    Spatial,
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
}

/// Parameters of the active transformations for a batch.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// Of each active transformation, `[B,K,P]` or, for the winners only, `[B,P]`.
    betas: Vec<Var>,
    /// The winners u32 `[B]`.
    winner: Option<Var>,
    mode: Mode,
}

impl Transformer {
    /// Declares encoder, heads and constants under the names of the published state dict.
    pub fn new(declare: &mut Declare, spec: &Spec) -> Self {
        let sequence = &spec.sequence.0;
        let encoder = (!sequence.is_empty())
            .then(|| Encoder::new(declare, "transformer.encoder.encoder", spec.encoder, spec.channels));
        let stages = sequence.iter().enumerate().map(|(t, &module)| {
            let name = format!("transformer.tsf_sequences.{STACKED}.tsf_modules.{}", t + 1);
            let transformation = module.transformation(spec.options);
            let outputs = transformation.parameters(spec.channels);
            let heads = Heads::new(declare, &format!("{name}.regressor"), spec.k, spec.encoder.features(), outputs);
            let mut constant = |c: Constant| declare.constant(format!("{name}.{}", c.name), c.shape);
            let constants = transformation.constants(spec.height, spec.width).into_iter().map(&mut constant);
            Stage { module, options: spec.options, heads, constants: constants.collect() }
        });
        Transformer {
            stages: stages.collect(),
            encoder,
            padding: spec.padding,
            size: [spec.height, spec.width],
            hard_morphology: false,
        }
    }

    /// From now on morphology takes its hard limits (see [`Options`]) in evaluation mode; these have no gradient.
    pub fn use_hard_morphology(&mut self) {
        self.hard_morphology = true;
    }

    /// Writes the constants of the transformations.
    pub fn write_constants(&self, store: &Store, engine: &mut dyn Engine) -> Result<(), EngineError> {
        let [height, width] = self.size;
        for stage in &self.stages {
            let constants = stage.transformation().constants(height, width);
            for (&id, constant) in stage.constants.iter().zip(&constants) {
                engine.write_f32(&store[id], &constant.values)?;
            }
        }
        Ok(())
    }

    /// Features `[B,d]` of images x `[B,C,H,W]` while `active` transformations are; the identity alone needs none.
    pub fn features(&self, tape: &mut Tape, store: &Store, x: Var, active: usize, mode: Mode) -> Option<Var> {
        assert!(active <= self.stages.len(), "{active} transformations active of {}", self.stages.len());
        let encoder = self.encoder.as_ref().filter(|_| active > 0)?;
        Some(encoder.forward(tape, store, x, mode))
    }

    /// Parameters of the first `active` transformations for features `[B,d]`: of all K prototypes, or only of the `winner`
    /// u32 `[B]` of each image. Without features there are none.
    pub fn predict(
        &self,
        tape: &mut Tape,
        store: &Store,
        features: Option<Var>,
        winner: Option<Var>,
        (active, mode): (usize, Mode),
    ) -> Predicted {
        let heads = features.map(|f| (f, &self.stages[..active]));
        let betas = heads.into_iter().flat_map(|(f, stages)| stages.iter().map(move |s| (f, &s.heads)));
        let betas = betas.map(|(features, heads)| match winner {
            Some(winner) => heads.selected(tape, store, features, winner),
            None => heads.all(tape, store, features),
        });
        Predicted { betas: betas.collect(), winner, mode }
    }

    /// Images `[K,C,H,W]`, one a prototype, transformed for each image of the batch.
    pub fn apply(&self, tape: &mut Tape, store: &Store, images: Var, predicted: &Predicted, acting: Acting) -> Source {
        let rows = if predicted.winner.is_some() { Rows::Selected } else { Rows::Each };
        let mut source = Source { image: images, rows, index: predicted.winner };
        for (stage, &beta) in self.stages.iter().zip(&predicted.betas) {
            if acting == Acting::All || stage.module.is_spatial() {
                source = self.transform(tape, store, stage, source, beta, predicted.mode);
            }
        }
        source
    }

    /// Prototype `winner` u32 `[B]` of each image x `[B,C,H,W]` after each of the `active` transformations, in
    /// evaluation mode: `[B,C,H,W]` each. `images` are the prototypes `[K,C,H,W]`.
    pub fn chain(
        &self,
        tape: &mut Tape,
        store: &Store,
        (x, images, winner): (Var, Var, Var),
        active: usize,
    ) -> Vec<Var> {
        let features = self.features(tape, store, x, active, Mode::Eval);
        let predicted = self.predict(tape, store, features, Some(winner), (active, Mode::Eval));
        let mut source = Source { image: images, rows: Rows::Selected, index: Some(winner) };
        let mut steps = Vec::new();
        for (stage, &beta) in self.stages.iter().zip(&predicted.betas) {
            source = self.transform(tape, store, stage, source, beta, Mode::Eval);
            steps.push(source.image);
        }
        steps
    }

    fn transform(
        &self,
        tape: &mut Tape,
        store: &Store,
        stage: &Stage,
        source: Source,
        beta: Var,
        mode: Mode,
    ) -> Source {
        let hard_morphology = self.hard_morphology && mode == Mode::Eval;
        let transformation = stage.module.transformation(Options { hard_morphology, ..stage.options });
        let constants: Vec<Var> = stage.constants.iter().map(|&id| tape.persistent(store, id)).collect();
        Source::own(transformation.apply(tape, source, beta, &constants, self.padding))
    }

    /// Every intermediate result of transforming the prototypes `images` `[K,C,H,W]` for x `[B,C,H,W]`, named, in order.
    pub fn trace(
        &self,
        tape: &mut Tape,
        store: &Store,
        x: Var,
        images: Var,
        active: usize,
        mode: Mode,
    ) -> Vec<(String, Var)> {
        let Some(features) = self.features(tape, store, x, active, mode) else { return Vec::new() };
        let mut results = vec![("the features of the encoder".to_string(), features)];
        let mut source = Source { image: images, rows: Rows::Each, index: None };
        for (t, stage) in self.stages[..active].iter().enumerate() {
            let name = format!("{} (transformation {} after the identity)", stage.module.name(), t + 1);
            let beta = stage.heads.all(tape, store, features);
            source = self.transform(tape, store, stage, source, beta, mode);
            results.push((format!("the parameters predicted for {name}"), beta));
            results.push((format!("the prototypes transformed by {name}"), source.image));
        }
        results
    }

    /// Trained parameters while `active` transformations are: of the encoder and of the heads of each.
    pub fn parameters(&self, active: usize) -> Vec<Vec<PersistentId>> {
        let encoder = self.encoder.iter().filter(|_| active > 0).map(Encoder::parameters);
        encoder.chain(self.stages[..active].iter().map(|s| s.heads.parameters())).collect()
    }

    /// Parameters of all heads; their first axis is the prototype.
    pub fn per_prototype(&self) -> Vec<PersistentId> {
        self.stages.iter().flat_map(|s| s.heads.parameters()).collect()
    }
}
