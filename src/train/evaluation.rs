//! The result of comparing a whole data set with the prototypes.

use crate::data::ImageSet;
use crate::metrics::{ScoreError, Scores, cluster_sizes, score};

/// Assignments, loss and scores over a data set.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What training minimises, over all images: in K-means the mean distance to the winner.
    pub loss: f64,
    /// Winner of each image.
    pub assignments: Vec<u32>,
    /// Distance of each image to its winner.
    pub distances: Vec<f32>,
    /// Images of each cluster.
    pub sizes: Vec<usize>,
    /// Scores against the labels, where there are any, of the images that are [scored](ImageSet::scored).
    pub scores: Option<Scores>,
}

impl Evaluation {
    /// Scores assignments to `k` clusters; `costs` are what the images add to the loss.
    pub fn new(
        set: &ImageSet,
        assignments: Vec<u32>,
        distances: Vec<f32>,
        costs: &[f32],
        k: usize,
    ) -> Result<Self, ScoreError> {
        let loss = costs.iter().map(|&c| f64::from(c)).sum::<f64>() / costs.len() as f64;
        let sizes = cluster_sizes(&assignments, k);
        let scores = match &set.labels {
            // Images that only train come after the others.
            Some(labels) if set.scored > 0 => {
                Some(score(&labels[..set.scored], &assignments[..set.scored], set.classes, k)?)
            }
            _ => None,
        };
        Ok(Evaluation { loss, assignments, distances, sizes, scores })
    }

    /// Mean distance of the images of each cluster to it; `None` for an empty one.
    pub fn mean_distances(&self) -> Vec<Option<f64>> {
        let mut sums = vec![0.0; self.sizes.len()];
        for (&cluster, &distance) in self.assignments.iter().zip(&self.distances) {
            sums[cluster as usize] += f64::from(distance);
        }
        sums.iter().zip(&self.sizes).map(|(sum, &size)| (size > 0).then(|| sum / size as f64)).collect()
    }

    /// Largest cluster over the mean size: 1 is balanced.
    pub fn imbalance(&self) -> f64 {
        let mean = self.assignments.len() as f64 / self.sizes.len() as f64;
        self.sizes.iter().max().map_or(0.0, |&m| m as f64 / mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_only_train_do_not_count_in_scores() {
        let mut set = ImageSet::new("toy", 1, 1, 1, vec![0; 4], Some(vec![0, 1, 0, 1])).expect("a set");
        let evaluate = |set: &ImageSet| {
            let (winners, zeros) = (vec![0, 1, 1, 0], vec![0.0; 4]);
            Evaluation::new(set, winners, zeros.clone(), &zeros, 2).expect("scores")
        };
        let acc = |set: &ImageSet| evaluate(set).scores.map(|s| s.acc);
        assert_eq!(acc(&set), Some(0.5));
        set.scored = 2;
        assert_eq!(acc(&set), Some(1.0));
        assert_eq!(evaluate(&set).sizes, [2, 2], "sizes count all");
        set.scored = 0;
        assert_eq!(acc(&set), None);
        let distances = vec![1.0, 4.0, 2.0, 5.0];
        let evaluation = Evaluation::new(&set, vec![0, 2, 2, 0], distances.clone(), &distances, 3).expect("scores");
        assert_eq!(evaluation.mean_distances(), [Some(3.0), None, Some(3.0)]);
    }
}
