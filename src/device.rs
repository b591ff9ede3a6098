//! Choosing a device by name, and how many images it may take.

mod limited;

pub use limited::limit_images;

use crate::cpu::{self, CpuEngine};
use crate::data::images::user_folder;
use crate::gpu::{self, AdapterError, GpuEngine, GpuError, TunedError};
use crate::tape::{Engine, EngineError};
use std::path::PathBuf;

/// Why no device could be opened.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No adapter fits, or the driver refused it.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The CPU engine could not start.
    #[error(transparent)]
    Cpu(#[from] EngineError),
}

impl DeviceError {
    /// Whether the user can mend it, by another `--device` for instance.
    pub fn is_users(&self) -> bool {
        matches!(
            self,
            DeviceError::Gpu(
                GpuError::Adapter(_) | GpuError::Lacks { .. } | GpuError::Tuned(TunedError::Damaged { .. })
            )
        )
    }
}

/// Opens `auto` (the best real GPU, else the CPU), `cpu`, `gpu`, `gpu:1`, or the adapter whose name contains the text.
/// Returns the engine and one line that says what was chosen and why.
pub fn open(
    name: &str,
    threads: Option<usize>,
    options: gpu::Options,
) -> Result<(Box<dyn Engine>, String), DeviceError> {
    open_with(name, cpu::Options { threads, ..cpu::Options::default() }, options)
}

/// Where tables of tuned kernels are kept; `None` where the user has no folder for caches.
pub fn tuned_folder() -> Option<PathBuf> {
    Some(user_folder()?.join("tuned"))
}

/// As [`open`], with all options of both engines. A table of tuned kernels is used where there is one.
pub fn open_with(
    name: &str,
    cpu_options: cpu::Options,
    mut options: gpu::Options,
) -> Result<(Box<dyn Engine>, String), DeviceError> {
    options.tuned = options.tuned.or_else(tuned_folder);
    let tuned = |engine: &GpuEngine| if engine.is_tuned() { ", tuned" } else { "" };
    let cpu = |why: &str| -> Result<(Box<dyn Engine>, String), DeviceError> {
        let engine = CpuEngine::with_options(cpu_options)?;
        let line = format!("{}: {why}", engine.device());
        Ok((Box::new(engine), line))
    };
    match name {
        "cpu" => cpu("asked for"),
        "auto" => match GpuEngine::new("gpu", options) {
            Ok(engine) => {
                let line = format!("{}: the best GPU found{}", engine.adapter(), tuned(&engine));
                Ok((Box::new(engine), line))
            }
            Err(GpuError::Adapter(AdapterError::OnlySoftware { .. })) => {
                cpu("no real GPU, only a software adapter, which is slower")
            }
            Err(GpuError::Adapter(_)) => cpu("no GPU found"),
            Err(e @ (GpuError::Tuned(_) | GpuError::Lacks { .. })) => Err(e.into()),
            Err(other) => cpu(&other.to_string()),
        },
        name => {
            let engine = GpuEngine::new(name, options)?;
            let line = format!("{}: asked for{}", engine.adapter(), tuned(&engine));
            Ok((Box::new(engine), line))
        }
    }
}
