//! The GPU engine: one WGSL kernel per operation, replayed through wgpu on Vulkan, Metal or DX12.
//!
//! * [`adapters`] lists what the machine has; [`Selection`] says which of it to use.
//! * [`GpuEngine`] implements [`crate::tape::Engine`].
//! * [`lower`] turns a program into dispatches without a device; [`wgsl`] holds the kernels' text.

mod adapter;
mod buffers;
mod check;
mod device;
mod engine;
mod lower;
mod options;
mod pipeline;
mod profile;
mod tuned;
pub mod wgsl;

pub use adapter::{AdapterError, AdapterSummary, Selection, adapters, find};
pub use check::check_kernel;
pub use engine::GpuEngine;
pub use lower::{
    Access, Binding, CHAIN, Dispatch, Fusion, HALF, Lowered, MATRIX, MatrixUnit, Need, PLAIN, Param, SUBGROUP, TILED,
    VARIANTS, VariantChoice, Variants, is_inexact, lower, sizes, variant_of,
};
pub use options::Options;
pub use tuned::{Tuned, TunedError};

/// Failures on the way to a working engine.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// No adapter fits.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The table of tuned kernels is damaged.
    #[error(transparent)]
    Tuned(#[from] TunedError),
    /// The adapter lacks what a variant needs that was asked for.
    #[error(
        "{adapter} lacks {need}, which the kernel {choice} needs; leave that out to have the kernel that the device starts \
         with, or choose another device (`proteus devices` says what each can)"
    )]
    Lacks {
        /// Name of the adapter.
        adapter: String,
        /// What is missing.
        need: Need,
        /// The variant.
        choice: VariantChoice,
    },
    /// The driver refused to open the adapter.
    #[error("{adapter} cannot be opened: {message}")]
    Open {
        /// Name of the adapter.
        adapter: String,
        /// What the driver said.
        message: String,
    },
}
