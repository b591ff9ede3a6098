//! The configuration of a run: one flat table, in TOML.

use super::start::Init;
use crate::data::ImageSet;
use crate::data::images::{Fit, UnknownFit};
use crate::model::{Kind, Spec, UnknownModel};
use crate::nn::{EncoderKind, UnknownEncoder};
use crate::tape::Padding;
use crate::warp::{self, Module, Sequence, SequenceError};
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
    /// Extent in pixels of the windows of morphology, odd.
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

/// Control points along a side of thin-plate splines: fewer do not span a plane, and with many more the constants of
/// the spline would take minutes to compute.
const GRID_SIZES: std::ops::RangeInclusive<usize> = 2..=32;

/// Height and width of images that are brought to a size.
const IMAGE_SIZES: std::ops::RangeInclusive<usize> = 4..=1024;

/// Least variance that is added in a mixture: the standard deviation of an eighth of a grey level of 256.
const LEAST_VARIANCE: f64 = 2.5e-7;

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

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No preset of that name.
    #[error(
        "unknown preset '{name}'{}; the presets are: {known} (or give the path of a .toml file, or of a folder of images)",
        did_you_mean(nearest)
    )]
    UnknownPreset {
        /// The name.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
        /// All of them.
        known: String,
    },
    /// A key that does not exist.
    #[error("unknown key '{key}' in {origin}{}; the keys are: {}", did_you_mean(nearest), KEYS.join(", "))]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it was read.
        origin: String,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("{origin}: {message}")]
    Syntax {
        /// Where it was read.
        origin: String,
        /// What the parser says.
        message: String,
    },
    /// `--set` without an equals sign.
    #[error("'--set {0}' is not of the form key=value")]
    NotAnAssignment(String),
    /// A value out of range.
    #[error("{key} = {value}: {problem}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A sequence of transformations that cannot be understood.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// A way to bring images to their size that does not exist.
    #[error(transparent)]
    Fit(#[from] UnknownFit),
    /// An encoder that does not exist.
    #[error(transparent)]
    Encoder(#[from] UnknownEncoder),
    /// A model that does not exist.
    #[error(transparent)]
    Model(#[from] UnknownModel),
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or(String::new(), |n| format!(" (did you mean '{n}'?)"))
}

/// The name most similar to `name`, if any is similar at all.
pub(super) fn nearest(name: &str, names: &[&str]) -> Option<String> {
    let score = |other: &&str| strsim::jaro_winkler(name, other);
    let best = names.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) > 0.7).then(|| best.to_string())
}

