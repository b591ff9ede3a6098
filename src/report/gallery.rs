//! Images that show what a cluster is, with the steps in which its prototype becomes each of them.

use crate::data::ImageSet;
use crate::train::{Clusters, Config, Evaluation, TrainError, Trainer};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

/// Images of a cluster on its band of aligned.png.
const SPREAD: usize = 8;
/// Most images of a kind that are shown of a cluster.
const MOST: usize = 8;
/// What the images of a page may come to, in bytes as they are encoded.
const BUDGET: f64 = 2.2e6;

/// Images of one cluster, as indices into the set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Band {
    /// Evenly from the nearest to the farthest.
    pub spread: Vec<usize>,
    /// Those of smallest distance, the nearest first.
    pub nearest: Vec<usize>,
    /// Some of them by the seed, in the order of the set.
    pub random: Vec<usize>,
    /// Those of largest distance, the farthest first.
    pub farthest: Vec<usize>,
}

/// Clusters with images of each.
#[derive(Clone, Debug)]
pub struct Gallery {
    /// Prototypes and, in a mixture, variances and weights.
    pub clusters: Clusters,
    /// One for each cluster.
    pub bands: Vec<Band>,
    /// Names of the transformations that take part, in order.
    pub names: Vec<&'static str>,
    /// The prototype and what it is after each transformation, `[n,C,H,W]` each.
    steps: Vec<Vec<f32>>,
    /// Which of the n an image is.
    places: HashMap<usize, usize>,
    item: usize,
}

impl Gallery {
    /// Images by an evaluation of the model in `trainer`, with the steps of its prototypes.
    ///
    /// # Errors
    /// If the configuration cannot be used or the device fails.
    pub fn new(
        config: &Config,
        set: &ImageSet,
        trainer: &mut Trainer,
        evaluation: &Evaluation,
    ) -> Result<Self, TrainError> {
        let (bands, sequence) = (bands(config, set, evaluation), config.check()?);
        let names = sequence.0.iter().take(trainer.active()).map(|module| module.name()).collect();
        let (mut images, mut chosen, mut places) = (Vec::new(), Vec::new(), HashMap::new());
        for (k, band) in bands.iter().enumerate() {
            for &i in [&band.spread, &band.nearest, &band.random, &band.farthest].into_iter().flatten() {
                places.entry(i).or_insert_with(|| {
                    images.push(i as u32);
                    chosen.push(k as u32);
                    images.len() - 1
                });
            }
        }
        let steps = trainer.chain(&images, &chosen)?;
        Ok(Gallery { clusters: trainer.clusters()?, bands, names, steps, places, item: set.image_bytes() })
    }

    /// The prototype on its way to image `i`: as it is, and after each transformation, `[C,H,W]` each. Empty for one that is
    /// not in a band.
    pub fn steps(&self, i: usize) -> Vec<&[f32]> {
        let Some(&place) = self.places.get(&i) else { return Vec::new() };
        self.steps.iter().map(|step| &step[place * self.item..][..self.item]).collect()
    }
}

fn bands(config: &Config, set: &ImageSet, evaluation: &Evaluation) -> Vec<Band> {
    let most = shown(config, set);
    let mut members = vec![Vec::new(); config.clusters];
    for (i, &k) in evaluation.assignments.iter().enumerate() {
        if let Some(members) = members.get_mut(k as usize) {
            members.push(i);
        }
    }
    let band = |(k, mut members): (usize, Vec<usize>)| {
        let mut random = members.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        rng.set_stream(k as u64);
        random.shuffle(&mut rng);
        random.truncate(most);
        random.sort_unstable();
        members.sort_by(|&a, &b| evaluation.distances[a].total_cmp(&evaluation.distances[b]));
        let count = members.len().min(SPREAD);
        // From the best to the worst, so that the picture does not flatter.
        let spread = (0..count).map(|i| members[i * (members.len() - 1) / (count.max(2) - 1)]).collect();
        let nearest = members.iter().take(most).copied().collect();
        let farthest = members.iter().rev().take(most).copied().collect();
        Band { spread, nearest, random, farthest }
    };
    members.into_iter().enumerate().map(band).collect()
}

/// How many images of a kind fit into a page.
fn shown(config: &Config, set: &ImageSet) -> usize {
    let tiles = (config.clusters * 3 * (2 + config.curriculum.len())) as f64;
    let tile = super::picture::encoded_size(set.channels, set.height, set.width);
    ((BUDGET / (tiles * tile)) as usize).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_chosen_by_distance_and_by_the_seed() {
        let set = ImageSet::new("toy", 1, 2, 2, vec![0; 4 * 40], None).expect("a set");
        let config = Config { clusters: 3, seed: 5, ..Config::default() };
        // Cluster 2 is empty; the distance falls with the index.
        let assignments: Vec<u32> = (0..40).map(|i| u32::from(i % 4 == 0)).collect();
        let distances: Vec<f32> = (0..40).map(|i| 40.0 - i as f32).collect();
        let evaluation = Evaluation::new(&set, assignments, distances.clone(), &distances, 3).expect("no scores");
        let found = bands(&config, &set, &evaluation);
        assert_eq!(found[1].nearest, [36, 32, 28, 24, 20, 16, 12, 8]);
        assert_eq!(found[1].farthest, [0, 4, 8, 12, 16, 20, 24, 28]);
        assert_eq!(found[1].spread.len(), SPREAD);
        assert_eq!((found[1].spread[0], found[1].spread[7]), (36, 0));
        assert!(found[0].random.is_sorted() && found[0].random.iter().all(|i| i % 4 != 0));
        assert_eq!(found[0].random.len(), MOST);
        assert_eq!(found[2], Band::default(), "an empty cluster");
        assert_eq!(bands(&config, &set, &evaluation), found, "the same seed, the same images");
        let other = bands(&Config { seed: 6, ..config }, &set, &evaluation);
        assert_ne!(other[0].random, found[0].random);
        assert_eq!(other[0].nearest, found[0].nearest);
    }
}
