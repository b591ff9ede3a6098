//! Failures of training.

use super::config::ConfigError;
use super::state::STATE;
use crate::data::DataError;
use crate::metrics::ScoreError;
use crate::tape::EngineError;
use std::path::PathBuf;

/// What can go wrong between a configuration and a finished run.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data set cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Scores could not be computed.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} at step {step} of epoch {epoch}; the first value that is not a finite number is in {place}. A smaller lr (now {lr:e}) may help. Weights saved before that are untouched"
    )]
    Diverged {
        /// The loss.
        loss: f64,
        /// Step within the epoch, from 1.
        step: usize,
        /// Epoch, from 1.
        epoch: usize,
        /// Learning rate at that step.
        lr: f64,
        /// Where the first value that is not finite is.
        place: String,
    },
    /// A file or folder could not be written or read.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `write`, `create`, `read`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The run folder is taken.
    #[error(
        "{} already holds files; a run is never overwritten. Give another folder with --out, or go on with what is there by --resume",
        .0.display()
    )]
    FolderTaken(PathBuf),
    /// A folder belongs to other runs.
    #[error(
        "{} holds runs of another number, seed or configuration; give another folder with --out, or go on with those by --resume",
        .0.display()
    )]
    OtherRuns(PathBuf),
    /// A file of a run is not what it should be.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The configuration of a run was changed after it began.
    #[error(
        "{}: {key} = {now}, but the run began with {was}: put it back, or begin a new run (only epochs can be changed)",
        path.display()
    )]
    Changed {
        /// Its configuration.
        path: PathBuf,
        /// The key.
        key: String,
        /// What the run began with.
        was: String,
        /// What is there now.
        now: String,
    },
    /// The data set is not the one that a run began with.
    #[error("{}: the images or labels of {set} are not those that the run began with; find these with --data", path.display())]
    OtherImages {
        /// The run.
        path: PathBuf,
        /// The data set.
        set: String,
    },
    /// A folder is no run.
    #[error("{} is no run folder: cannot read its config.toml: {source}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A run has no weights.
    #[error(
        "{} has no weights yet: they are written at evaluations, and when a run is stopped; go on with it by --resume",
        .0.display()
    )]
    NoWeights(PathBuf),
    /// A run has weights only.
    #[error(
        "{} has weights but no {STATE}: it was imported, or trained before there was one, and cannot go on; begin a new run",
        .0.display()
    )]
    NoState(PathBuf),
    /// More epochs are done than were asked for.
    #[error("epochs = {asked}: {} has begun its epoch {begun} already, and earlier states are gone", path.display())]
    EpochsDone {
        /// The run.
        path: PathBuf,
        /// What was asked for.
        asked: usize,
        /// The last epoch that began.
        begun: usize,
    },
    /// Another process writes into the run folder.
    #[error("{} is being trained by another process", .0.display())]
    Busy(PathBuf),
    /// The user asked to stop.
    #[error("stopped on request after {epochs} of {of} epochs")]
    Stopped {
        /// Whole epochs done.
        epochs: usize,
        /// Epochs of the configuration.
        of: usize,
    },
}

impl TrainError {
    /// Whether the user can mend it by other arguments: exit code 2 instead of 1. A path that cannot be used is a
    /// mistake, a full or failing disk is not.
    pub fn is_users(&self) -> bool {
        use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        match self {
            TrainError::Config(_)
            | TrainError::Data(_)
            | TrainError::FolderTaken(_)
            | TrainError::OtherRuns(_)
            | TrainError::Damaged { .. }
            | TrainError::Changed { .. }
            | TrainError::OtherImages { .. }
            | TrainError::NoRun { .. }
            | TrainError::NoWeights(_)
            | TrainError::NoState(_)
            | TrainError::EpochsDone { .. }
            | TrainError::Busy(_) => true,
            TrainError::File { source, .. } => {
                matches!(source.kind(), IsADirectory | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem)
            }
            _ => false,
        }
    }
}
