//! What the comparisons with the reference vectors share.

pub mod compare;
pub mod formula;
pub mod ties;
pub mod training;
pub mod vectors;
