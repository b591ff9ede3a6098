//! A model in training on one device: its tensors, where it is in its course, and the plans that are replayed.

mod epoch;
mod look;

pub use epoch::Epoch;
pub use look::Clusters;

use super::checkpoint::Checkpoint;
use super::config::Config;
use super::course::{CHANGED, Course, Drawn, Snapshot, Stream, random};
use super::diagnosis::first_not_finite;
use super::error::TrainError;
use super::programs::{Ledger, evaluation_step, training_step};
use super::reassign::Branch;
use super::start::start;
use super::supply::{Streaming, Supply};
use crate::data::ImageSet;
use crate::model::Model;
use crate::nn::Mode;
use crate::tape::{Engine, EngineError, Launch, PlanId, Program, Store};
use std::path::Path;

/// Plans of a curriculum stage.
#[derive(Clone, Copy)]
struct Plans {
    active: usize,
    train: PlanId,
    train_last: Option<PlanId>,
    evaluate: PlanId,
    evaluate_last: Option<PlanId>,
}

/// A model in training on an engine.
pub struct Trainer<'a> {
    config: Config,
    set: &'a ImageSet,
    engine: &'a mut dyn Engine,
    store: Store,
    model: Box<dyn Model>,
    ledger: Ledger,
    supply: Supply<'a>,
    branches: Vec<Branch>,
    plans: Option<Plans>,
    /// Steps between two looks at the losses, as long as the plans stay.
    burst: usize,
    course: Course,
    /// The order of the next epoch, drawn while the device is busy with this one.
    ahead: Option<Drawn>,
    layout: String,
    peak: usize,
}

impl<'a> Trainer<'a> {
    /// A model for `set` with its tensors allocated on the engine, not yet initialised.
    fn allocated(config: Config, set: &'a ImageSet, engine: &'a mut dyn Engine) -> Result<Self, TrainError> {
        let spec = config.spec(set)?;
        let mut supply = Supply::new(set, config.batch_size, engine.image_limit());
        let (store, model, ledger, branches, groups) = loop {
            let mut store = Store::new();
            let model = spec.clone().declare(&mut store);
            let groups = model.groups(model.spec().sequence.0.len()).len();
            let ledger = Ledger::with_room(&mut store, set, &config, groups, supply.room());
            let branches = model.per_prototype().into_iter().map(|id| Branch::new(&mut store, id)).collect();
            match (engine.allocate(&store), supply.smaller()) {
                (Ok(()), _) => break (store, model, ledger, branches, groups),
                // A device does not say how much memory it has.
                (Err(EngineError::OutOfMemory { .. }), Some(limit)) => {
                    supply = Supply::new(set, config.batch_size, limit);
                }
                (Err(error), _) => return Err(error.into()),
            }
        };
        let layout = layout(&store);
        supply.start(&store, &ledger, engine)?;
        let peak = engine.memory();
        Ok(Trainer {
            course: Course::new(config.seed, config.clusters, groups),
            config,
            set,
            engine,
            store,
            model,
            ledger,
            supply,
            branches,
            plans: None,
            burst: 1,
            ahead: None,
            layout,
            peak,
        })
    }

    /// A new model: clusters start as the configuration says, weights are drawn from the seed.
    pub fn new(config: Config, set: &'a ImageSet, engine: &'a mut dyn Engine) -> Result<Self, TrainError> {
        let trainer = Self::allocated(config, set, engine)?;
        let mut rng = random(trainer.config.seed, Stream::Initial);
        let start = start(&trainer.config, set, &mut rng)?;
        trainer.model.initialise(&trainer.store, trainer.engine, &start, &mut rng)?;
        Ok(trainer)
    }

    /// A model whose weights `load` reads from somewhere.
    pub fn with_weights(
        config: Config,
        set: &'a ImageSet,
        engine: &'a mut dyn Engine,
        load: impl FnOnce(&dyn Model, &Store, &mut dyn Engine) -> Result<Checkpoint, TrainError>,
    ) -> Result<Self, TrainError> {
        let mut trainer = Self::allocated(config, set, engine)?;
        trainer.model.write_constants(&trainer.store, trainer.engine)?;
        let Checkpoint { epoch, active } = load(trainer.model.as_ref(), &trainer.store, trainer.engine)?;
        (trainer.course.epoch, trainer.course.active) = (epoch, active);
        Ok(trainer)
    }

    /// A model in the middle of its training. `fits` hears the layout of its tensors before anything is written.
    pub fn resumed(
        config: Config,
        set: &'a ImageSet,
        engine: &'a mut dyn Engine,
        snapshot: Snapshot,
        fits: impl FnOnce(&str) -> Result<(), TrainError>,
    ) -> Result<Self, TrainError> {
        let mut trainer = Self::allocated(config, set, engine)?;
        fits(&trainer.layout)?;
        trainer.model.write_constants(&trainer.store, trainer.engine)?;
        snapshot.restore(&mut trainer.course, trainer.engine)?;
        Ok(trainer)
    }

