//! Proteus: deep transformation-invariant clustering (Monnier, Groueix and Aubry, NeurIPS 2020)
//! on a compute engine written for it by hand.
//!
//! Images ([`data`]) and a configuration ([`train::Config`]) make a [`model`], which is recorded on a [`tape`] and
//! differentiated there; engines ([`cpu`], [`gpu`]) turn the [`tape::Program`] into a plan and replay it; [`train`] does so epoch by
//! epoch, keeps a run folder and evaluates by [`metrics`].
//!
//! ```no_run
//! use proteus::train::{Evaluation, Observer, Progress, RunFolder, preset, train};
//! use proteus::{data::ImageSet, device, gpu};
//! use std::{ops::ControlFlow, path::Path};
//!
//! struct Lines;
//! impl Observer for Lines {
//!     fn progress(&mut self, _: Progress) -> ControlFlow<()> {
//!         ControlFlow::Continue(())
//!     }
//!     fn epoch(&mut self, epoch: usize, loss: f64, _: Option<&Evaluation>) {
//!         println!("epoch {epoch}: loss {loss:.5}");
//!     }
//! }
//!
//! fn cluster(pixels: Vec<u8>) -> Result<Vec<u32>, Box<dyn std::error::Error>> {
//!     // Grey images of 28 x 28 pixels, one after the other.
//!     let set = ImageSet::new("mine", 1, 28, 28, pixels, None)?;
//!     let config = preset("mnist5k")?.set(&["clusters=12", "seed=3"])?;
//!     let (mut engine, _) = device::open("auto", None, gpu::Options::default())?;
//!     let mut folder = RunFolder::create(Path::new("run"), &config, &set)?;
//!     let finished = train(&config, &set, engine.as_mut(), &mut folder, &mut Lines)?;
//!     Ok(finished.evaluation.assignments)
//! }
//! ```
//!
//! The examples of the repository go further: `cluster_folder` trains on a folder of images, `assign` puts new images into
//! the clusters of a run, `transformation` is a transformation of one's own ([`warp::Transformation`]), and `kernel` runs a WGSL
//! kernel of one's own.

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
