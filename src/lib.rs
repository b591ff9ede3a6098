//! Proteus: deep transformation-invariant clustering (Monnier, Groueix and Aubry, NeurIPS 2020)
//! on a compute engine written for it by hand.

pub mod cpu;
pub mod data;
pub mod metrics;
pub mod tape;
