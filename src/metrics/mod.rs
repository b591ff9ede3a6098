//! Clustering scores, all in f64.

pub mod accuracy;
pub mod assignment;
pub mod contingency;
pub mod mutual_information;
pub mod rand_index;

pub use contingency::Contingency;

/// Scores of a clustering against the true classes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Scores {
    /// Share of images whose cluster is mapped to their class.
    pub acc: f64,
    /// Normalised mutual information, arithmetic mean of the entropies.
    pub nmi: f64,
    /// Adjusted Rand index.
    pub ari: f64,
    /// Mean over the classes of the share of their images that is mapped to them.
    pub mean_class_acc: f64,
    /// For each class, the share of its images that is mapped to it; NaN for a class without images.
    pub class_acc: Vec<f64>,
    /// The class that each cluster is mapped to.
    pub cluster_to_class: Vec<u32>,
    /// Whether that map is the best one-to-one map (as many clusters as classes), not the majority class.
    pub one_to_one: bool,
}

/// Why a clustering cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// There is not one prediction for each true class.
    #[error("{truth} true classes but {predicted} predicted clusters: one of each is needed for every image")]
    Length {
        /// True classes given.
        truth: usize,
        /// Predicted clusters given.
        predicted: usize,
    },
    /// There is nothing to score.
    #[error("no images to score")]
    Empty,
    /// A true class is out of range.
    #[error("image {image} has class {class}, but there are only {classes} classes, from 0")]
    Class {
        /// Index of the image.
        image: usize,
        /// Its class.
        class: u32,
        /// Number of classes.
        classes: usize,
    },
    /// A predicted cluster is out of range.
    #[error("image {image} is in cluster {cluster}, but there are only {clusters} clusters, from 0")]
    Cluster {
        /// Index of the image.
        image: usize,
        /// Its cluster.
        cluster: u32,
        /// Number of clusters.
        clusters: usize,
    },
    /// The table of counts would not fit in memory.
    #[error("a table of {classes} classes by {clusters} clusters is too large")]
    Table {
        /// Number of classes.
        classes: usize,
        /// Number of clusters.
        clusters: usize,
    },
}

/// Scores `predicted` clusters (each below `clusters`) against `truth` (each below `classes`), one of each per image.
///
/// # Errors
/// [`ScoreError`] where the lengths differ, there is nothing to score, or a class or cluster is out of range.
pub fn score(truth: &[u32], predicted: &[u32], classes: usize, clusters: usize) -> Result<Scores, ScoreError> {
    let table = Contingency::new(truth, predicted, classes, clusters)?;
    let cluster_to_class = accuracy::cluster_to_class(&table);
    let class_acc = accuracy::class_accuracy(&table, &cluster_to_class);
    Ok(Scores {
        acc: accuracy::accuracy(&table, &cluster_to_class),
        nmi: mutual_information::normalised_mutual_information(&table),
        ari: rand_index::adjusted_rand_index(&table),
        mean_class_acc: accuracy::mean_class_accuracy(&class_acc),
        class_acc,
        one_to_one: accuracy::is_one_to_one(&table),
        cluster_to_class,
    })
}

/// Images in each of `k` clusters. Predictions of `k` or more are not counted.
pub fn cluster_sizes(predicted: &[u32], k: usize) -> Vec<usize> {
    let mut sizes = vec![0; k];
    for &cluster in predicted {
        if let Some(size) = sizes.get_mut(cluster as usize) {
            *size += 1;
        }
    }
    sizes
}
