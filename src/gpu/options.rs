//! Choices for the engine.

use super::lower::{Fusion, VariantChoice};
use std::path::PathBuf;
use std::time::Duration;

/// How a [`super::GpuEngine`] works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether kernels check their indices, divisors and loops. Off they are faster, and an error of ours would be
    /// undefined behaviour.
    pub checked: bool,
    /// Whether transient tensors that are never alive together share memory. Off tells a planning fault from a kernel's.
    pub reuse: bool,
    /// Which calls that go together run as one kernel, see `lower/fuse.rs` and `lower/fold.rs`.
    pub fusion: Fusion,
    /// Asks for exactly WebGPU's default limits instead of all that the adapter has.
    pub baseline_limits: bool,
    /// Writes the text of every kernel in use to this folder, its constants as a header.
    pub dump_wgsl: Option<PathBuf>,
    /// Files that replace built-in kernels, by the kernels' names. Turns `checked` on for these; loads and stores of whole
    /// matrices (cooperative ones) are beyond these checks.
    pub kernels: Vec<(String, PathBuf)>,
    /// Variants of kernels to use instead of those that devices of this class start with; the first that fits holds.
    pub variants: Vec<VariantChoice>,
    /// Folder of the tables that [`super::Tuned`] reads, used where `variants` has nothing.
    pub tuned: Option<PathBuf>,
    /// Bytes of device memory to stay below.
    pub memory_limit: Option<usize>,
    /// How long to wait for the device before giving up.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            checked: cfg!(debug_assertions),
            reuse: true,
            fusion: Fusion::Loads,
            baseline_limits: false,
            dump_wgsl: None,
            kernels: Vec::new(),
            variants: Vec::new(),
            tuned: None,
            memory_limit: None,
            timeout: Duration::from_secs(300),
        }
    }
}
