//! A whole run: epochs, evaluations and files, with an observer who may stop it.

use super::checkpoint::Checkpoint;
use super::config::Config;
use super::error::TrainError;
use super::evaluation::Evaluation;
use super::reassign::Restart;
use super::run_folder::RunFolder;
use super::schedule;
use super::state::{About, RunState, STATE};
use super::trainer::Trainer;
use crate::data::ImageSet;
use crate::tape::Engine;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// File of the weights in a run folder.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// Images shown for each cluster beside their aligned prototypes.
const SHOWN: usize = 8;

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps done since the start.
    pub step: usize,
    /// Steps of the run.
    pub steps: usize,
    /// Epoch under way, from 1.
    pub epoch: usize,
    /// Epochs of the run.
    pub epochs: usize,
    /// Loss of the last step.
    pub loss: f32,
}

/// Hears what happens in a run.
pub trait Observer {
    /// Some steps are done. Breaking stops the run after saving.
    fn progress(&mut self, progress: Progress) -> ControlFlow<()>;

    /// A transformation joined: the stage now has `active` after the identity.
    fn stage(&mut self, _epoch: usize, _active: usize) {}

    /// Empty clusters restarted.
    fn restarted(&mut self, _epoch: usize, _restart: &Restart) {}

    /// An epoch ended and, every so often, was evaluated.
    fn epoch(&mut self, _epoch: usize, _loss: f64, _evaluation: Option<&Evaluation>) {}
}

/// What a run ends with.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Scores over the whole set.
    pub evaluation: Evaluation,
    /// Prototypes [K,C,H,W].
    pub prototypes: Vec<f32>,
    /// Some images of every cluster, evenly from the nearest to the farthest from its prototype.
    pub shown: Vec<Vec<usize>>,
    /// The aligned prototypes of the shown images, cluster by cluster, [n,C,H,W].
    pub aligned: Vec<f32>,
    /// Most bytes of device memory.
    pub peak_memory: usize,
    /// Seconds of training and evaluation, in all sittings.
    pub seconds: f64,
    /// When the run began.
    pub started: String,
    /// How often it was resumed.
    pub resumed: usize,
}

/// Trains by `config` on `set` and writes tables, weights and state into `folder`.
pub fn train(
    config: &Config,
    set: &ImageSet,
    engine: &mut dyn Engine,
    folder: &mut RunFolder,
    observer: &mut dyn Observer,
) -> Result<Finished, TrainError> {
    let sitting = Sitting::new(About::new(config, set));
    let trainer = Trainer::new(config.clone(), set, engine)?;
    go_on(trainer, config, set, folder, observer, sitting)
}

/// One stretch of a run, from its beginning or from where it was resumed.
pub(super) struct Sitting {
    about: About,
    /// Seconds of earlier ones.
    before: f64,
    start: Instant,
    saved: Instant,
}

impl Sitting {
    /// One that starts now.
    pub(super) fn new(about: About) -> Self {
        let now = Instant::now();
        Sitting { before: about.seconds, about, start: now, saved: now }
    }

    fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    /// Saves the state.
    fn save(&mut self, trainer: &mut Trainer, folder: &RunFolder) -> Result<(), TrainError> {
        self.about.seconds = self.seconds();
        RunState::take(self.about.clone(), trainer, folder)?.save(&folder.file(STATE))?;
        self.saved = Instant::now();
        Ok(())
    }
}

