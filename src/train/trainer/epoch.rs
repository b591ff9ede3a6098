//! The training loop: epochs of replayed plans, looks at the losses, restarts of empty clusters.

use super::{Trainer, unknown};
use crate::nn::Mode;
use crate::tape::EngineError;
use crate::train::course::{CHANGED, Course, Drawn, Snapshot};
use crate::train::error::TrainError;
use crate::train::reassign::{self, Restart};
use crate::train::schedule;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Time of the steps between two looks at the losses.
const LOOK: Duration = Duration::from_millis(100);

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

/// The state of a run at the beginning of an epoch.
enum Beginning {
    /// The host's share; the device has kept its own.
    Kept(Course),
    /// All of it.
    Read(Snapshot),
}

impl Trainer<'_> {
    /// Trains to the end of the epoch under way. `report` hears the number of steps done and the last loss every few
    /// steps; if it breaks, `None` is returned, and the next call goes on from there.
    pub fn train_epoch(
        &mut self,
        report: &mut dyn FnMut(usize, f32) -> ControlFlow<()>,
    ) -> Result<Option<Epoch>, TrainError> {
        self.course.active = schedule::active(&self.config, self.course.epoch);
        // Before anything is kept, which loading plans gives up.
        self.prepare(self.course.active)?;
        let before = self.beginning()?;
        match self.train_steps(self.steps(), report) {
            Err(TrainError::Diverged { loss, step, epoch, lr, .. }) => {
                // Later steps have spread it over all parameters: up to the last good one everything is done again.
                let place = self.repeat(before, step).unwrap_or_else(unknown);
                Err(TrainError::Diverged { loss, step, epoch, lr, place })
            }
            other => other,
        }
    }

    /// Where an epoch begins, to come back to if it diverges: on the device where that keeps copies, so that nobody waits.
    fn beginning(&mut self) -> Result<Beginning, TrainError> {
        if !self.engine.keep(&CHANGED)? {
            return Ok(Beginning::Read(self.snapshot()?));
        }
        self.peak = self.peak.max(self.engine.memory());
        Ok(Beginning::Kept(self.course.clone()))
    }

    /// Goes on from `before` to the step (from 1) that diverged, and looks where its first value is that is not finite.
    fn repeat(&mut self, before: Beginning, step: usize) -> Result<String, TrainError> {
        match before {
            Beginning::Kept(course) => {
                self.engine.put_back()?;
                self.course = course;
            }
            Beginning::Read(snapshot) => snapshot.restore(&mut self.course, self.engine)?,
        }
        self.train_steps(step - 1, &mut |_, _| ControlFlow::Continue(()))?;
        Ok(self.first_not_finite(step - 1, Mode::Train)?)
    }

    /// Goes on to step `total` of the epoch, and closes it if that is its last.
    fn train_steps(
        &mut self,
        total: usize,
        report: &mut dyn FnMut(usize, f32) -> ControlFlow<()>,
    ) -> Result<Option<Epoch>, TrainError> {
        let mut last_look = Instant::now();
        let plans = self.prepare(self.course.active)?;
        let groups = self.model.groups(plans.active).len();
        let Drawn { order, after, .. } = match self.ahead.take().filter(|d| d.from == self.course.order) {
            Some(drawn) => drawn,
            None => Drawn::new(&self.course.order, self.set.len()),
        };
        self.write_order(&order, self.course.part.step)?;
        let lr = schedule::learning_rate(&self.config, self.course.epoch);
        self.write_schedule(lr, groups)?;
        let mut losses = Vec::new();
        self.read_losses(&mut losses, self.course.part.step, lr)?;

        let full = self.set.len() / self.config.batch_size;
        while self.course.part.step < total {
            let done = self.course.part.step;
            let until_check = self.config.check_cluster_interval - self.course.since_check;
            let there = self.reach(done)?;
            let (plan, count) = match plans.train_last {
                Some(last) if done >= full => (last, 1),
                _ => (plans.train, until_check.min(self.burst).min(there).min(full.min(total) - done)),
            };
            let start = Instant::now();
            self.engine.run(plan, count)?;
            // While the device is at it: the next epoch finds its order drawn.
            if self.ahead.is_none() && self.course.epoch + 1 < self.config.epochs {
                self.ahead = Some(Drawn::new(&after, self.set.len()));
            }
            self.read_losses(&mut losses, done + count, lr)?;
            // As many steps between two looks as take a tenth of a second, whatever else ended this burst early.
            if start.elapsed() >= LOOK {
                self.burst = (count / 2).max(1);
            } else if count == self.burst {
                self.burst = 2 * count;
            }
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
