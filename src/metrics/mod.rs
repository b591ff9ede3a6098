//! Clustering scores.