/// Trains from where `trainer` is to the end.
pub(super) fn go_on(
    mut trainer: Trainer,
    config: &Config,
    set: &ImageSet,
    folder: &mut RunFolder,
    observer: &mut dyn Observer,
    mut sitting: Sitting,
) -> Result<Finished, TrainError> {
    let per_epoch = trainer.steps();
    let weights = folder.file(WEIGHTS);
    let first = trainer.epochs_done() + 1;
    let mut last = None;
    for number in first..=config.epochs {
        let active = schedule::active(config, number - 1);
        if number == first || active != schedule::active(config, number - 2) {
            observer.stage(number, active);
        }
        let epoch = loop {
            let mut stop = false;
            let saved = sitting.saved;
            let mut report = |done: usize, loss: f32| {
                let step = (number - 1) * per_epoch + done;
                let steps = config.epochs * per_epoch;
                let progress = Progress { step, steps, epoch: number, epochs: config.epochs, loss };
                stop = observer.progress(progress).is_break();
                if stop || saved.elapsed() >= folder.save_every {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            if let Some(epoch) = trainer.train_epoch(&mut report)? {
                break epoch;
            }
            sitting.save(&mut trainer, folder)?;
            if stop {
                trainer.save(&weights)?;
                return Err(TrainError::Stopped { epochs: number - 1, of: config.epochs });
            }
        };
        let at = [number * per_epoch, number, per_epoch];
        folder.trained(at, epoch.seconds / set.len() as f64, &epoch)?;
        for (_, restart) in &epoch.restarts {
            observer.restarted(number, restart);
        }
        last = None;
        if number % config.eval_interval == 0 || number == config.epochs {
            let evaluation = trainer.evaluate()?;
            folder.evaluated(at, &evaluation, config.clusters)?;
            sitting.save(&mut trainer, folder)?;
            trainer.save(&weights)?;
            last = Some(evaluation);
        }
        observer.epoch(number, epoch.loss, last.as_ref());
    }
    let evaluation = match last {
        Some(evaluation) => evaluation,
        None => {
            // Stopped after the last state and before the weights.
            let evaluation = trainer.evaluate()?;
            trainer.save(&weights)?;
            evaluation
        }
    };
    folder.finished(&evaluation, set)?;
    finish(&mut trainer, evaluation, config, &sitting)
}

/// Loads a run's weights and compares `set` with its prototypes, on demand with the hard limits of morphology.
pub fn evaluate_run(
    run: &Path,
    config: &Config,
    set: &ImageSet,
    engine: &mut dyn Engine,
    hard_morphology: bool,
) -> Result<Evaluation, TrainError> {
    let path = run.join(WEIGHTS);
    let mut trainer = Trainer::with_weights(config.clone(), set, engine, |model, store, engine| {
        Checkpoint::load(&path, model, store, engine)
    })?;
    if hard_morphology {
        trainer.evaluate_hard_morphology();
    }
    // Nothing is trained here, so that the advice about training would mislead.
    trainer.evaluate().map_err(|error| match error {
        TrainError::Diverged { place, .. } => {
            TrainError::Damaged { path, problem: format!("a value that is not a finite number is in {place}") }
        }
        other => other,
    })
}

fn finish(
    trainer: &mut Trainer,
    evaluation: Evaluation,
    config: &Config,
    sitting: &Sitting,
) -> Result<Finished, TrainError> {
    let mut shown = Vec::new();
    for k in 0..config.clusters as u32 {
        let all = evaluation.assignments.iter().enumerate();
        let mut members: Vec<usize> = all.filter(|(_, a)| **a == k).map(|(i, _)| i).collect();
        members.sort_by(|&a, &b| evaluation.distances[a].total_cmp(&evaluation.distances[b]));
        // Evenly from the best to the worst, so that the picture does not flatter.
        let count = members.len().min(SHOWN);
        shown.push((0..count).map(|i| members[i * (members.len() - 1) / (count.max(2) - 1)]).collect::<Vec<_>>());
    }
    let images: Vec<u32> = shown.iter().flatten().map(|&i| i as u32).collect();
    let chosen: Vec<u32> = shown.iter().flatten().map(|&i| evaluation.assignments[i]).collect();
    let aligned = trainer.align(&images, &chosen)?;
    let prototypes = trainer.prototypes()?;
    let (peak_memory, seconds) = (trainer.peak_memory(), sitting.seconds());
    let (started, resumed) = (sitting.about.started.clone(), sitting.about.resumed);
    Ok(Finished { evaluation, prototypes, shown, aligned, peak_memory, seconds, started, resumed })
}
