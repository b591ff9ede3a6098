//! The training loop over one device: epochs of replayed plans, restarts, evaluation.

use super::checkpoint::Checkpoint;
use super::config::Config;
use super::course::{Course, Snapshot, Stream, random};
use super::diagnosis::first_not_finite;
use super::error::TrainError;
use super::evaluation::Evaluation;
use super::programs::{Ledger, alignment_step, evaluation_step, training_step};
use super::reassign::{self, Branch, Restart};
use super::schedule;
use super::start::start;
use crate::data::ImageSet;
use crate::model::Model;
use crate::nn::Mode;
use crate::tape::{Engine, EngineError, KernelTime, PlanId, Store};
use rand::seq::SliceRandom;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time of the steps between two looks at the losses.
const LOOK: Duration = Duration::from_millis(100);

/// Plans of a curriculum stage.
#[derive(Clone, Copy)]
struct Plans {
    active: usize,
    train: PlanId,
    train_last: Option<PlanId>,
    evaluate: PlanId,
    evaluate_last: Option<PlanId>,
}

/// What an epoch did.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// Loss of every step.
    pub losses: Vec<f32>,
    /// Mean loss over the images.
    pub loss: f64,
    /// Share of images won by each prototype.
    pub shares: Vec<f64>,
    /// Restarts and the step (from 1) after which they happened.
    pub restarts: Vec<(usize, Restart)>,
}

/// A model in training on an engine.
pub struct Trainer<'a> {
    config: Config,
    set: &'a ImageSet,
    engine: &'a mut dyn Engine,
    store: Store,
    model: Box<dyn Model>,
    ledger: Ledger,
    branches: Vec<Branch>,
    plans: Option<Plans>,
    course: Course,
    peak: usize,
}

