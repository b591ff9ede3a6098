//! Failures as the user sees them: one clear line and an exit code.

use crate::bench::PlotError;
use crate::data::DataError;
use crate::device::DeviceError;
use crate::gpu::TunedError;
use crate::tape::EngineError;
use crate::train::{ConfigError, ImportError, TrainError};
use std::process::ExitCode;

/// Exit code of a program that was asked to stop.
pub const STOPPED: u8 = 130;

/// Why the program ends early.
#[derive(Debug)]
pub enum Failure {
    /// The user can mend it: exit code 2.
    User(String),
    /// Something failed: exit code 1.
    Failed(String),
    /// Ctrl-C or SIGTERM: exit code [`STOPPED`].
    Stopped(String),
    /// The reader of our output has gone: nothing left to say.
    Closed,
}

impl Failure {
    /// Prints it and says the exit code.
    pub fn report(self) -> ExitCode {
        let (text, code) = match self {
            Failure::User(text) => (format!("error: {text}"), 2),
            Failure::Failed(text) => (format!("error: {text}"), 1),
            Failure::Stopped(text) => (text, STOPPED),
            Failure::Closed => return ExitCode::SUCCESS,
        };
        eprintln!("{text}");
        ExitCode::from(code)
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Stopped { .. } => Failure::Stopped(error.to_string()),
            TrainError::Engine(EngineError::OutOfMemory { .. }) => Failure::Failed(format!(
                "{error}. A smaller batch_size takes less, and so do images that are streamed (train --image-memory MIB)"
            )),
            error if error.is_users() => Failure::User(error.to_string()),
            error => Failure::Failed(error.to_string()),
        }
    }
}

impl From<TunedError> for Failure {
    fn from(error: TunedError) -> Self {
        match error {
            TunedError::Damaged { .. } => Failure::User(error.to_string()),
            TunedError::Io { .. } => Failure::Failed(error.to_string()),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        TrainError::from(error).into()
    }
}

impl From<PlotError> for Failure {
    fn from(error: PlotError) -> Self {
        Failure::Failed(error.to_string())
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        if error.is_users() { Failure::User(error.to_string()) } else { Failure::Failed(error.to_string()) }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::User(error.to_string())
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Failure::User(error.to_string())
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        if error.is_users() { Failure::User(error.to_string()) } else { Failure::Failed(error.to_string()) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Failed(format!("cannot write to the standard output: {error}")),
        }
    }
}
