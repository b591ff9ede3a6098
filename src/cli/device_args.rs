//! The options that say where to compute.

use crate::device::{self, DeviceError};
use crate::gpu;
use crate::tape::Engine;
use clap::builder::RangedU64ValueParser;

/// Device, and threads of the CPU engine.
#[derive(clap::Args)]
pub struct DeviceArgs {
    /// auto (the best real GPU, else the CPU), cpu, gpu, gpu:1, or part of an adapter's name
    #[arg(long, value_name = "D", default_value = "auto")]
    pub device: String,
    /// Threads of the CPU engine [default: one per core]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub threads: Option<usize>,
}

impl DeviceArgs {
    /// Opens the device; also says which one and why.
    pub fn open(&self, gpu: gpu::Options) -> Result<(Box<dyn Engine>, String), DeviceError> {
        device::open(&self.device, self.threads, gpu)
    }
}