impl<'a> Trainer<'a> {
    /// A model for `set` with its tensors allocated on the engine, not yet initialised.
    fn allocated(config: Config, set: &'a ImageSet, engine: &'a mut dyn Engine) -> Result<Self, TrainError> {
        let spec = config.spec(set)?;
        let mut store = Store::new();
        let model = spec.declare(&mut store);
        let groups = model.groups(model.spec().sequence.0.len()).len();
        let ledger = Ledger::new(&mut store, set, &config, groups);
        let branches = model.per_prototype().into_iter().map(|id| Branch::new(&mut store, id)).collect();
        engine.allocate(&store)?;
        engine.write(store[ledger.images].arena, 0, &set.pixels)?;
        let peak = engine.memory();
        Ok(Trainer {
            course: Course::new(config.seed, config.clusters, groups),
            config,
            set,
            engine,
            store,
            model,
            ledger,
            branches,
            plans: None,
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

    /// From now on evaluates with the hard limits of morphology. Training keeps the soft form, which has a gradient.
    pub fn evaluate_hard_morphology(&mut self) {
        self.model.common_mut().transformer.use_hard_morphology();
        self.plans = None;
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

    /// Starts (or restarts) adding up the time of every kernel; `false` if the device cannot.
    pub fn time_kernels(&mut self) -> bool {
        self.engine.time_kernels()
    }

    /// Kernels by total time since [`Self::time_kernels`].
    pub fn kernel_times(&self) -> Vec<KernelTime> {
        self.engine.kernel_times()
    }

    /// Most bytes of device memory so far.
    pub fn peak_memory(&self) -> usize {
        self.peak
    }

    /// The prototypes [K,C,H,W].
    pub fn prototypes(&mut self) -> Result<Vec<f32>, TrainError> {
        Ok(self.engine.read_f32(&self.store[self.model.prototypes()])?)
    }

    /// Trains for one epoch. `report` hears the number of steps done and the last loss every few steps; if it breaks,
    /// the epoch ends there and `None` is returned.
    pub fn train_epoch(
        &mut self,
        report: &mut dyn FnMut(usize, f32) -> ControlFlow<()>,
    ) -> Result<Option<Epoch>, TrainError> {
        let before = Snapshot::take(&self.course, &self.store, self.engine)?;
        match self.train_steps(self.steps(), report) {
            Err(TrainError::Diverged { loss, step, epoch, lr, .. }) => {
                // Later steps have spread it over all parameters: up to the last good one everything is done again.
                before.restore(&mut self.course, self.engine)?;
                self.train_steps(step - 1, &mut |_, _| ControlFlow::Continue(()))?;
                let place = self.first_not_finite(step - 1, Mode::Train)?;
                Err(TrainError::Diverged { loss, step, epoch, lr, place })
            }
            Ok(Some(epoch)) => {
                self.course.epoch += 1;
                Ok(Some(epoch))
            }
            other => other,
        }
    }

    /// Where the first value is that is not finite, with the images of `step` (from 0) of the order in the model.
    fn first_not_finite(&mut self, step: usize, mode: Mode) -> Result<String, EngineError> {
        let first = step * self.config.batch_size;
        let batch = self.config.batch_size.min(self.set.len() - first);
        self.engine.write_u32(&self.store[self.ledger.clock], &[first as u32, 0])?;
        self.plans = None;
        let pass = (batch, self.course.active, mode);
        first_not_finite(self.model.as_ref(), &self.store, self.engine, &self.ledger, pass)
    }

    /// The first `total` steps of an epoch.
    fn train_steps(
        &mut self,
        total: usize,
        report: &mut dyn FnMut(usize, f32) -> ControlFlow<()>,
    ) -> Result<Option<Epoch>, TrainError> {
        self.course.active = schedule::active(&self.config, self.course.epoch);
        let plans = self.prepare(self.course.active)?;
        let mut order: Vec<u32> = (0..self.set.len() as u32).collect();
        order.shuffle(&mut self.course.order);
        self.restart_clock(&order)?;
        let lr = schedule::learning_rate(&self.config, self.course.epoch);
        self.write_schedule(lr, self.model.groups(plans.active).len())?;

        let full = self.set.len() / self.config.batch_size;
        // Steps between two looks at the losses: as many as take a tenth of a second.
        let mut burst = 1;
        let mut epoch =
            Epoch { losses: Vec::new(), loss: 0.0, shares: vec![0.0; self.config.clusters], restarts: Vec::new() };
        let mut won = vec![0u32; self.config.clusters];
        let mut done = 0;
        while done < total {
            let until_check = self.config.check_cluster_interval - self.course.since_check;
            let (plan, count) = match plans.train_last {
                Some(last) if done >= full => (last, 1),
                _ => (plans.train, until_check.min(burst).min(full.min(total) - done)),
            };
            let start = Instant::now();
            self.engine.run(plan, count)?;
            self.read_losses(&mut epoch.losses, done + count, lr)?;
            burst = if start.elapsed() < LOOK { 2 * count } else { (count / 2).max(1) };
            done += count;
            self.course.since_check += count;
            if self.course.since_check >= self.config.check_cluster_interval {
                self.course.since_check = 0;
                let restart = self.check_clusters(&mut won)?;
                epoch.restarts.extend(restart.map(|r| (done, r)));
            }
            if report(done, epoch.losses[done - 1]).is_break() {
                return Ok(None);
            }
        }
        self.count_won(&mut won)?;
        let images: f64 = self.set.len() as f64;
        let weight = |step: usize| (self.set.len() - step * self.config.batch_size).min(self.config.batch_size) as f64;
        epoch.loss = epoch.losses.iter().enumerate().map(|(s, &l)| f64::from(l) * weight(s)).sum::<f64>() / images;
        epoch.shares = won.iter().map(|&w| f64::from(w) / images).collect();
        Ok(Some(epoch))
    }

    /// Compares every image with the prototypes, in evaluation mode.
    pub fn evaluate(&mut self) -> Result<Evaluation, TrainError> {
        let plans = self.prepare(self.course.active)?;
        let order: Vec<u32> = (0..self.set.len() as u32).collect();
        self.restart_clock(&order)?;
        self.engine.run(plans.evaluate, self.set.len() / self.config.batch_size)?;
        if let Some(last) = plans.evaluate_last {
            self.engine.run(last, 1)?;
        }
        let assignments = self.engine.read_u32(&self.store[self.ledger.winners])?;
        let distances = self.engine.read_f32(&self.store[self.ledger.minima])?;
        let costs = self.engine.read_f32(&self.store[self.ledger.costs])?;
        let evaluation = Evaluation::new(self.set, assignments, distances, &costs, self.config.clusters)?;
        if !evaluation.loss.is_finite() {
            // The last update of the epoch did it: no training step has seen its loss.
            let (loss, step, epoch) = (evaluation.loss, self.steps(), self.course.epoch);
            let lr = schedule::learning_rate(&self.config, epoch.saturating_sub(1));
            let image = costs.iter().position(|c| !c.is_finite()).unwrap_or(0);
            let place = self.first_not_finite(image / self.config.batch_size, Mode::Eval)?;
            return Err(TrainError::Diverged { loss, step, epoch, lr, place });
        }
        Ok(evaluation)
    }

    /// Prototype `chosen[i]` transformed for image `images[i]`, for all i: [n,C,H,W].
    pub fn align(&mut self, images: &[u32], chosen: &[u32]) -> Result<Vec<f32>, TrainError> {
        let item = self.set.image_bytes();
        let Some(program) = alignment_step(self.model.as_ref(), &self.store, &self.ledger, self.course.active) else {
            let prototypes = self.prototypes()?;
            let of = |&k: &u32| prototypes[k as usize * item..][..item].to_vec();
            return Ok(chosen.iter().flat_map(of).collect());
        };
        self.plans = None;
        let plan = self.engine.load(&[program])?[0];
        self.peak = self.peak.max(self.engine.memory());
        let batch = self.store[self.ledger.chosen].shape.len();
        let mut aligned = Vec::new();
        for (images, chosen) in images.chunks(batch).zip(chosen.chunks(batch)) {
            self.restart_clock(images)?;
            self.engine.write_u32(&self.store[self.ledger.chosen], chosen)?;
            self.engine.run(plan, 1)?;
            let pixels: Vec<f32> = bytemuck::pod_collect_to_vec(&self.engine.read_output(plan, 0)?);
            // What a last short batch leaves over shows whatever was there before.
            aligned.extend_from_slice(&pixels[..images.len() * item]);
        }
        Ok(aligned)
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
                let step =
                    training_step(self.model.as_ref(), &mut self.store, &self.ledger, &self.config, size, active);
                programs.push(step.expect("the model is differentiable in its parameters"));
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
        self.plans = Some(plans);
        Ok(plans)
    }

    fn restart_clock(&mut self, order: &[u32]) -> Result<(), EngineError> {
        self.engine.write_u32(&self.store[self.ledger.order], order)?;
        self.engine.write_u32(&self.store[self.ledger.clock], &[0, 0])
    }

    fn write_schedule(&mut self, lr: f64, groups: usize) -> Result<(), EngineError> {
        let tensor = &self.store[self.ledger.schedule];
        let columns = self.course.taken.len();
        let mut rows = vec![0.0f32; tensor.shape.len()];
        for step in 0..self.set.len().div_ceil(self.config.batch_size) {
            for (group, taken) in self.course.taken.iter_mut().enumerate().take(groups) {
                *taken += 1;
                rows[2 * (step * columns + group)..][..2].copy_from_slice(&schedule::adam_row(lr, *taken));
            }
        }
        self.engine.write_f32(tensor, &rows)
    }

    /// Adds the losses of the steps up to `done` to those known.
    fn read_losses(&mut self, losses: &mut Vec<f32>, done: usize, lr: f64) -> Result<(), TrainError> {
        let (history, known) = (&self.store[self.ledger.history], losses.len());
        let bytes = self.engine.read(history.arena, 4 * (history.offset + known), 4 * (done - known))?;
        losses.extend(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes));
        match losses[known..].iter().position(|l| !l.is_finite()) {
            Some(at) => {
                let step = known + at;
                let (loss, place) = (f64::from(losses[step]), String::new());
                Err(TrainError::Diverged { loss, step: step + 1, epoch: self.course.epoch + 1, lr, place })
            }
            None => Ok(()),
        }
    }

    /// Adds what was won since the last call to `won`.
    fn count_won(&mut self, won: &mut [u32]) -> Result<Vec<u32>, EngineError> {
        let counts = self.engine.read_u32(&self.store[self.ledger.counts])?;
        for ((won, &now), before) in won.iter_mut().zip(&counts).zip(&mut self.course.counted) {
            *won += now - *before;
            *before = now;
        }
        Ok(counts)
    }

    fn check_clusters(&mut self, won: &mut [u32]) -> Result<Option<Restart>, EngineError> {
        let counts = self.count_won(won)?;
        self.course.counted.fill(0);
        self.engine.write_u32(&self.store[self.ledger.counts], &self.course.counted)?;
        let restart = reassign::decide(&counts, self.config.empty_cluster_threshold);
        if let Some(restart) = &restart {
            reassign::apply(restart, &self.branches, &self.store, self.engine, &mut self.course.restarts)?;
        }
        Ok(restart)
    }
}
