//! Adjusted Rand index: agreement over pairs of images, 0 for chance and 1 for equal partitions.

use super::contingency::Contingency;

/// ARI by Hubert and Arabie, from -0.5 to 1.
///
/// As in scikit-learn, it is 1 where the two partitions are the same, the degenerate ones (one part, or every image on
/// its own) included.
pub fn adjusted_rand_index(table: &Contingency) -> f64 {
    // Counts of ordered pairs, exact: u128 holds any square of a u64.
    let squares =
        |sizes: &mut dyn Iterator<Item = u64>| -> u128 { sizes.map(|size| u128::from(size) * u128::from(size)).sum() };
    let total = u128::from(table.total());
    let together_in_both = squares(&mut table.rows().flatten().copied());
    let together_in_class = squares(&mut table.class_sizes().into_iter());
    let together_in_cluster = squares(&mut table.cluster_sizes().into_iter());

    let both = together_in_both - total;
    let only_class = together_in_class - together_in_both;
    let only_cluster = together_in_cluster - together_in_both;
    let neither = total * total + together_in_both - together_in_class - together_in_cluster;
    if only_class == 0 && only_cluster == 0 {
        return 1.0;
    }
    let [a, b, c, d] = [both, only_class, only_cluster, neither].map(|pairs| pairs as f64);
    2.0 * (a * d - b * c) / ((a + b) * (b + d) + (a + c) * (c + d))
}
