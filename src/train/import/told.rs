//! What a checkpoint tells about its model: by the arguments kept in it, and by names and shapes of its tensors.

use super::{ImportError, Published};
use crate::model::Kind;
use crate::nn::EncoderKind;
use crate::torch::{Item, Tensor};
use crate::train::{Config, ConfigError};
use crate::warp::{Module, Options, Sequence};
use std::collections::BTreeMap;

/// The model that these tensors are of.
pub fn kind(state: &BTreeMap<String, Tensor>) -> Option<Kind> {
    let has = |name: &str| state.contains_key(name);
    if has("mus") && has("sigmas") {
        return Some(Kind::Gmm);
    }
    has("prototypes").then_some(Kind::Kmeans)
}

/// The tensor that holds one image for each cluster, `[K,C,H,W]`.
pub fn prototypes(kind: Kind) -> &'static str {
    match kind {
        Kind::Kmeans => "prototypes",
        Kind::Gmm => "mus",
    }
}

impl Published {
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
    pub(super) fn active(&self, sequence: &Sequence) -> Result<usize, ImportError> {
        let name = "transformer.tsf_sequences.0.activations";
        let all = sequence.0.len();
        let Some(tensor) = self.state.get(name) else { return Ok(all) };
        let active = self.file.read(name, tensor)?.into_iter().take_while(|&a| a != 0.0).count();
        Ok(active.saturating_sub(1).min(all))
    }
}
