//! Training: configuration, the loop, curriculum, reassignment, evaluation, and what a run leaves on disk.

mod checkpoint;
mod config;
mod course;
mod diagnosis;
mod error;
mod evaluation;
mod import;
mod kmeans;
mod many;
mod presets;
mod programs;
mod reassign;
mod resume;
mod run;
mod run_folder;
mod schedule;
mod start;
mod state;
mod trainer;

pub use checkpoint::{Checkpoint, write_whole};
pub use config::{Config, ConfigError, KEYS};
pub use error::TrainError;
pub use evaluation::Evaluation;
pub use import::{ImportError, Imported, Published};
pub use many::{RUNS, Runs};
pub use presets::{PRESETS, preset};
pub use programs::{Ledger, Rates, alignment_step, evaluation_step, training_step, update};
pub use reassign::Restart;
pub use resume::Resumption;
pub use run::{Finished, Observer, Progress, evaluate_run, open_run, train};
pub use run_folder::RunFolder;
pub use schedule::adam_row;
pub use start::Init;
pub use state::{RunState, STATE, now};
pub use trainer::{Clusters, Epoch, Trainer};
