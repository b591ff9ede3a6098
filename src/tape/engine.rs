//! What an engine must do to replay plans.

use super::program::Program;
use super::store::{Arena, Persistent, Store};
use super::timing::Launch;

/// Handle of a plan that an engine has loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanId(pub usize);

/// Failures of an engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// An allocation failed.
    #[error("{device}: no memory for {what}: {} MiB", bytes.div_ceil(1 << 20))]
    OutOfMemory {
        /// The device.
        device: String,
        /// What was being allocated.
        what: String,
        /// Its size.
        bytes: usize,
    },
    /// A buffer exceeds what the device can address in one piece.
    #[error("{device}: {what} takes {} MiB, more than the {} MiB this device can bind", bytes.div_ceil(1 << 20), limit >> 20)]
    TooLarge {
        /// The device.
        device: String,
        /// What was being allocated.
        what: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The device stopped working.
    #[error("{device} was lost: {reason}")]
    DeviceLost {
        /// The device.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// A kernel could not be compiled or launched.
    #[error("kernel '{kernel}' failed: {message}")]
    Kernel {
        /// Name of the kernel.
        kernel: String,
        /// What the validator or driver said.
        message: String,
    },
    /// The device did not answer in time.
    #[error("{device} did not finish within {seconds} s while {what}")]
    Timeout {
        /// The device.
        device: String,
        /// What was being waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
}

/// A device that holds persistent tensors and replays plans over them.
pub trait Engine {
    /// Name of the device as users see it.
    fn device(&self) -> String;

    /// What runs on the device and decides about bits: the driver with its version, or the instruction set.
    fn driver(&self) -> String {
        String::new()
    }

    /// `"cpu"` or `"gpu"`.
    fn kind(&self) -> &'static str;

    /// Makes zero-filled arenas for the tensors of `store`, dropping earlier ones and all plans.
    fn allocate(&mut self, store: &Store) -> Result<(), EngineError>;

    /// Lowers programs to plans that share transient memory, dropping earlier plans.
    fn load(&mut self, programs: &[Program]) -> Result<Vec<PlanId>, EngineError>;

    /// Replays a plan `times` times. The work may still be under way on return; errors can surface at the next read.
    fn run(&mut self, plan: PlanId, times: usize) -> Result<(), EngineError>;

    /// Writes bytes into an arena, from byte `offset` on.
    fn write(&mut self, arena: Arena, offset: usize, bytes: &[u8]) -> Result<(), EngineError>;

    /// Reads bytes of an arena. Waits for all work before it.
    fn read(&mut self, arena: Arena, offset: usize, len: usize) -> Result<Vec<u8>, EngineError>;

    /// Copies arenas aside on the device, in the place of an earlier copy; the host does not wait for it. `false` if the device
    /// does not do that or has no room: the host has to read them then. Loading plans gives the copy up.
    fn keep(&mut self, _arenas: &[Arena]) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// Puts back what [`Self::keep`] copied last.
    fn put_back(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Reads an output of a plan's last run, in row-major order.
    fn read_output(&mut self, plan: PlanId, index: usize) -> Result<Vec<u8>, EngineError>;

    /// Bytes of device memory in use by arenas and plans.
    fn memory(&self) -> usize;

    /// Bytes of images that the device takes at once; larger sets are streamed to it in chunks.
    fn image_limit(&self) -> usize {
        usize::MAX
    }

    /// Starts (or restarts) timing every launch, or ends it; `false` if the device cannot. A timed step can take longer as a
    /// whole than usual.
    fn time_kernels(&mut self, _on: bool) -> bool {
        false
    }

    /// The launches since [`Self::time_kernels`], in order.
    fn launches(&self) -> &[Launch] {
        &[]
    }

    /// Writes a whole persistent tensor.
    fn write_f32(&mut self, tensor: &Persistent, values: &[f32]) -> Result<(), EngineError> {
        assert_eq!(tensor.shape.len(), values.len(), "{} has shape {:?}", tensor.name, tensor.shape);
        self.write(tensor.arena, tensor.offset * 4, bytemuck::cast_slice(values))
    }

    /// Writes the first elements of a persistent u32 tensor.
    fn write_u32(&mut self, tensor: &Persistent, values: &[u32]) -> Result<(), EngineError> {
        assert!(values.len() <= tensor.shape.len(), "{} has shape {:?}", tensor.name, tensor.shape);
        self.write(tensor.arena, tensor.offset * 4, bytemuck::cast_slice(values))
    }

    /// Reads a whole persistent tensor.
    fn read_f32(&mut self, tensor: &Persistent) -> Result<Vec<f32>, EngineError> {
        let bytes = self.read(tensor.arena, tensor.offset * 4, tensor.shape.len() * 4)?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    /// Reads a whole persistent u32 tensor.
    fn read_u32(&mut self, tensor: &Persistent) -> Result<Vec<u32>, EngineError> {
        let bytes = self.read(tensor.arena, tensor.offset * 4, tensor.shape.len() * 4)?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }
}
