//! The table that all scores are computed from: how many images of each class are in each cluster.

use super::ScoreError;

/// Counts of images by class (row) and cluster (column).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contingency {
    classes: usize,
    clusters: usize,
    counts: Vec<u64>,
}

impl Contingency {
    /// Counts `truth` (each below `classes`) against `predicted` (each below `clusters`), one of each per image.
    ///
    /// # Errors
    /// [`ScoreError`] where the lengths differ, there are no images, a class or cluster is out of range, or the table
    /// would be too large to hold.
    pub fn new(truth: &[u32], predicted: &[u32], classes: usize, clusters: usize) -> Result<Contingency, ScoreError> {
        if truth.len() != predicted.len() {
            return Err(ScoreError::Length { truth: truth.len(), predicted: predicted.len() });
        }
        if truth.is_empty() {
            return Err(ScoreError::Empty);
        }
        let cells = classes
            .checked_mul(clusters)
            .filter(|&cells| cells <= MOST_CELLS)
            .ok_or(ScoreError::Table { classes, clusters })?;
        let mut counts = vec![0_u64; cells];
        for (image, (&class, &cluster)) in truth.iter().zip(predicted).enumerate() {
            if class as usize >= classes {
                return Err(ScoreError::Class { image, class, classes });
            }
            if cluster as usize >= clusters {
                return Err(ScoreError::Cluster { image, cluster, clusters });
            }
            counts[class as usize * clusters + cluster as usize] += 1;
        }
        Ok(Contingency { classes, clusters, counts })
    }

    /// Number of classes, with images or not.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of clusters, with images or not.
    pub fn clusters(&self) -> usize {
        self.clusters
    }

    /// Number of images; never 0.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Images of `class` in `cluster`.
    ///
    /// # Panics
    /// If either is out of range, as indexing a slice does.
    pub fn count(&self, class: usize, cluster: usize) -> u64 {
        assert!(cluster < self.clusters, "cluster {cluster} of {}", self.clusters);
        self.counts[class * self.clusters + cluster]
    }

    /// Images of each class.
    pub fn class_sizes(&self) -> Vec<u64> {
        self.rows().map(|row| row.iter().sum()).collect()
    }

    /// Images in each cluster.
    pub fn cluster_sizes(&self) -> Vec<u64> {
        let mut sizes = vec![0; self.clusters];
        for row in self.rows() {
            for (size, count) in sizes.iter_mut().zip(row) {
                *size += count;
            }
        }
        sizes
    }

    /// One row of counts per class, one entry per cluster.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.clusters)
    }
}

/// 512 MiB of counts: a table beyond that is a mistake in the arguments, not a clustering.
const MOST_CELLS: usize = 1 << 26;
