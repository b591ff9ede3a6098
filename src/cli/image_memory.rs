//! How much of a device images may take.

use crate::device::limit_images;
use crate::tape::Engine;
use clap::builder::RangedU64ValueParser;

/// The option that says so.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct ImageMemory {
    /// MiB that the images may take on the device; a larger set is streamed in chunks, with the same results
    /// [default: what the device takes at once]
    #[arg(long, value_name = "MIB", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1 << 24))]
    pub image_memory: Option<usize>,
}

impl ImageMemory {
    /// `engine` under this limit.
    pub fn limit(&self, engine: Box<dyn Engine>) -> Box<dyn Engine> {
        match self.image_memory {
            Some(mib) => limit_images(engine, mib << 20),
            None => engine,
        }
    }
}
