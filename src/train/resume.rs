//! Taking up a run where it was left.

use super::config::Config;
use super::error::TrainError;
use super::run::{Finished, Observer, Sitting, WEIGHTS, go_on, train};
use super::run_folder::RunFolder;
use super::state::{RunState, STATE, identity, images_sum};
use crate::data::ImageSet;
use crate::tape::Engine;
use std::path::Path;

/// A run that began and can go on. No other process can take it up meanwhile.
#[derive(Clone, Debug)]
pub struct Resumption {
    folder: RunFolder,
    config: Config,
    /// `None` if it was stopped before the first was saved.
    state: Option<RunState>,
}

impl Resumption {
    /// Opens the run folder `path`. `config` is its configuration, in which only the epochs may have changed; `set` must
    /// be the images that it began with.
    pub fn open(path: &Path, config: Config, set: &ImageSet) -> Result<Self, TrainError> {
        config.spec(set)?;
        let folder = RunFolder::reopen(path)?;
        let state = RunState::load(&folder.file(STATE))?;
        match &state {
            Some(state) => check(&folder, &config, state, set)?,
            None if folder.file(WEIGHTS).exists() => return Err(TrainError::NoState(path.to_path_buf())),
            None => {}
        }
        Ok(Resumption { folder, config, state })
    }

    /// Whole epochs done, and steps of the next one.
    pub fn done(&self) -> (usize, usize) {
        self.state.as_ref().map_or((0, 0), |s| (s.snapshot.course.epoch, s.snapshot.course.part.step))
    }

    /// Its folder.
    pub fn folder(&mut self) -> &mut RunFolder {
        &mut self.folder
    }

    /// What it was trained on so far, if `engine` is something else whose results differ in their last bits.
    pub fn other_device(&self, engine: &dyn Engine) -> Option<String> {
        let before = self.state.as_ref().map(|s| s.about.device.clone());
        before.filter(|device| *device != identity(engine))
    }

    /// Trains to the end: with the result, to the bit, of a run that was never stopped.
    pub fn train(
        &mut self,
        set: &ImageSet,
        engine: &mut dyn Engine,
        observer: &mut dyn Observer,
    ) -> Result<Finished, TrainError> {
        let Resumption { folder, config, state } = self;
        let Some(state) = state else {
            folder.start(config, set)?;
            return train(config, set, engine, folder, observer);
        };
        folder.write("config.toml", config.to_toml().as_bytes())?;
        folder.rewind(&state.tables, state.previous.clone())?;
        let mut about = state.about.clone();
        about.config = config.to_toml();
        about.resumed += 1;
        let sitting = Sitting::new(about);
        let trainer = state.trainer(&folder.file(STATE), config, set, engine)?;
        go_on(trainer, config, set, folder, observer, sitting)
    }
}

/// Whether a state can go on with `config` and `set`.
fn check(folder: &RunFolder, config: &Config, state: &RunState, set: &ImageSet) -> Result<(), TrainError> {
    let began = Config::from_toml(&state.about.config, STATE)?;
    if let Some((key, was, now)) = began.difference(config) {
        return Err(TrainError::Changed { path: folder.file("config.toml"), key, was, now });
    }
    let path = folder.path().to_path_buf();
    if state.about.images != images_sum(set) {
        return Err(TrainError::OtherImages { path, set: set.name.clone() });
    }
    let course = &state.snapshot.course;
    let begun = course.epoch + usize::from(course.part.step > 0);
    if config.epochs < begun {
        return Err(TrainError::EpochsDone { path, asked: config.epochs, begun });
    }
    Ok(())
}