impl Config {
    /// Reads a configuration; keys that are not given keep their defaults.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| syntax(origin, &e, text))?;
        Self::from_table(table, origin)
    }

    /// Replaces values by assignments `key=value`; strings need no quotes.
    pub fn set<S: AsRef<str>>(self, assignments: &[S]) -> Result<Self, ConfigError> {
        let mut table = toml::Table::try_from(&self).expect("plain values are always TOML");
        for assignment in assignments.iter().map(AsRef::as_ref) {
            let not_one = || ConfigError::NotAnAssignment(assignment.into());
            let (key, value) = assignment.split_once('=').ok_or_else(not_one)?;
            let (key, value) = (key.trim(), value.trim());
            let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
            let mut parsed = parsed.unwrap_or_else(|| toml::Value::String(value.into()));
            // A whole number will do where a number is wanted.
            if let (Some(toml::Value::Float(_)), toml::Value::Integer(n)) = (table.get(key), &parsed) {
                parsed = toml::Value::Float(*n as f64);
            }
            table.insert(key.into(), parsed);
        }
        Self::from_table(table, "--set")
    }

    fn from_table(table: toml::Table, origin: &str) -> Result<Self, ConfigError> {
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(ConfigError::UnknownKey {
                key: key.clone(),
                origin: origin.into(),
                nearest: nearest(key, &KEYS),
            });
        }
        table.try_into().map_err(|e: toml::de::Error| syntax(origin, &e, ""))
    }

    /// The configuration as TOML with every key.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain values are always TOML")
    }

    /// The first key besides `epochs` in which `other` differs, with both values.
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let [mine, theirs] = [self, other].map(|c| toml::Table::try_from(c).expect("plain values are always TOML"));
        let differs = |(key, value): &(&String, &toml::Value)| *key != "epochs" && theirs.get(*key) != Some(value);
        let (key, value) = mine.iter().find(differs)?;
        Some((key.clone(), value.to_string(), theirs.get(key).map_or(String::new(), toml::Value::to_string)))
    }

    /// Checks every value by itself and against the others.
    pub fn check(&self) -> Result<Sequence, ConfigError> {
        let wrong = |key: &'static str, value: &dyn std::fmt::Debug, problem: &str| {
            Err(ConfigError::Value { key, value: format!("{value:?}"), problem: problem.into() })
        };
        let sequence: Sequence = self.sequence.parse()?;
        self.encoder.parse::<EncoderKind>()?;
        self.model.parse::<Kind>()?;
        self.init.parse::<Init>()?;
        self.padding()?;
        self.fit.parse::<Fit>()?;
        if self.image_size > 0 && !IMAGE_SIZES.contains(&self.image_size) {
            let (least, most) = (IMAGE_SIZES.start(), IMAGE_SIZES.end());
            let problem = format!("images are brought to {least} to {most} pixels a side, or with 0 taken as they are");
            return wrong("image_size", &self.image_size, &problem);
        }
        if self.clusters == 0 {
            return wrong("clusters", &self.clusters, "at least one prototype is needed");
        }
        if !GRID_SIZES.contains(&self.grid_size) {
            let (least, most) = (GRID_SIZES.start(), GRID_SIZES.end());
            let problem = format!("thin-plate splines need from {least} to {most} control points along a side");
            return wrong("grid_size", &self.grid_size, &problem);
        }
        if self.kernel_size.is_multiple_of(2) {
            return wrong("kernel_size", &self.kernel_size, "the windows of morphology need an odd extent");
        }
        if self.batch_size == 0 {
            return wrong("batch_size", &self.batch_size, "a step needs at least one image");
        }
        if self.epochs == 0 {
            return wrong("epochs", &self.epochs, "at least one epoch is needed");
        }
        if self.check_cluster_interval == 0 || self.eval_interval == 0 {
            let key = if self.eval_interval == 0 { "eval_interval" } else { "check_cluster_interval" };
            return wrong(key, &0, "an interval is at least 1");
        }
        for (key, value) in [("lr", self.lr), ("lr_gamma", self.lr_gamma), ("sigma_init", self.sigma_init)] {
            if !(value > 0.0 && value.is_finite()) {
                return wrong(key, &value, "a positive number is needed");
            }
        }
        for (key, value) in [
            ("weight_decay", self.weight_decay),
            ("gaussian_weights_std", self.gaussian_weights_std),
            ("empty_cluster_threshold", self.empty_cluster_threshold),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return wrong(key, &value, "zero or a positive number is needed");
            }
        }
        if !(self.var_min >= LEAST_VARIANCE && self.var_min.is_finite()) {
            let problem = format!(
                "variances collapse onto pixels that never change unless at least {LEAST_VARIANCE:e} is added to them"
            );
            return wrong("var_min", &self.var_min, &problem);
        }
        if self.empty_cluster_threshold > 1.0 {
            let problem = "a share of the mean cluster size, between 0 and 1, is needed";
            return wrong("empty_cluster_threshold", &self.empty_cluster_threshold, problem);
        }
        if self.curriculum.len() != sequence.0.len() {
            let problem = format!(
                "'{sequence}' has {} transformations after the identity, and each needs the epoch after which it becomes active",
                sequence.0.len()
            );
            return wrong("curriculum", &self.curriculum, &problem);
        }
        if !self.curriculum.is_sorted() {
            return wrong("curriculum", &self.curriculum, "transformations become active in their order");
        }
        Ok(sequence)
    }

    /// Checks the configuration against a data set and says what model that makes.
    pub fn spec(&self, set: &ImageSet) -> Result<Spec, ConfigError> {
        let sequence = self.check()?;
        let wrong = |key: &'static str, value: usize, problem: String| {
            Err(ConfigError::Value { key, value: value.to_string(), problem })
        };
        if self.clusters > set.len() {
            let problem = format!("{} has only {} images, too few for so many prototypes", set.name, set.len());
            return wrong("clusters", self.clusters, problem);
        }
        if sequence.0.contains(&Module::Morpho) && self.kernel_size > set.height.min(set.width) {
            let problem = format!("windows of morphology do not fit {} pixels by {}", set.height, set.width);
            return wrong("kernel_size", self.kernel_size, problem);
        }
        let encoder: EncoderKind = self.encoder.parse()?;
        if !sequence.0.is_empty() && set.height.min(set.width) < encoder.smallest() {
            let (least, h, w) = (encoder.smallest(), set.height, set.width);
            let problem =
                format!("its first window of {least}x{least} pixels does not fit images of {h} pixels by {w}");
            return Err(ConfigError::Value { key: "encoder", value: encoder.name().into(), problem });
        }
        let std = self.gaussian_weights_std;
        Ok(Spec {
            model: self.model.parse()?,
            min_variance: self.var_min as f32,
            k: self.clusters,
            channels: set.channels,
            height: set.height,
            width: set.width,
            encoder,
            sequence,
            options: warp::Options {
                grid_size: self.grid_size,
                kernel_size: self.kernel_size,
                ..warp::Options::default()
            },
            padding: self.padding()?,
            gaussian_weights: (std > 0.0).then_some(std),
        })
    }

    fn padding(&self) -> Result<Padding, ConfigError> {
        match self.padding.as_str() {
            "border" => Ok(Padding::Border),
            "zeros" => Ok(Padding::Zeros),
            other => Err(ConfigError::Value {
                key: "padding",
                value: other.into(),
                problem: "the paddings are border and zeros".into(),
            }),
        }
    }
}

/// The parser's message in one line, with the line of the text where it is known.
fn syntax(origin: &str, error: &toml::de::Error, text: &str) -> ConfigError {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = line.filter(|_| !text.is_empty()).map_or(String::new(), |line| format!(", line {line}"));
    let message = error.to_string();
    // What follows the first line of the parser's message is the text itself, or the key that it is about.
    let key = message.lines().find_map(|l| l.trim().strip_prefix("in `"));
    let key = key.map_or(String::new(), |k| format!("{}: ", k.trim_end_matches('`')));
    ConfigError::Syntax { origin: format!("{origin}{place}"), message: format!("{key}{}", error.message()) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("padding=mirror", "border and zeros"),
            ("fit=squash", "crop, stretch or pad"),
            ("image_size=2", "4 to 1024 pixels a side"),
            ("curriculum=[1,2]", "0 transformations after the identity"),
        ] {
            assert!(message(assignment).contains(expected), "{assignment}: {}", message(assignment));
        }
    }
}
