//! Checkpoints of the published code as run folders.

use super::checkpoint::{Checkpoint, contents, fill};
use super::config::{Config, ConfigError};
use super::error::TrainError;
use super::run::WEIGHTS;
use super::run_folder::RunFolder;
use super::trainer::Trainer;
use crate::cpu::CpuEngine;
use crate::data::ImageSet;
use crate::model::{Kind, gaussian_weights};
use crate::nn::EncoderKind;
use crate::tape::Store;
use crate::torch::{Item, Tensor, TorchError, TorchFile};
use crate::warp::{Module, Options, Sequence};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Names of tensors that a message lists before it counts the rest.
const LISTED: usize = 4;
/// Largest difference of the file's weights on the distance from Gaussian ones.
const SAME_WEIGHTS: f32 = 1e-3;

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
    #[error("--active {active}: '{sequence}' has {} transformations after the identity", sequence.0.len())]
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

/// The model that these tensors are of.
fn kind(state: &BTreeMap<String, Tensor>) -> Option<Kind> {
    let has = |name: &str| state.contains_key(name);
    if has("mus") && has("sigmas") {
        return Some(Kind::Gmm);
    }
    has("prototypes").then_some(Kind::Kmeans)
}

/// The tensor that holds one image for each cluster, `[K,C,H,W]`.
fn prototypes(kind: Kind) -> &'static str {
    match kind {
        Kind::Kmeans => "prototypes",
        Kind::Gmm => "mus",
    }
}

