//! Time of whole training steps.

use crate::data::{DataError, ImageSet, catalog};
use crate::tape::{Engine, Program};
use crate::train::{Config, ConfigError, TrainError, Trainer, preset};
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::Instant;

/// What is measured: a configuration, on noise of its image size, since the work does not depend on the pixels.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Name of the preset.
    pub preset: String,
    /// Its configuration with the user's changes; its curriculum ends before it begins, except where a stage is asked for.
    pub config: Config,
    /// Channels, height and width of the images.
    pub shape: (usize, usize, usize),
    /// Transformations that are active.
    pub active: usize,
    /// Steps that are timed, after as many that are not.
    pub steps: usize,
}

impl Subject {
    /// A preset with changes as for `--set`; `size` replaces the side of its images in pixels, and `active` limits the
    /// transformations that are active to the first so many after the identity.
    ///
    /// # Errors
    /// As of [`Config::set`] and [`Config::check`].
    pub fn new<S: AsRef<str>>(
        name: &str,
        changes: &[S],
        size: Option<usize>,
        active: Option<usize>,
        steps: usize,
    ) -> Result<Self, ConfigError> {
        let mut config = preset(name)?.set(changes)?;
        let sequence = config.check()?;
        let all = sequence.0.len();
        if let Some(active) = active.filter(|&active| active > all) {
            let problem = format!("'{sequence}' has the stages 0 to {all}");
            return Err(ConfigError::Value { key: "--stage", value: active.to_string(), problem });
        }
        let active = active.unwrap_or(all);
        for (i, milestone) in config.curriculum.iter_mut().enumerate() {
            *milestone = if i < active { 0 } else { config.epochs };
        }
        // Photographs are measured at the size of the published presets.
        let (c, h, w) = catalog::find(&config.dataset).map_or((3, 128, 128), |set| set.shape);
        let shape = size.map_or((c, h, w), |side| (c, side, side));
        // Prototypes start from images, so there are at least as many.
        let steps = steps.max(config.clusters.div_ceil(config.batch_size));
        Ok(Subject { preset: name.into(), config, shape, active, steps })
    }

    /// The program of its training step. A model is made on the engine for it.
    ///
    /// # Errors
    /// As of training.
    pub fn program(&self, engine: &mut dyn Engine) -> Result<Program, TrainError> {
        let set = self.images().map_err(TrainError::Data)?;
        Ok(Trainer::new(self.config.clone(), &set, engine)?.program(self.active))
    }

    /// Noise for every step.
    pub(super) fn images(&self) -> Result<ImageSet, DataError> {
        let (c, h, w) = self.shape;
        let hash = |i: usize| ((i as u32).wrapping_mul(2654435761) ^ (i as u32 >> 7).wrapping_mul(40503)) >> 13;
        let pixels = (0..self.config.batch_size * self.steps * c * h * w).map(|i| hash(i) as u8).collect();
        ImageSet::new("noise", c, h, w, pixels, None)
    }
}

/// How long training steps take. Serialised, it is a line of `proteus bench step --json`.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// Name of the preset.
    pub preset: String,
    /// `kmeans` or `gmm`.
    pub model: String,
    /// Transformations that are active, after the identity.
    pub active: usize,
    /// The device, by its name.
    pub device: String,
    /// `cpu` or `gpu`.
    pub engine: &'static str,
    /// Images of a step.
    pub batch: usize,
    /// Prototypes.
    pub k: usize,
    /// Channels, height and width of an image.
    pub image: [usize; 3],
    /// Steps timed.
    pub steps: usize,
    /// Median time of a step in milliseconds.
    pub ms_median: f64,
    /// Least time of a step in milliseconds.
    pub ms_min: f64,
    /// Half of the steps are within this much of the median, in milliseconds.
    pub ms_spread: f64,
    /// Images a second at the median.
    pub images_per_s: f64,
    /// 10^9 floating-point operations a second at the median, convolutions counted in the direct form.
    pub gflops: f64,
    /// 10^9 floating-point operations of a step.
    pub gflop: f64,
    /// Most bytes of device memory.
    pub peak_bytes: usize,
}

/// Times steps of a subject on an engine.
///
/// # Errors
/// As of training.
pub fn measure(subject: &Subject, engine: &mut dyn Engine) -> Result<StepReport, TrainError> {
    let set = subject.images().map_err(TrainError::Data)?;
    let (device, kind) = (engine.device(), engine.kind());
    let mut trainer = Trainer::new(subject.config.clone(), &set, engine)?;
    let times = step_times(&mut trainer)?;
    let flops = trainer.program(subject.active).flops() as f64;
    let config = &subject.config;
    let median = quantile(&times, 0.5);
    let (c, h, w) = subject.shape;
    Ok(StepReport {
        preset: subject.preset.clone(),
        model: config.model.to_string(),
        active: subject.active,
        device,
        engine: kind,
        batch: config.batch_size,
        k: config.clusters,
        image: [c, h, w],
        steps: subject.steps,
        ms_median: median * 1e3,
        ms_min: times[0] * 1e3,
        ms_spread: (quantile(&times, 0.75) - quantile(&times, 0.25)) / 2.0 * 1e3,
        images_per_s: config.batch_size as f64 / median,
        gflops: flops / median / 1e9,
        gflop: flops / 1e9,
        peak_bytes: trainer.peak_memory(),
    })
}

/// Seconds of each step of an epoch, ascending, after an epoch that compiles, allocates and warms up. A GPU reports every
/// few steps, and these are means of a few.
fn step_times(trainer: &mut Trainer) -> Result<Vec<f64>, TrainError> {
    let mut marks = Vec::new();
    for _ in 0..2 {
        marks = vec![(0, Instant::now())];
        trainer.train_epoch(&mut |done, _| {
            marks.push((done, Instant::now()));
            ControlFlow::Continue(())
        })?;
    }
    let between = |w: &[(usize, Instant)]| (w[1].1 - w[0].1).as_secs_f64() / (w[1].0 - w[0].0) as f64;
    let mut times: Vec<f64> = marks.windows(2).filter(|w| w[1].0 > w[0].0).map(between).collect();
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The value below which a share of ascending numbers lies.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0], 0.5), 1.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 0.5), 3.0);
    }

    #[test]
    fn a_stage_limits_the_transformations() {
        let subject = Subject::new("mnist", &["epochs=40"], None, Some(1), 3).expect("a stage");
        assert_eq!((subject.active, subject.config.curriculum), (1, vec![0, 40, 40]));
        assert_eq!(Subject::new("usps", &[""; 0], Some(20), None, 3).expect("a size").shape, (1, 20, 20));
    }
}