    /// Everything that [`Self::resumed`] needs to go on.
    pub fn snapshot(&mut self) -> Result<Snapshot, TrainError> {
        Ok(Snapshot::take(&self.course, &self.store, self.engine)?)
    }

    /// Where each tensor of a snapshot is, one a line.
    pub fn layout(&self) -> &str {
        &self.layout
    }

    /// The engine in use.
    pub fn engine(&self) -> &dyn Engine {
        self.engine
    }

    /// Whole epochs done.
    pub fn epochs_done(&self) -> usize {
        self.course.epoch
    }

    /// Writes the weights to a file.
    pub fn save(&mut self, path: &Path) -> Result<(), TrainError> {
        let checkpoint = Checkpoint { epoch: self.course.epoch, active: self.course.active };
        checkpoint.save(path, self.model.as_ref(), &self.store, self.engine)
    }

    /// Steps of an epoch.
    pub fn steps(&self) -> usize {
        self.set.len().div_ceil(self.config.batch_size)
    }

    /// The program of a training step on a whole batch with `active` transformations, as [`Self::train_epoch`] replays it.
    pub fn program(&mut self, active: usize) -> Program {
        self.training_step(self.config.batch_size.min(self.set.len()), active)
    }

    fn training_step(&mut self, batch: usize, active: usize) -> Program {
        let step = training_step(self.model.as_ref(), &mut self.store, &self.ledger, &self.config, batch, active);
        step.expect("the model is differentiable in its parameters")
    }

    /// Starts (or restarts) timing every kernel; `false` if the device cannot.
    pub fn time_kernels(&mut self) -> bool {
        self.engine.time_kernels(true)
    }

    /// The launches of kernels since [`Self::time_kernels`], in order.
    pub fn launches(&self) -> &[Launch] {
        self.engine.launches()
    }

    /// How the images go to the device; `None` if it holds them all.
    pub fn streaming(&self) -> Option<Streaming> {
        self.supply.streaming()
    }

    /// Most bytes of device memory so far.
    pub fn peak_memory(&self) -> usize {
        self.peak
    }

    /// Transformations after the identity that took part in the last epoch.
    pub fn active(&self) -> usize {
        self.course.active
    }

    /// Where the first value is that is not finite, with the images of `step` (from 0) of the order in the model.
    fn first_not_finite(&mut self, step: usize, mode: Mode) -> Result<String, EngineError> {
        let first = step * self.config.batch_size;
        let batch = self.config.batch_size.min(self.set.len() - first);
        self.engine.write_u32(&self.store[self.ledger.clock], &[first as u32, 0])?;
        self.reach(step)?;
        self.plans = None;
        let pass = (batch, self.course.active, mode);
        first_not_finite(self.model.as_ref(), &self.store, self.engine, &self.ledger, pass)
    }

    /// Loads the plans of a stage, unless they are there already.
    fn prepare(&mut self, active: usize) -> Result<Plans, TrainError> {
        if let Some(plans) = self.plans.filter(|p| p.active == active) {
            return Ok(plans);
        }
        let (n, batch) = (self.set.len(), self.config.batch_size);
        let mut programs = Vec::new();
        for size in [batch.min(n), n % batch] {
            // Without a remainder there are no last batches; a set smaller than a batch has nothing else.
            if size > 0 && (programs.is_empty() || size < batch.min(n)) {
                programs.push(self.training_step(size, active));
                programs.push(evaluation_step(self.model.as_ref(), &self.store, &self.ledger, size, active));
            }
        }
        let ids = self.engine.load(&programs)?;
        self.peak = self.peak.max(self.engine.memory());
        let (last, whole) = if n < batch { (0, 0) } else { (2, 0) };
        let plans = Plans {
            active,
            train: ids[whole],
            evaluate: ids[whole + 1],
            train_last: ids.get(last).copied(),
            evaluate_last: ids.get(last + 1).copied(),
        };
        (self.plans, self.burst) = (Some(plans), 1);
        Ok(plans)
    }

    /// Sets the order of the images, `step` steps of which are done.
    fn write_order(&mut self, order: &[u32], step: usize) -> Result<(), EngineError> {
        self.supply.follow(order, &self.store, &self.ledger, self.engine)?;
        let first = (step * self.config.batch_size).min(order.len());
        self.engine.write_u32(&self.store[self.ledger.clock], &[first as u32, step as u32])
    }

    /// Sees to it that the device has the images of `step` (from 0) of the order. Returns for how many steps it has them.
    fn reach(&mut self, step: usize) -> Result<usize, EngineError> {
        self.supply.reach(step, &self.store, &self.ledger, self.engine)
    }
}

/// Name, shape and place of everything that a snapshot holds.
fn layout(store: &Store) -> String {
    let held = store.iter().filter(|(_, t)| CHANGED.contains(&t.arena));
    held.map(|(_, t)| format!("{} {:?} {:?} {}\n", t.name, t.shape.0, t.arena, t.offset)).collect()
}

/// What is said of a divergence whose origin could not be found.
fn unknown(error: TrainError) -> String {
    format!("a place that could not be found ({error})")
}
