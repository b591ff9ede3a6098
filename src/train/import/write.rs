//! A checkpoint as a run folder.

use super::{ImportError, Published, listed};
use crate::cpu::CpuEngine;
use crate::data::ImageSet;
use crate::model::gaussian_weights;
use crate::tape::Store;
use crate::torch::{Item, Tensor, TorchError};
use crate::train::checkpoint::{Checkpoint, contents, fill};
use crate::train::run::WEIGHTS;
use crate::train::{Config, RunFolder, TrainError, Trainer};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Largest difference of the file's weights on the distance from Gaussian ones.
const SAME_WEIGHTS: f32 = 1e-3;

/// What an import left in the run folder.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Whole epochs that the model was trained for, 0 where the file does not say.
    pub epoch: usize,
    /// Transformations after the identity that were active.
    pub active: usize,
    /// Tensors of the file that nothing here corresponds to.
    pub left_over: Vec<String>,
}

impl Published {
    /// Writes a run folder for `set`, or nothing at all. `active` replaces what the file says about the curriculum.
    pub fn write(
        &self,
        run: &Path,
        config: &Config,
        set: &ImageSet,
        active: Option<usize>,
    ) -> Result<Imported, ImportError> {
        let [_, channels, height, width] = self.extents()?;
        let expected = [set.channels, set.height, set.width];
        if [channels, height, width] != expected {
            let (found, set) = ([channels, height, width], set.name.clone());
            return Err(ImportError::Images { path: self.path(), found, set, expected });
        }
        let spec = config.spec(set)?;
        let sequence = spec.sequence.clone();
        let active = match active {
            Some(active) if active > sequence.0.len() => return Err(ImportError::Active { active, sequence }),
            Some(active) => active,
            None => self.active(&sequence)?,
        };
        self.check_weights(config)?;
        let mut store = Store::new();
        let model = spec.declare(&mut store);
        let (mut values, left_over) = self.values(contents(model.as_ref(), &store), config)?;

        // The published epoch is the one under way.
        let epoch = self.file.root().get("epoch").and_then(Item::count).unwrap_or(0).saturating_sub(1);
        let mut engine = CpuEngine::new(None).map_err(TrainError::from)?;
        let checkpoint = Checkpoint { epoch, active };
        let mut trainer = Trainer::with_weights(config.clone(), set, &mut engine, |model, store, engine| {
            fill(model, store, engine, |name, _| {
                let missing = || TrainError::Damaged { path: self.path(), problem: format!("'{name}' is missing") };
                values.remove(name).ok_or_else(missing)
            })?;
            Ok(checkpoint)
        })?;
        let about = json!({
            "proteus": env!("CARGO_PKG_VERSION"),
            "imported": {
                "file": self.path().display().to_string(),
                "model": self.kind.published(),
                "epoch": epoch,
                "active": active,
                "left_over": left_over,
            },
        });
        let new = !run.exists();
        let folder = RunFolder::bare(run).map_err(|e| match e {
            TrainError::FolderTaken(path) => ImportError::FolderTaken(path),
            other => other.into(),
        })?;
        // The configuration comes last: without it a folder is no run.
        let written = trainer
            .save(&folder.file(WEIGHTS))
            .and_then(|()| folder.write("run.json", format!("{about:#}\n").as_bytes()))
            .and_then(|()| folder.write("config.toml", config.to_toml().as_bytes()));
        if let Err(error) = written {
            // The first error is the one to report.
            for name in [WEIGHTS, "run.json"] {
                let _ = std::fs::remove_file(folder.file(name));
            }
            if new {
                let _ = std::fs::remove_dir(run);
            }
            return Err(error.into());
        }
        Ok(Imported { epoch, active, left_over })
    }

    /// Weights on the distance, where the file has them, must be those of the configuration.
    fn check_weights(&self, config: &Config) -> Result<(), ImportError> {
        let Some(tensor) = self.state.get("loss_weights") else { return Ok(()) };
        let [_, c, h, w] = self.extents()?;
        let std = config.gaussian_weights_std;
        let found = self.file.read("loss_weights", tensor)?;
        let expected = gaussian_weights(c, h, w, std);
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= SAME_WEIGHTS;
        if found.len() != expected.len() || !found.iter().zip(&expected).all(near) {
            return Err(ImportError::Weights { path: self.path(), std });
        }
        Ok(())
    }

    /// The numbers of all tensors of `contents`, and the names of those that are not in it.
    #[expect(clippy::type_complexity, reason = "two results that are used at once")]
    fn values(
        &self,
        contents: Vec<(String, Vec<usize>)>,
        config: &Config,
    ) -> Result<(HashMap<String, Vec<f32>>, Vec<String>), ImportError> {
        let mut problems = Vec::new();
        for (name, expected) in &contents {
            match self.shape(name) {
                None => problems.push(format!("'{name}' is missing")),
                Some(found) if found != expected => {
                    problems.push(format!("'{name}' is of shape {found:?}, expected {expected:?}"));
                }
                Some(_) => {}
            }
        }
        if !problems.is_empty() {
            let Config { sequence, encoder, clusters, .. } = config.clone();
            let problems = listed(problems);
            return Err(ImportError::Tensors { path: self.path(), sequence, encoder, clusters, problems });
        }
        let wanted: BTreeSet<&str> = contents.iter().map(|(name, _)| name.as_str()).collect();
        let left = self.state.iter().filter(|(name, t)| !wanted.contains(name.as_str()) && !implied(name, t));
        let left_over = left.map(|(name, _)| name.clone()).collect();
        let mut values = HashMap::new();
        for (name, _) in contents {
            let numbers = self.file.read(&name, &self.state[&name])?;
            if !numbers.iter().all(|x| x.is_finite()) {
                let problem = "holds numbers that are not finite: its training diverged".into();
                return Err(TorchError::Tensor { path: self.path(), name, problem }.into());
            }
            values.insert(name, numbers);
        }
        Ok((values, left_over))
    }
}

/// Whether a published tensor follows from the configuration: constants, counters, heads without outputs.
fn implied(name: &str, tensor: &Tensor) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    name == "loss_weights"
        || name == "const"
        || matches!(last, "num_batches_tracked" | "identity" | "activations")
        || name.contains(".tps_grid.")
        || tensor.shape.contains(&0)
}
