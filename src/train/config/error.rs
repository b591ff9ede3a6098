//! What can be wrong with a configuration.

use super::KEYS;
use crate::data::images::UnknownFit;
use crate::model::UnknownModel;
use crate::nn::UnknownEncoder;
use crate::warp::SequenceError;

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
    /// A data set of that name has none.
    #[error(
        "{0} is a data set without a preset: train it with --set, as in proteus train --set dataset={0} -k 20 --data DIR"
    )]
    NoPreset(String),
    /// A path that leads nowhere.
    #[error(
        "'{0}' is neither a folder of images nor a .toml file: there is nothing of that name, or it is another file"
    )]
    NoSuchPath(String),
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
pub fn nearest(name: &str, names: &[&str]) -> Option<String> {
    let score = |other: &&str| strsim::jaro_winkler(name, other);
    let best = names.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) > 0.7).then(|| best.to_string())
}
