//! Clustering accuracy: the share of images whose cluster is mapped to their class.

use super::assignment::linear_sum_assignment;
use super::contingency::Contingency;

/// The class of each cluster, one entry per cluster.
///
/// With as many clusters as classes it is the best one-to-one map (Hungarian method); otherwise every cluster goes to
/// the class that most of its images have, the lowest such class on a tie, and class 0 where it is empty.
pub fn cluster_to_class(table: &Contingency) -> Vec<u32> {
    if table.classes() == table.clusters() { one_to_one(table) } else { majority(table) }
}

/// Whether [`cluster_to_class`] is a one-to-one map for this table.
pub fn is_one_to_one(table: &Contingency) -> bool {
    table.classes() == table.clusters()
}

fn one_to_one(table: &Contingency) -> Vec<u32> {
    let k = table.clusters();
    // Classes are the rows: on a tie, this is the map that the published code takes. Counts are below 2^53, so exact.
    let costs: Vec<f64> = table.rows().flatten().map(|&count| -(count as f64)).collect();
    // A square matrix of finite numbers is always matched.
    let Ok(matched) = linear_sum_assignment(&costs, k, k) else {
        return majority(table);
    };
    let mut classes = vec![0; k];
    for (class, cluster) in matched.into_iter().enumerate() {
        if let Some(cluster) = cluster {
            classes[cluster] = class as u32;
        }
    }
    classes
}

fn majority(table: &Contingency) -> Vec<u32> {
    let mut best = vec![(0_u32, 0_u64); table.clusters()];
    for (class, row) in table.rows().enumerate() {
        for (best, &count) in best.iter_mut().zip(row) {
            if count > best.1 {
                *best = (class as u32, count);
            }
        }
    }
    best.into_iter().map(|(class, _)| class).collect()
}

/// For each class, the number of its images that are in clusters mapped to it.
fn hits(table: &Contingency, cluster_to_class: &[u32]) -> Vec<u64> {
    let hits_of = |(class, row): (usize, &[u64])| {
        row.iter().zip(cluster_to_class).filter(|&(_, &mapped)| mapped as usize == class).map(|(count, _)| count).sum()
    };
    table.rows().enumerate().map(hits_of).collect()
}

/// ACC: the share of all images that are in a cluster mapped to their class.
pub fn accuracy(table: &Contingency, cluster_to_class: &[u32]) -> f64 {
    hits(table, cluster_to_class).iter().sum::<u64>() as f64 / table.total() as f64
}

/// For each class, the share of its images that are in a cluster mapped to it; NaN for a class without images.
pub fn class_accuracy(table: &Contingency, cluster_to_class: &[u32]) -> Vec<f64> {
    let hits = hits(table, cluster_to_class);
    hits.iter().zip(table.class_sizes()).map(|(&hits, size)| hits as f64 / size as f64).collect()
}

/// Mean of [`class_accuracy`] over the classes that have images.
pub fn mean_class_accuracy(class_accuracy: &[f64]) -> f64 {
    let present = class_accuracy.iter().filter(|a| !a.is_nan());
    present.clone().sum::<f64>() / present.count() as f64
}
