//! The training loop over one device: epochs of replayed plans, restarts, evaluation.

use super::checkpoint::Checkpoint;
use super::config::Config;
use super::course::{CHANGED, Course, Snapshot, Stream, random};
use super::diagnosis::{broken_parameter, first_not_finite};
use super::error::TrainError;
use super::evaluation::Evaluation;
use super::programs::{Ledger, alignment_step, evaluation_step, training_step};
use super::reassign::{self, Branch, Restart};
use super::schedule;
use super::start::start;
use super::supply::{Streaming, Supply};
use crate::data::ImageSet;
use crate::model::Model;
use crate::nn::Mode;
use crate::tape::{Engine, EngineError, Launch, PlanId, Program, Store};
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
    /// Seconds of its steps.
    pub seconds: f64,
}

/// What clusters are, apart from how they are transformed.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Prototypes, or means of a mixture [K,C,H,W].
    pub prototypes: Vec<f32>,
    /// Variances of a mixture [K,C,H,W], with the least variance that is added to them.
    pub variances: Option<Vec<f32>>,
    /// Mixing weights of a mixture [K]; their sum is 1.
    pub mixing: Option<Vec<f32>>,
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
    course: Course,
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

    /// From now on evaluates with the hard limits of morphology. Training keeps the soft form, which has a gradient.
    pub fn evaluate_hard_morphology(&mut self) {
        self.model.common_mut().transformer.use_hard_morphology();
        self.plans = None;
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

    /// How the images go to the device; `None` if it holds them all.
    pub fn streaming(&self) -> Option<Streaming> {
        self.supply.streaming()
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

    /// Most bytes of device memory so far.
    pub fn peak_memory(&self) -> usize {
        self.peak
    }

    /// The prototypes [K,C,H,W].
    pub fn prototypes(&mut self) -> Result<Vec<f32>, TrainError> {
        Ok(self.engine.read_f32(&self.store[self.model.prototypes()])?)
    }

    /// The clusters' parameters.
    pub fn clusters(&mut self) -> Result<Clusters, TrainError> {
        let prototypes = self.prototypes()?;
        let Some([deviations, mixing]) = self.model.mixture() else {
            return Ok(Clusters { prototypes, variances: None, mixing: None });
        };
        let floor = self.model.spec().min_variance;
        let variances = self.engine.read_f32(&self.store[deviations])?.iter().map(|s| s * s + floor).collect();
        // Softmax of the logits.
        let logits = self.engine.read_f32(&self.store[mixing])?;
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = logits.iter().map(|l| (l - most).exp()).collect();
        let total: f32 = weights.iter().sum();
        let mixing = weights.iter().map(|w| w / total).collect();
        Ok(Clusters { prototypes, variances: Some(variances), mixing: Some(mixing) })
    }

    /// Transformations after the identity that took part in the last epoch.
    pub fn active(&self) -> usize {
        self.course.active
    }

    /// Trains to the end of the epoch under way. `report` hears the number of steps done and the last loss every few
    /// steps; if it breaks, `None` is returned, and the next call goes on from there.
    pub fn train_epoch(
        &mut self,
        report: &mut dyn FnMut(usize, f32) -> ControlFlow<()>,
    ) -> Result<Option<Epoch>, TrainError> {
        let before = self.snapshot()?;
        match self.train_steps(self.steps(), report) {
            Err(TrainError::Diverged { loss, step, epoch, lr, .. }) => {
                // Later steps have spread it over all parameters: up to the last good one everything is done again.
                let place = self.repeat(before, step).unwrap_or_else(unknown);
                Err(TrainError::Diverged { loss, step, epoch, lr, place })
            }
            other => other,
        }
    }

    /// Goes on from `before` to the step (from 1) that diverged, and looks where its first value is that is not finite.
    fn repeat(&mut self, before: Snapshot, step: usize) -> Result<String, TrainError> {
        before.restore(&mut self.course, self.engine)?;
        self.train_steps(step - 1, &mut |_, _| ControlFlow::Continue(()))?;
        Ok(self.first_not_finite(step - 1, Mode::Train)?)
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

    /// Goes on to step `total` of the epoch, and closes it if that is its last.
    fn train_steps(
        &mut self,
        total: usize,
        report: &mut dyn FnMut(usize, f32) -> ControlFlow<()>,
    ) -> Result<Option<Epoch>, TrainError> {
        let mut last_look = Instant::now();
        self.course.active = schedule::active(&self.config, self.course.epoch);
        let plans = self.prepare(self.course.active)?;
        let groups = self.model.groups(plans.active).len();
        let (order, after) = self.course.shuffled(self.set.len());
        self.write_order(&order, self.course.part.step)?;
        let lr = schedule::learning_rate(&self.config, self.course.epoch);
        self.write_schedule(lr, groups)?;
        let mut losses = Vec::new();
        self.read_losses(&mut losses, self.course.part.step, lr)?;

        let full = self.set.len() / self.config.batch_size;
        // Steps between two looks at the losses: as many as take a tenth of a second.
        let mut burst = 1;
        while self.course.part.step < total {
            let done = self.course.part.step;
            let until_check = self.config.check_cluster_interval - self.course.since_check;
            let there = self.reach(done)?;
            let (plan, count) = match plans.train_last {
                Some(last) if done >= full => (last, 1),
                _ => (plans.train, until_check.min(burst).min(there).min(full.min(total) - done)),
            };
            let start = Instant::now();
            self.engine.run(plan, count)?;
            self.read_losses(&mut losses, done + count, lr)?;
            burst = if start.elapsed() < LOOK { 2 * count } else { (count / 2).max(1) };
            let done = done + count;
            self.course.part.step = done;
            self.course.since_check += count;
            if self.course.since_check >= self.config.check_cluster_interval {
                self.course.since_check = 0;
                let restart = self.check_clusters()?;
                self.course.part.restarts.extend(restart.map(|r| (done, r)));
            }
            self.course.part.seconds += last_look.elapsed().as_secs_f64();
            last_look = Instant::now();
            if report(done, losses[done - 1]).is_break() {
                return Ok(None);
            }
        }
        if total < self.steps() {
            return Ok(None);
        }
        self.count_won()?;
        let part = self.course.end_epoch(total, groups, after);
        let images: f64 = self.set.len() as f64;
        let weight = |step: usize| (self.set.len() - step * self.config.batch_size).min(self.config.batch_size) as f64;
        let loss = losses.iter().enumerate().map(|(s, &l)| f64::from(l) * weight(s)).sum::<f64>() / images;
        let shares = part.won.iter().map(|&w| f64::from(w) / images).collect();
        Ok(Some(Epoch { losses, loss, shares, restarts: part.restarts, seconds: part.seconds }))
    }

    /// Compares every image with the prototypes, in evaluation mode.
    pub fn evaluate(&mut self) -> Result<Evaluation, TrainError> {
        let plans = self.prepare(self.course.active)?;
        let order: Vec<u32> = (0..self.set.len() as u32).collect();
        self.write_order(&order, 0)?;
        let (mut done, full) = (0, self.set.len() / self.config.batch_size);
        while done < full {
            let count = self.reach(done)?.min(full - done);
            self.engine.run(plans.evaluate, count)?;
            done += count;
        }
        if let Some(last) = plans.evaluate_last {
            self.reach(full)?;
            self.engine.run(last, 1)?;
        }
        let assignments = self.engine.read_u32(&self.store[self.ledger.winners])?;
        let distances = self.engine.read_f32(&self.store[self.ledger.minima])?;
        let costs = self.engine.read_f32(&self.store[self.ledger.costs])?;
        let evaluation = Evaluation::new(self.set, assignments, distances, &costs, self.config.clusters)?;
        let broken = broken_parameter(self.model.as_ref(), &self.store, self.engine)?;
        if broken.is_none() && evaluation.loss.is_finite() {
            return Ok(evaluation);
        }
        // The last update of the epoch did it: no training step has seen its loss.
        let (loss, step, epoch) = (evaluation.loss, self.steps(), self.course.epoch);
        let lr = schedule::learning_rate(&self.config, epoch.saturating_sub(1));
        let image = costs.iter().position(|c| !c.is_finite()).unwrap_or(0);
        let searched = |this: &mut Self| this.first_not_finite(image / this.config.batch_size, Mode::Eval);
        let place = broken.unwrap_or_else(|| searched(self).map_err(TrainError::from).unwrap_or_else(unknown));
        Err(TrainError::Diverged { loss, step, epoch, lr, place })
    }

    /// Prototype `chosen[i]` transformed for image `images[i]`, for all i: [n,C,H,W].
    pub fn align(&mut self, images: &[u32], chosen: &[u32]) -> Result<Vec<f32>, TrainError> {
        let mut steps = self.chain(images, chosen)?;
        // The first of the steps is the prototype itself.
        Ok(steps.pop().unwrap_or_default())
    }

    /// Prototype `chosen[i]` for image `images[i]`, for all i, [n,C,H,W]: as it is, and after each active transformation.
    pub fn chain(&mut self, images: &[u32], chosen: &[u32]) -> Result<Vec<Vec<f32>>, TrainError> {
        let item = self.set.image_bytes();
        let prototypes = self.prototypes()?;
        let of = |&k: &u32| &prototypes[k as usize * item..][..item];
        let mut steps = vec![chosen.iter().flat_map(of).copied().collect::<Vec<f32>>()];
        let active = self.course.active;
        let Some(program) = alignment_step(self.model.as_ref(), &self.store, &self.ledger, active) else {
            return Ok(steps);
        };
        steps.resize(1 + active, Vec::new());
        self.plans = None;
        let plan = self.engine.load(&[program])?[0];
        self.peak = self.peak.max(self.engine.memory());
        let batch = self.store[self.ledger.chosen].shape.len();
        for (images, chosen) in images.chunks(batch).zip(chosen.chunks(batch)) {
            self.write_order(images, 0)?;
            self.reach(0)?;
            self.engine.write_u32(&self.store[self.ledger.chosen], chosen)?;
            self.engine.run(plan, 1)?;
            for (index, step) in steps[1..].iter_mut().enumerate() {
                let pixels: Vec<f32> = bytemuck::pod_collect_to_vec(&self.engine.read_output(plan, index)?);
                // What a last short batch leaves over shows whatever was there before.
                step.extend_from_slice(&pixels[..images.len() * item]);
            }
        }
        Ok(steps)
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
        self.plans = Some(plans);
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

    fn write_schedule(&mut self, lr: f64, groups: usize) -> Result<(), EngineError> {
        let tensor = &self.store[self.ledger.schedule];
        let columns = self.course.taken.len();
        let mut rows = vec![0.0f32; tensor.shape.len()];
        for step in 0..self.set.len().div_ceil(self.config.batch_size) {
            for (group, taken) in self.course.taken.iter().enumerate().take(groups) {
                let row = schedule::adam_row(lr, taken + step as u64 + 1);
                rows[2 * (step * columns + group)..][..2].copy_from_slice(&row);
            }
        }
        self.engine.write_f32(tensor, &rows)
    }

    /// Adds the losses of the steps up to `done` to those known.
    fn read_losses(&mut self, losses: &mut Vec<f32>, done: usize, lr: f64) -> Result<(), TrainError> {
        let (history, known) = (&self.store[self.ledger.history], losses.len());
        if done == known {
            return Ok(());
        }
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

    /// Adds what was won since the last call to what was won in the epoch.
    fn count_won(&mut self) -> Result<Vec<u32>, EngineError> {
        let counts = self.engine.read_u32(&self.store[self.ledger.counts])?;
        let course = &mut self.course;
        for ((won, &now), before) in course.part.won.iter_mut().zip(&counts).zip(&mut course.counted) {
            *won += now - *before;
            *before = now;
        }
        Ok(counts)
    }

    fn check_clusters(&mut self) -> Result<Option<Restart>, EngineError> {
        let counts = self.count_won()?;
        self.course.counted.fill(0);
        self.engine.write_u32(&self.store[self.ledger.counts], &self.course.counted)?;
        let restart = reassign::decide(&counts, self.config.empty_cluster_threshold);
        if let Some(restart) = &restart {
            reassign::apply(restart, &self.branches, &self.store, self.engine, &mut self.course.restarts)?;
        }
        Ok(restart)
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
