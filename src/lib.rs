//! Proteus: deep transformation-invariant clustering (Monnier, Groueix and Aubry, NeurIPS 2020)
//! on a compute engine written for it by hand.

pub mod bench;
pub mod cli;
pub mod cpu;
pub mod data;
pub mod device;
pub mod gpu;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod report;
mod shell;
pub mod tape;
pub mod torch;
pub mod train;
pub mod warp;
