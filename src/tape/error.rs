//! Failures of differentiation.

use super::tensor::Dtype;

/// What can go wrong when a tape is differentiated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TapeError {
    /// A gradient was asked through an operation that has none for that input.
    #[error("'{op}' has no derivative with respect to its input {input}")]
    NotDifferentiable {
        /// Name of the operation.
        op: &'static str,
        /// Position of the input.
        input: usize,
    },
    /// The loss is not a single f32 number.
    #[error("a gradient needs a loss of one f32 element, not {elements} of {dtype:?}")]
    NotScalar {
        /// Number of elements.
        elements: usize,
        /// Their type.
        dtype: Dtype,
    },
}
