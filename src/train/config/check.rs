//! Whether a configuration can be used, by itself and with a data set.

use super::{Config, ConfigError};
use crate::data::ImageSet;
use crate::data::images::Fit;
use crate::model::{Kind, Spec};
use crate::nn::EncoderKind;
use crate::tape::{LARGEST_WINDOW, Padding};
use crate::train::start::Init;
use crate::warp::{self, Module, Sequence};

/// Control points along a side of thin-plate splines: fewer do not span a plane, and with many more the constants of
/// the spline would take minutes to compute.
const GRID_SIZES: std::ops::RangeInclusive<usize> = 2..=32;

/// Height and width of images that are brought to a size.
const IMAGE_SIZES: std::ops::RangeInclusive<usize> = 4..=1024;

/// Least variance that is added in a mixture: the standard deviation of an eighth of a grey level of 256.
const LEAST_VARIANCE: f64 = 2.5e-7;

impl Config {
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
        if self.kernel_size > LARGEST_WINDOW {
            let problem = format!("the windows of morphology are {LARGEST_WINDOW} pixels wide at most");
            return wrong("kernel_size", &self.kernel_size, &problem);
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
                "'{sequence}' has {} transformation{} after the identity, and each needs the epoch after which it becomes \
                 active, in order: as many as in --set \"curriculum={:?}\"",
                sequence.0.len(),
                if sequence.0.len() == 1 { "" } else { "s" },
                (1..=sequence.0.len()).map(|i| 3 * i).collect::<Vec<_>>()
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
