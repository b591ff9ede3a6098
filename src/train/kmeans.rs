//! K-means on pixels: Lloyd's algorithm from k-means++ seeds, for starting prototypes.

use rand::{Rng, RngExt};
use rayon::prelude::*;

/// Runs from different seeds; the best is kept.
const RUNS: usize = 10;
/// Rounds of a run at most.
const ROUNDS: usize = 300;
/// A run ends when a round improves the cost by no more than this share of it.
const TOLERANCE: f64 = 1e-4;

/// Clusters of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Means `[K,n]`.
    pub centres: Vec<f32>,
    /// Cluster of each sample.
    pub assignments: Vec<usize>,
    /// Sum of the squared distances of the samples to their centres.
    pub cost: f64,
}

/// Clusters samples of `n` numbers; `k` is no larger than the number of samples.
pub fn kmeans(samples: &[f32], n: usize, k: usize, rng: &mut dyn Rng) -> Clusters {
    let mut best = lloyd(samples, n, seeds(samples, n, k, rng));
    for _ in 1..RUNS {
        let other = lloyd(samples, n, seeds(samples, n, k, rng));
        if other.cost < best.cost {
            best = other;
        }
    }
    best
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    // Sums of eight in f32 keep the loop in vector registers.
    let square = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    a.chunks(64).zip(b.chunks(64)).map(|pair| f64::from(square(pair))).sum()
}

/// k-means++ (Arthur and Vassilvitskii 2007): each seed is a sample drawn with a probability proportional to its squared
/// distance to the seeds before it.
fn seeds(samples: &[f32], n: usize, k: usize, rng: &mut dyn Rng) -> Vec<f32> {
    let count = samples.len() / n;
    let mut centres = samples[rng.random_range(0..count) * n..][..n].to_vec();
    let mut nearest = vec![f64::INFINITY; count];
    for _ in 1..k {
        let last = &centres[centres.len() - n..];
        nearest.par_iter_mut().zip(samples.par_chunks(n)).for_each(|(d, x)| *d = d.min(squared_distance(x, last)));
        let mut target = rng.random::<f64>() * nearest.iter().sum::<f64>();
        let passes = |d: &f64| {
            target -= d;
            target < 0.0
        };
        // Where all samples are seeds already, any will do.
        let chosen = nearest.iter().position(passes).unwrap_or(count - 1);
        centres.extend_from_slice(&samples[chosen * n..][..n]);
    }
    centres
}

fn lloyd(samples: &[f32], n: usize, mut centres: Vec<f32>) -> Clusters {
    let k = centres.len() / n;
    let mut before = f64::INFINITY;
    for round in 0.. {
        let found: Vec<(usize, f64)> = samples.par_chunks(n).map(|x| nearest_centre(x, &centres, n)).collect();
        let cost: f64 = found.iter().map(|f| f.1).sum();
        if round == ROUNDS || before - cost <= TOLERANCE * before.min(f64::MAX) {
            return Clusters { centres, assignments: found.into_iter().map(|f| f.0).collect(), cost };
        }
        before = cost;
        centres.par_chunks_mut(n).enumerate().for_each(|(c, centre)| {
            let members = found.iter().enumerate().filter(|(_, f)| f.0 == c).map(|(i, _)| &samples[i * n..][..n]);
            let mut sum = vec![0.0f64; n];
            let mut count = 0;
            for member in members {
                sum.iter_mut().zip(member).for_each(|(s, &x)| *s += f64::from(x));
                count += 1;
            }
            // A centre that lost all its samples stays where it is.
            if count > 0 {
                centre.iter_mut().zip(&sum).for_each(|(c, s)| *c = (s / f64::from(count)) as f32);
            }
        });
    }
    unreachable!("rounds are limited to {ROUNDS} for {k} clusters")
}

fn nearest_centre(x: &[f32], centres: &[f32], n: usize) -> (usize, f64) {
    let distances = centres.chunks(n).map(|c| squared_distance(x, c)).enumerate();
    distances.fold((0, f64::INFINITY), |best, now| if now.1 < best.1 { now } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Four groups of points around the corners of a square.
    fn corners() -> Vec<f32> {
        let point = |i: usize| {
            let (corner, j) = (i % 4, i / 4);
            let near = [0.1 * (j % 5) as f32 - 0.2, 0.1 * (j / 5) as f32 - 0.2];
            [10.0 * (corner % 2) as f32 + near[0], 10.0 * (corner / 2) as f32 + near[1]]
        };
        (0..100).flat_map(point).collect()
    }

    #[test]
    fn separate_groups_are_found() {
        let samples = corners();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let found = kmeans(&samples, 2, 4, &mut rng);
        let mut centres: Vec<[i32; 2]> =
            found.centres.chunks(2).map(|c| [c[0].round() as i32, c[1].round() as i32]).collect();
        centres.sort_unstable();
        assert_eq!(centres, [[0, 0], [0, 10], [10, 0], [10, 10]]);
        // 25 points on a lattice of step 0.1 around each corner: 25 * 2 * 0.02 per group.
        assert!((found.cost - 4.0).abs() < 1e-3, "{}", found.cost);
        assert!(found.assignments.iter().enumerate().all(|(i, &a)| a == found.assignments[i % 4]));
    }

    #[test]
    fn as_many_clusters_as_samples_and_equal_samples_do_not_fail() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let found = kmeans(&[1.0, 2.0, 4.0], 1, 3, &mut rng);
        assert_eq!(found.cost, 0.0);
        let same = kmeans(&[0.5; 6], 2, 3, &mut rng);
        assert_eq!((same.cost, same.centres), (0.0, vec![0.5; 6]));
    }
}