/// A checkpoint of the published code.
#[derive(Clone, Debug)]
pub struct Published {
    file: TorchFile,
    kind: Kind,
    /// Tensors by name.
    state: BTreeMap<String, Tensor>,
}

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
    /// Opens a checkpoint, or a state dict without anything around it.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let file = TorchFile::open(path)?;
        let root = file.root();
        let entries = root.get("model_state").unwrap_or(root).entries();
        let mut state = BTreeMap::new();
        for (name, item) in &entries {
            // Trained on several devices, every name begins with `module.`.
            let name = name.strip_prefix("module.").unwrap_or(name);
            if let Ok(tensor) = item.tensor() {
                state.insert(name.to_string(), tensor);
            }
        }
        let Some(kind) = kind(&state) else {
            let names = root.entries().into_iter().map(|(name, _)| format!("'{name}'"));
            return Err(ImportError::NoModel { path: path.into(), found: listed(names.collect()) });
        };
        Ok(Published { file, kind, state })
    }

    fn path(&self) -> PathBuf {
        self.file.path().into()
    }

    /// An argument that the model was made with.
    fn argument(&self, name: &str) -> Option<Item<'_>> {
        self.file.root().get("model_kwargs")?.get(name)
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.state.get(name).map(|t| &t.shape[..])
    }

    /// K, C, H, W.
    fn extents(&self) -> Result<[usize; 4], ImportError> {
        let name = prototypes(self.kind);
        let shape = self.shape(name).unwrap_or_default();
        shape.try_into().map_err(|_| {
            let problem = format!("is of shape {shape:?}, expected [K,C,H,W]");
            TorchError::Tensor { path: self.path(), name: name.into(), problem }.into()
        })
    }

    /// `base` with what the file says about the model, and then with `assignments`.
    pub fn config(&self, mut config: Config, assignments: &[String]) -> Result<Config, ImportError> {
        config.model = self.kind.name().into();
        if let Some(variance) = self.argument("var_min").and_then(Item::number) {
            config.var_min = variance;
        }
        let given = |key: &str| assignments.iter().any(|a| a.split('=').next().is_some_and(|k| k.trim() == key));
        config.clusters = self.extents()?[0];
        if !given("sequence") {
            let (sequence, options) = self.sequence()?;
            config.sequence = sequence.to_string();
            (config.grid_size, config.kernel_size) = (options.grid_size, options.kernel_size);
        }
        if !given("encoder")
            && let Some(encoder) = self.encoder()?
        {
            config.encoder = encoder;
        }
        config.padding = self.argument("padding_mode").and_then(Item::text).unwrap_or("border").into();
        config.gaussian_weights_std = 0.0;
        if self.argument("gaussian_weights").and_then(Item::truth) == Some(true) {
            config.gaussian_weights_std =
                self.argument("gaussian_weights_std").and_then(Item::number).unwrap_or_default();
        }
        if let Some(threshold) = self.argument("empty_cluster_threshold").and_then(Item::number) {
            // Published as a share of all images.
            config.empty_cluster_threshold = (threshold * config.clusters as f64).clamp(0.0, 1.0);
        }
        if self.argument("reassign_cluster").and_then(Item::truth) == Some(false) {
            config.empty_cluster_threshold = 0.0;
        }
        let epochs = self.argument("curriculum_learning").map(Item::items).unwrap_or_default();
        config.curriculum = epochs.into_iter().filter_map(Item::count).collect();
        let mut config = config.set(assignments)?;
        if !given("curriculum") {
            // Without a curriculum everything is active from the start.
            let sequence: Sequence = config.sequence.parse().map_err(ConfigError::from)?;
            config.curriculum.resize(sequence.0.len(), 0);
            config.curriculum.sort_unstable();
        }
        if self.state.contains_key("loss_weights") && config.gaussian_weights_std == 0.0 {
            let problem = "its distance is weighted, but how is not said".into();
            return Err(ImportError::Unclear { path: self.path(), problem, key: "gaussian_weights_std" });
        }
        config.check()?;
        Ok(config)
    }

    /// The transformations, told by the identity that each keeps as a constant and by the parameters it predicts.
    fn sequence(&self) -> Result<(Sequence, Options), ImportError> {
        let mut options = Options::default();
        let mut modules = Vec::new();
        let channels = self.extents()?[1];
        for number in 0.. {
            let name = format!("transformer.tsf_sequences.0.tsf_modules.{number}");
            let prefix = format!("{name}.");
            if !self.state.keys().any(|k| k.starts_with(&prefix)) {
                break;
            }
            let identity = self.shape(&format!("{name}.identity"));
            let outputs = self.shape(&format!("{name}.regressor.4.bias"));
            let splines = self.state.keys().any(|k| k.starts_with(&format!("{name}.tps_grid.")));
            match (number, identity, outputs) {
                // The leading identity predicts nothing.
                (0, Some([0]), None) => {}
                (1.., Some([points, 2]), Some([p])) if splines && points.checked_mul(2) == Some(*p) => {
                    options.grid_size = points.isqrt();
                    modules.push(Module::Tps);
                }
                (1.., Some([2, 3]), Some([6])) => modules.push(Module::Affine),
                (1.., Some([3, 3]), Some([9])) => modules.push(Module::Projective),
                (1.., Some([a, b]), Some([p])) if *a == channels && a == b && channels.checked_mul(2) == Some(*p) => {
                    modules.push(Module::Color);
                }
                (1.., Some([n]), Some([p])) if n == p && *n > 1 => {
                    options.kernel_size = (n - 1).isqrt();
                    modules.push(Module::Morpho);
                }
                _ => {
                    let problem = format!("what '{name}' does cannot be told from its tensors");
                    return Err(ImportError::Unclear { path: self.path(), problem, key: "sequence" });
                }
            }
        }
        Ok((Sequence(modules), options))
    }

    /// Name of the encoder, told by its blocks; `None` where there is none.
    fn encoder(&self) -> Result<Option<String>, ImportError> {
        let prefix = "transformer.encoder.encoder.";
        if !self.state.keys().any(|k| k.starts_with(prefix)) {
            return Ok(None);
        }
        let blocks = |stage: usize| {
            let has = |block: &usize| self.state.contains_key(&format!("{prefix}{stage}.{block}.conv1.weight"));
            (0..).take_while(has).count()
        };
        let bottleneck = self.state.keys().any(|k| k.starts_with(prefix) && k.ends_with(".conv3.weight"));
        let name = match [3, 4, 5, 6, 7].map(blocks) {
            [n, a, b, 0, 0] if n > 0 && n == a && n == b => format!("resnet{}", 6 * n + 2),
            [0, 2, 2, 2, 2] if !bottleneck => "resnet18".into(),
            _ => {
                let named = self.argument("encoder_name").and_then(Item::text);
                named
                    .ok_or_else(|| ImportError::Unclear {
                        path: self.path(),
                        problem: "what its encoder is cannot be told from its tensors".into(),
                        key: "encoder",
                    })?
                    .into()
            }
        };
        name.parse::<EncoderKind>().map_err(ConfigError::from)?;
        Ok(Some(name))
    }

    /// Transformations after the identity that were active.
    fn active(&self, sequence: &Sequence) -> Result<usize, ImportError> {
        let name = "transformer.tsf_sequences.0.activations";
        let all = sequence.0.len();
        let Some(tensor) = self.state.get(name) else { return Ok(all) };
        let active = self.file.read(name, tensor)?.into_iter().take_while(|&a| a != 0.0).count();
        Ok(active.saturating_sub(1).min(all))
    }

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

    /// One line about the model.
    pub fn describe(&self, config: &Config) -> String {
        let Config { clusters, sequence, encoder, .. } = config;
        format!("{}, {clusters} prototypes, {sequence}, {encoder}", self.kind.published())
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

/// The first few of some items, and how many more there are.
fn listed(items: Vec<String>) -> String {
    let more = items.len().saturating_sub(LISTED);
    let shown = items[..items.len() - more].join(", ");
    match (items.len(), more) {
        (0, _) => "nothing by name".into(),
        (_, 0) => shown,
        _ => format!("{shown} and {more} more"),
    }
}
