//! The configuration of a run: one flat table, in TOML.

mod check;
mod error;
mod text;

pub use error::ConfigError;
pub(super) use error::nearest;

use super::start::Init;
use crate::data::images::Fit;
use crate::model::Kind;
use crate::warp;
use serde::{Deserialize, Serialize};

/// Everything that decides the result of a run besides the data and the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of a known data set, or path of a folder of images.
    pub dataset: String,
    /// Use only this many images, evenly spread over the set; 0 for all.
    pub limit: usize,
    /// Height and width in pixels that the images of a folder are brought to; 0 to take them as they are.
    pub image_size: usize,
    /// How: `crop`, `stretch` or `pad`.
    pub fit: String,
    /// What is trained: `kmeans` or `gmm`.
    pub model: String,
    /// Number of prototypes, K.
    pub clusters: usize,
    /// What prototypes start from: `sample`, `noise`, `constant` or `kmeans`.
    pub init: String,
    /// Standard deviation that the Gaussians of a mixture start from.
    pub sigma_init: f64,
    /// Added to the variances of a mixture.
    pub var_min: f64,
    /// Transformations in order, beginning with `identity`.
    pub sequence: String,
    /// Control points along a side of thin-plate splines.
    pub grid_size: usize,
    /// Extent in pixels of the windows of morphology, odd, at most [`crate::tape::LARGEST_WINDOW`].
    pub kernel_size: usize,
    /// Network that reads the images.
    pub encoder: String,
    /// What warps read outside a prototype: `border` or `zeros`.
    pub padding: String,
    /// Standard deviation in pixels of Gaussian weights on the distance; 0 for none.
    pub gaussian_weights_std: f64,
    /// Epochs after which each transformation after the identity becomes active.
    pub curriculum: Vec<usize>,
    /// Passes over the data.
    pub epochs: usize,
    /// Images of a step.
    pub batch_size: usize,
    /// Learning rate.
    pub lr: f64,
    /// Epochs after which the learning rate is multiplied by `lr_gamma`.
    pub lr_milestones: Vec<usize>,
    /// Factor at the milestones.
    pub lr_gamma: f64,
    /// L2 decay of the weights of encoder and heads.
    pub weight_decay: f64,
    /// Steps between two looks for empty clusters.
    pub check_cluster_interval: usize,
    /// Clusters smaller than this share of the mean cluster size restart from the largest; between 0 (never) and 1.
    pub empty_cluster_threshold: f64,
    /// Epochs between two evaluations.
    pub eval_interval: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// Names of all keys.
pub const KEYS: [&str; 26] = [
    "dataset",
    "limit",
    "image_size",
    "fit",
    "model",
    "clusters",
    "init",
    "sigma_init",
    "var_min",
    "sequence",
    "grid_size",
    "kernel_size",
    "encoder",
    "padding",
    "gaussian_weights_std",
    "curriculum",
    "epochs",
    "batch_size",
    "lr",
    "lr_milestones",
    "lr_gamma",
    "weight_decay",
    "check_cluster_interval",
    "empty_cluster_threshold",
    "eval_interval",
    "seed",
];

impl Default for Config {
    fn default() -> Self {
        Config {
            dataset: "mnist5k".into(),
            limit: 0,
            image_size: 0,
            fit: Fit::default().name().into(),
            model: Kind::Kmeans.name().into(),
            clusters: 10,
            init: Init::Sample.name().into(),
            sigma_init: 0.5,
            var_min: 0.0625,
            sequence: "identity".into(),
            grid_size: warp::Options::default().grid_size,
            kernel_size: warp::Options::default().kernel_size,
            encoder: "resnet20".into(),
            padding: "border".into(),
            gaussian_weights_std: 0.0,
            curriculum: Vec::new(),
            epochs: 20,
            batch_size: 128,
            lr: 1e-3,
            lr_milestones: Vec::new(),
            lr_gamma: 0.1,
            weight_decay: 1e-6,
            check_cluster_interval: 50,
            empty_cluster_threshold: 0.2,
            eval_interval: 1,
            seed: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_documented_with_its_default() {
        let text = include_str!("../../../docs/configuration.md");
        let table = toml::Table::try_from(Config::default()).expect("plain values");
        for (key, value) in &table {
            let row = text.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{key}`")));
            let row = row.unwrap_or_else(|| panic!("docs/configuration.md says nothing of {key}"));
            let default = row.split('|').nth(2).expect("a second column");
            let told = match value {
                toml::Value::Float(number) => default.split(',').any(|d| d.trim().parse() == Ok(*number)),
                toml::Value::String(text) => default.contains(text.as_str()),
                other => default.contains(&other.to_string()),
            };
            assert!(told, "docs/configuration.md: {key} is {value}, not {default}");
        }
    }

    #[test]
    fn the_list_of_keys_is_complete() {
        let table = toml::Table::try_from(Config::default()).expect("plain values");
        let mut keys: Vec<&str> = table.keys().map(String::as_str).collect();
        let mut known = KEYS.to_vec();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }

    #[test]
    fn a_configuration_survives_toml() {
        let config = Config { curriculum: vec![3, 4], lr: 0.25, ..Config::default() };
        assert_eq!(Config::from_toml(&config.to_toml(), "test").expect("its own text"), config);
    }

    #[test]
    fn assignments_replace_values() {
        let config = Config::default()
            .set(&["clusters=7", "lr=1", "sequence=identity affine", "curriculum=[2]", "padding = \"zeros\""])
            .expect("good assignments");
        assert_eq!((config.clusters, config.lr, config.curriculum.as_slice()), (7, 1.0, [2].as_slice()));
        assert_eq!((config.sequence.as_str(), config.padding.as_str()), ("identity affine", "zeros"));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |assignment: &str| {
            let changed = Config::default().set(&[assignment]);
            changed.and_then(|c| c.check().map(|_| ())).expect_err(assignment).to_string()
        };
        for (assignment, expected) in [
            ("batchsize=3", "did you mean 'batch_size'?"),
            ("clusters", "not of the form key=value"),
            ("clusters=many", "clusters"),
            ("clusters=0", "at least one prototype"),
            ("lr=-1", "a positive number"),
            ("lr=nan", "a positive number"),
            ("sequence=identity warp", "unknown transformation 'warp'"),
            ("encoder=vgg", "unknown encoder 'vgg'"),
            ("grid_size=1", "from 2 to 32 control points"),
            ("kernel_size=4", "an odd extent"),
            ("kernel_size=33", "31 pixels wide at most"),
            ("padding=mirror", "border and zeros"),
            ("fit=squash", "crop, stretch or pad"),
            ("image_size=2", "4 to 1024 pixels a side"),
            ("curriculum=[1,2]", "0 transformations after the identity"),
        ] {
            assert!(message(assignment).contains(expected), "{assignment}: {}", message(assignment));
        }
    }
}
