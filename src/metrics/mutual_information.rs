//! Normalised mutual information, in nats, by the arithmetic mean of the two entropies.

use super::contingency::Contingency;

/// Entropy of a partition into parts of these sizes, in nats.
pub fn entropy(sizes: &[u64]) -> f64 {
    let total = sizes.iter().sum::<u64>() as f64;
    sizes
        .iter()
        .filter(|&&size| size > 0)
        .map(|&size| {
            let share = size as f64 / total;
            -share * share.ln()
        })
        .sum()
}

/// Mutual information of classes and clusters, in nats; never negative.
pub fn mutual_information(table: &Contingency) -> f64 {
    let total = table.total() as f64;
    let (classes, clusters) = (table.class_sizes(), table.cluster_sizes());
    let mut sum = 0.0;
    for (row, &class) in table.rows().zip(&classes) {
        for (&count, &cluster) in row.iter().zip(&clusters) {
            if count > 0 {
                let count = count as f64;
                // Logarithms apart: the product of the sizes may not fit 53 bits.
                let ratio = count.ln() + total.ln() - (class as f64).ln() - (cluster as f64).ln();
                sum += count / total * ratio;
            }
        }
    }
    sum.max(0.0)
}

/// NMI = 2 I / (H(classes) + H(clusters)), from 0 to 1.
///
/// As in scikit-learn, it is 1 where there is but one class and one cluster, and 0 where the two share no information.
pub fn normalised_mutual_information(table: &Contingency) -> f64 {
    let (classes, clusters) = (table.class_sizes(), table.cluster_sizes());
    let single = |sizes: &[u64]| sizes.iter().filter(|&&size| size > 0).count() <= 1;
    if single(&classes) && single(&clusters) {
        return 1.0;
    }
    let shared = mutual_information(table);
    if shared <= f64::EPSILON {
        return 0.0;
    }
    // Rounding alone can lead above 1.
    (2.0 * shared / (entropy(&classes) + entropy(&clusters))).min(1.0)
}
