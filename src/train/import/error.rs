//! What can go wrong between a published checkpoint and a run folder.

use crate::torch::TorchError;
use crate::train::{ConfigError, TrainError};
use crate::warp::Sequence;
use std::path::PathBuf;

/// What can go wrong between a published checkpoint and a run folder.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is no file of PyTorch, or damaged.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The configuration that the file and the user make is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run folder could not be written.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The run folder is taken.
    #[error("{} already holds files; a run is never overwritten. Give another folder", .0.display())]
    FolderTaken(PathBuf),
    /// There is no model in the file.
    #[error(
        "{}: no checkpoint of the published code: it holds {found}, and 'model_state' with 'prototypes' (or 'mus') was expected",
        path.display()
    )]
    NoModel {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// Something about the model is neither in the file nor given.
    #[error("{}: {problem}; say it with --set {key}=...", path.display())]
    Unclear {
        /// The file.
        path: PathBuf,
        /// What cannot be told.
        problem: String,
        /// The key of the configuration that would tell.
        key: &'static str,
    },
    /// The model was trained on other images.
    #[error("{}: prototypes of {found:?} (channels, height, width), but the images of {set} are {expected:?}; name another data set with --set dataset=...", path.display())]
    Images {
        /// The file.
        path: PathBuf,
        /// Extents of a prototype.
        found: [usize; 3],
        /// The data set.
        set: String,
        /// Extents of its images.
        expected: [usize; 3],
    },
    /// Tensors of the model are missing or of another shape.
    #[error("{}: does not fit '{sequence}' with {encoder} and {clusters} prototypes: {problems}", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// The configuration's sequence.
        sequence: String,
        /// The configuration's encoder.
        encoder: String,
        /// The configuration's number of prototypes.
        clusters: usize,
        /// Which tensors, and why.
        problems: String,
    },
    /// The distance is weighted otherwise than configured.
    #[error("{}: 'loss_weights' are not Gaussian with a standard deviation of {std} pixels; give another --set gaussian_weights_std=...", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// The configuration's standard deviation.
        std: f64,
    },
    /// More transformations active than there are.
    #[error("--active {active}: '{sequence}' has {} transformation{} after the identity", sequence.0.len(),
        if sequence.0.len() == 1 { "" } else { "s" })]
    Active {
        /// What was asked for.
        active: usize,
        /// The configuration's sequence.
        sequence: Sequence,
    },
}

impl ImportError {
    /// Whether the user can mend it by other arguments: exit code 2 instead of 1.
    pub fn is_users(&self) -> bool {
        match self {
            ImportError::Train(error) => error.is_users(),
            _ => true,
        }
    }
}
