//! Several runs that differ in their seeds alone, in the folders seed_S of a parent.

use super::checkpoint::write_beside;
use super::config::{Config, ConfigError};
use super::error::TrainError;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// File in the parent that says which runs belong to it.
pub const RUNS: &str = "runs.toml";

/// Which runs belong to a parent folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// How many.
    pub runs: usize,
    /// Name of their configuration.
    pub preset: String,
    /// Their configuration, with the first of their seeds.
    pub config: Config,
}

impl Runs {
    /// `runs` runs of a configuration.
    pub fn new(runs: usize, preset: &str, config: Config) -> Result<Self, ConfigError> {
        let last = config.seed.checked_add(runs.saturating_sub(1) as u64);
        if last.is_none_or(|last| last > i64::MAX as u64) {
            let problem = format!("{runs} seeds from this one on are larger than any that can be written");
            return Err(ConfigError::Value { key: "seed", value: config.seed.to_string(), problem });
        }
        Ok(Runs { runs, preset: preset.into(), config })
    }

    /// Reads those of a parent; `None` if `parent` is none.
    pub fn read(parent: &Path) -> Result<Option<Self>, TrainError> {
        let path = parent.join(RUNS);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(source) => return Err(TrainError::File { action: "read", path, source }),
        };
        match toml::from_str(&text) {
            Ok(runs) => Ok(Some(runs)),
            Err(e) => Err(TrainError::Damaged { path, problem: e.message().to_string() }),
        }
    }

    /// Writes them into the folder `parent`. Jobs that do so together need different names, `job`.
    pub fn write(&self, parent: &Path, job: &str) -> Result<(), TrainError> {
        let text = toml::to_string(self).expect("plain values are always TOML");
        write_beside(&parent.join(RUNS), job, text.as_bytes())
    }

    /// Makes `parent` the folder of these runs, together with other jobs that do the same.
    pub fn join(&self, parent: &Path, job: &str) -> Result<(), TrainError> {
        let failed = |source| TrainError::File { action: "create", path: parent.to_path_buf(), source };
        std::fs::create_dir_all(parent).map_err(failed)?;
        match Self::read(parent)? {
            Some(found) if found == *self => return Ok(()),
            Some(_) => return Err(TrainError::OtherRuns(parent.to_path_buf())),
            None => {}
        }
        for file in std::fs::read_dir(parent).map_err(failed)? {
            // Another job may be writing the list this very moment.
            let name = file.map_err(failed)?.file_name();
            if !name.to_string_lossy().starts_with(RUNS) {
                return Err(TrainError::FolderTaken(parent.to_path_buf()));
            }
        }
        self.write(parent, job)
    }

    /// Writes summary.tsv and summary.json into the folder `parent`.
    pub fn write_summary(&self, parent: &Path, job: &str, tsv: &str, json: &str) -> Result<(), TrainError> {
        write_beside(&parent.join("summary.tsv"), job, tsv.as_bytes())?;
        write_beside(&parent.join("summary.json"), job, json.as_bytes())
    }

    /// Configuration of run `index` (from 0).
    pub fn config(&self, index: usize) -> Config {
        Config { seed: self.config.seed + index as u64, ..self.config.clone() }
    }

    /// Folder of run `index` (from 0).
    pub fn folder(&self, parent: &Path, index: usize) -> PathBuf {
        parent.join(self.name(index))
    }

    /// Name of run `index` (from 0).
    pub fn name(&self, index: usize) -> String {
        format!("seed_{}", self.config(index).seed)
    }
}
