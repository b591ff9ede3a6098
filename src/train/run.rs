//! A whole run: epochs, evaluations and files, with an observer who may stop it.

use super::checkpoint::Checkpoint;
use super::config::Config;
use super::error::TrainError;
use super::evaluation::Evaluation;
use super::reassign::Restart;
use super::run_folder::RunFolder;
use super::schedule;
use super::state::{About, RunState, STATE};
use super::supply::Streaming;
use super::trainer::{Clusters, Epoch, Trainer};
use crate::data::ImageSet;
use crate::tape::Engine;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// File of the weights in a run folder.
pub(super) const WEIGHTS: &str = "model.safetensors";

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
    /// The device does not hold all images at once.
    fn streams(&mut self, _streaming: &Streaming) {}

    /// Some steps are done. Breaking stops the run after saving.
    fn progress(&mut self, progress: Progress) -> ControlFlow<()>;

    /// A transformation joined: the stage now has `active` after the identity.
    fn stage(&mut self, _epoch: usize, _active: usize) {}

    /// Empty clusters restarted.
    fn restarted(&mut self, _epoch: usize, _restart: &Restart) {}

    /// The steps of epoch `number` are done, and the clusters are these. A state that a run goes on from is saved later.
    fn trained(&mut self, _number: usize, _epoch: &Epoch, _clusters: &Clusters) {}

    /// An epoch ended and, every so often, was evaluated.
    fn epoch(&mut self, _epoch: usize, _loss: f64, _evaluation: Option<&Evaluation>) {}

    /// After [`Self::epoch`], if the epoch was evaluated: `trainer` may be asked for more, such as aligned prototypes. Looking
    /// changes no bit of the run; training further here would.
    fn evaluated(&mut self, _epoch: usize, _evaluation: &Evaluation, _trainer: &mut Trainer) {}
}

/// What a run ends with.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Scores over the whole set.
    pub evaluation: Evaluation,
    /// Most bytes of device memory.
    pub peak_memory: usize,
    /// How images went to the device; `None` if it held them all.
    pub streaming: Option<Streaming>,
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
    let streaming = trainer.streaming();
    if let Some(streaming) = &streaming {
        observer.streams(streaming);
    }
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
        observer.trained(number, &epoch, &trainer.clusters()?);
        last = None;
        if number % config.eval_interval == 0 || number == config.epochs {
            let evaluation = trainer.evaluate()?;
            folder.evaluated(at, &evaluation, config.clusters)?;
            sitting.save(&mut trainer, folder)?;
            trainer.save(&weights)?;
            last = Some(evaluation);
        }
        observer.epoch(number, epoch.loss, last.as_ref());
        if let Some(evaluation) = &last {
            observer.evaluated(number, evaluation, &mut trainer);
        }
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
    let (peak_memory, seconds) = (trainer.peak_memory(), sitting.seconds());
    let About { started, resumed, .. } = sitting.about;
    Ok(Finished { evaluation, peak_memory, streaming, seconds, started, resumed })
}

/// A run's model with its weights, to look at `set` with.
pub fn open_run<'a>(
    run: &Path,
    config: &Config,
    set: &'a ImageSet,
    engine: &'a mut dyn Engine,
) -> Result<Trainer<'a>, TrainError> {
    let path = run.join(WEIGHTS);
    Trainer::with_weights(config.clone(), set, engine, |model, store, engine| {
        Checkpoint::load(&path, model, store, engine)
    })
}

/// Loads a run's weights and compares `set` with its prototypes, on demand with the hard limits of morphology.
pub fn evaluate_run(
    run: &Path,
    config: &Config,
    set: &ImageSet,
    engine: &mut dyn Engine,
    hard_morphology: bool,
) -> Result<Evaluation, TrainError> {
    let mut trainer = open_run(run, config, set, engine)?;
    if hard_morphology {
        trainer.evaluate_hard_morphology();
    }
    // Nothing is trained here, so that the advice about training would mislead.
    trainer.evaluate().map_err(|error| match error {
        TrainError::Diverged { place, .. } => {
            let problem = format!("a value that is not a finite number is in {place}");
            TrainError::Damaged { path: run.join(WEIGHTS), problem }
        }
        other => other,
    })
}
