//! Models: what is minimised.

mod dti_kmeans;
mod weights;

pub use dti_kmeans::{Compared, DtiKmeans, Group, Objective, Spec};
pub use weights::gaussian_weights;
