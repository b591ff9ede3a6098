//! Values that clusters start from.

use super::config::{Config, ConfigError};
use super::kmeans::kmeans;
use crate::data::ImageSet;
use crate::model::Start;
use rand::{Rng, RngExt};
use std::fmt;
use std::str::FromStr;

/// Samples for each cluster that k-means looks at, at most.
const SAMPLES: usize = 100;
/// Value of the pixels of constant prototypes.
const CONSTANT: f32 = 0.5;

/// How prototypes start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Distinct random images of the set.
    Sample,
    /// Pixels drawn uniformly from 0 to 1.
    Noise,
    /// The same grey everywhere.
    Constant,
    /// Centres found by K-means on pixels.
    Kmeans,
}

impl Init {
    /// All of them.
    pub const ALL: [Init; 4] = [Init::Sample, Init::Noise, Init::Constant, Init::Kmeans];

    /// The name used in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Init::Sample => "sample",
            Init::Noise => "noise",
            Init::Constant => "constant",
            Init::Kmeans => "kmeans",
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Init {
    type Err = ConfigError;

    /// Accepts the names above and the published `soup` for noise.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let plain = if name == "soup" { "noise" } else { name };
        Self::ALL.into_iter().find(|i| i.name() == plain).ok_or_else(|| ConfigError::Value {
            key: "init",
            value: name.into(),
            problem: format!("prototypes can start from {}", Self::ALL.map(Self::name).join(", ")),
        })
    }
}

/// Values drawn as the configuration says.
pub fn start(config: &Config, set: &ImageSet, rng: &mut dyn Rng) -> Result<Start, ConfigError> {
    let (k, item) = (config.clusters, set.image_bytes());
    let images = |count: usize, rng: &mut dyn Rng| -> Vec<f32> {
        let chosen = rand::seq::index::sample(rng, set.len(), count);
        chosen.iter().flat_map(|i| set.image(i).iter().map(|&p| f32::from(p) / 255.0)).collect()
    };
    let deviations = vec![config.sigma_init as f32; k * item];
    let prototypes = match config.init.parse()? {
        Init::Sample => images(k, rng),
        Init::Noise => (0..k * item).map(|_| rng.random()).collect(),
        Init::Constant => vec![CONSTANT; k * item],
        Init::Kmeans => {
            let samples = images((SAMPLES * k).min(set.len()), rng);
            let found = kmeans(&samples, item, k, rng);
            let deviations = spread(&samples, &found.centres, &found.assignments, item, config.var_min);
            return Ok(Start { prototypes: found.centres, deviations });
        }
    };
    Ok(Start { prototypes, deviations })
}

/// Standard deviations `[K,n]` that, with `min_variance` added to their squares, give the variance of the samples of each
/// cluster, pixel by pixel.
fn spread(samples: &[f32], centres: &[f32], assignments: &[usize], n: usize, min_variance: f64) -> Vec<f32> {
    let mut sums = vec![0.0f64; centres.len()];
    let mut counts = vec![0usize; centres.len() / n];
    for (x, &cluster) in samples.chunks(n).zip(assignments) {
        counts[cluster] += 1;
        let centre = &centres[cluster * n..][..n];
        for ((sum, &x), &c) in sums[cluster * n..][..n].iter_mut().zip(x).zip(centre) {
            *sum += f64::from(x - c).powi(2);
        }
    }
    let deviation = |(i, sum): (usize, &f64)| {
        // One sample says nothing about the spread.
        let variance = sum / counts[i / n].saturating_sub(1).max(1) as f64;
        (variance - min_variance).max(0.0).sqrt() as f32
    };
    sums.iter().enumerate().map(deviation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn set() -> ImageSet {
        let pixels = (0..40 * 4).map(|p| (p * 37 % 251) as u8).collect();
        ImageSet::new("made", 1, 2, 2, pixels, None).expect("a set")
    }

    fn started(init: &str) -> Start {
        let config = Config { clusters: 5, init: init.into(), ..Config::default() };
        start(&config, &set(), &mut ChaCha8Rng::seed_from_u64(1)).expect("a start")
    }

    #[test]
    fn prototypes_start_as_asked() {
        let set = set();
        let is_image =
            |p: &[f32]| (0..set.len()).any(|i| set.image(i).iter().zip(p).all(|(&a, &b)| f32::from(a) / 255.0 == b));
        let sample = started("sample");
        assert!(sample.prototypes.chunks(4).all(is_image));
        assert!(sample.deviations.iter().all(|&s| s == 0.5));
        let noise = started("soup").prototypes;
        assert!(noise.iter().all(|p| (0.0..1.0).contains(p)) && !noise.chunks(4).all(is_image));
        assert_eq!(started("constant").prototypes, [0.5; 20]);
        let kmeans = started("kmeans");
        assert_eq!((kmeans.prototypes.len(), kmeans.deviations.len()), (20, 20));
        assert!(!kmeans.prototypes.chunks(4).all(is_image), "means of several images");
        let error = "mean".parse::<Init>().expect_err("no such start").to_string();
        assert!(error.contains("sample, noise, constant, kmeans"), "{error}");
    }

    #[test]
    fn the_spread_is_that_of_the_samples() {
        // Cluster 0: 1 and 3 around 2; cluster 1: a single sample.
        let found = spread(&[1.0, 3.0, 7.0], &[2.0, 7.0], &[0, 0, 1], 1, 0.5);
        assert!((f64::from(found[0]).powi(2) - 1.5).abs() < 1e-6, "{found:?}");
        assert_eq!(found[1], 0.0);
    }
}
