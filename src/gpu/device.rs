//! An opened device: its faults, waits that end, and buffers that fail politely.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::GpuError;
use super::adapter::AdapterSummary;
use super::options::Options;
use crate::tape::EngineError;

/// What went wrong behind our back, kept until the next call can report it.
#[derive(Default)]
struct Faults {
    /// First error that no scope caught.
    error: Option<String>,
    /// Why the device was lost.
    lost: Option<String>,
}

/// A device with its queue.
pub(super) struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub name: String,
    pub limits: wgpu::Limits,
    /// Nanoseconds of a tick of the timestamps.
    pub timestamp_period: f64,
    faults: Arc<Mutex<Faults>>,
    timeout: Duration,
    budget: Option<usize>,
    used: Cell<usize>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves plain data behind, still worth reading.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// Opens an adapter with all its limits, or with exactly WebGPU's defaults, and with the features that its kernels need.
    pub fn open(
        adapter: &wgpu::Adapter,
        summary: &AdapterSummary,
        options: &Options,
        needed: wgpu::Features,
    ) -> Result<Self, GpuError> {
        let limits = if options.baseline_limits { wgpu::Limits::defaults() } else { adapter.limits() };
        let wanted = if options.baseline_limits { wgpu::Features::empty() } else { wgpu::Features::TIMESTAMP_QUERY };
        let features = (adapter.features() & wanted) | needed;
        let experimental_features = if needed.intersects(wgpu::Features::all_experimental_mask()) {
            // SAFETY: only the kernels of the variant `matrix` need one. They load and store whole matrices, of which checks see
            // no more than the first element, within workgroup arrays whose lengths lowering computes from the same extents.
            unsafe { wgpu::ExperimentalFeatures::enabled() }
        } else {
            wgpu::ExperimentalFeatures::disabled()
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("proteus"),
            required_features: features,
            required_limits: limits.clone(),
            experimental_features,
            // All buffers are made at load; sub-allocation in large blocks would only round memory up.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let open =
            |e: wgpu::RequestDeviceError| GpuError::Open { adapter: summary.name.clone(), message: e.to_string() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(open)?;

        let faults = Arc::new(Mutex::new(Faults::default()));
        let shared = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            locked(&shared).error.get_or_insert_with(|| error.to_string());
        }));
        let shared = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            locked(&shared).lost.get_or_insert(format!("{reason:?}: {message}"));
        });
        let name = summary.name.clone();
        let (timeout, budget) = (options.timeout, options.memory_limit);
        let timestamp_period = f64::from(queue.get_timestamp_period());
        Ok(Gpu { device, queue, name, limits, timestamp_period, faults, timeout, budget, used: Cell::new(0) })
    }

    /// Reports a fault that has come up since the last call. A lost device stays lost.
    pub fn check(&self) -> Result<(), EngineError> {
        if locked(&self.faults).error.is_some() {
            // Whatever fails on a lost device fails because it was lost, which the driver may not have said yet.
            let _ = self.device.poll(wgpu::PollType::Poll);
        }
        let mut faults = locked(&self.faults);
        if let Some(reason) = &faults.lost {
            return Err(EngineError::DeviceLost { device: self.name.clone(), reason: reason.clone() });
        }
        match faults.error.take() {
            Some(message) => Err(EngineError::Kernel { kernel: "submission".to_string(), message }),
            None => Ok(()),
        }
    }

    /// Waits for a submission, at most for the time that the options allow.
    pub fn wait(&self, submission: Option<wgpu::SubmissionIndex>, what: &str) -> Result<(), EngineError> {
        let poll = wgpu::PollType::Wait { submission_index: submission, timeout: Some(self.timeout) };
        match self.device.poll(poll) {
            Ok(_) => self.check(),
            Err(wgpu::PollError::Timeout) => {
                self.check()?;
                let seconds = self.timeout.as_secs();
                Err(EngineError::Timeout { device: self.name.clone(), what: what.to_string(), seconds })
            }
            Err(error) => Err(EngineError::Kernel { kernel: what.to_string(), message: error.to_string() }),
        }
    }

    /// Bytes of the buffers alive.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// Makes a buffer of `bytes` rounded up to a multiple of 4.
    pub fn buffer(&self, what: &str, bytes: usize, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer, EngineError> {
        let size = bytes.max(4).next_multiple_of(4);
        let (device, what_owned) = (self.name.clone(), what.to_string());
        let limit = usize::try_from(self.limits.max_buffer_size).unwrap_or(usize::MAX);
        if size > limit {
            return Err(EngineError::TooLarge { device, what: what_owned, bytes: size, limit });
        }
        let out_of_memory = || EngineError::OutOfMemory { device, what: what_owned, bytes: size };
        if self.budget.is_some_and(|budget| self.used.get() + size > budget) {
            return Err(out_of_memory());
        }
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let descriptor =
            wgpu::BufferDescriptor { label: Some(what), size: size as u64, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        let memory = pollster::block_on(memory.pop());
        let validation = pollster::block_on(validation.pop());
        if memory.is_some() {
            return Err(out_of_memory());
        }
        if let Some(error) = validation {
            return Err(EngineError::Kernel { kernel: what.to_string(), message: error.to_string() });
        }
        self.used.set(self.used.get() + size);
        Ok(buffer)
    }

    /// Forgets a buffer that is about to be dropped.
    pub fn release(&self, buffer: &wgpu::Buffer) {
        self.used.set(self.used.get() - buffer.size() as usize);
    }

    /// Fails if a range of `bytes` cannot be bound at once.
    pub fn check_binding(&self, what: &str, bytes: usize) -> Result<(), EngineError> {
        let limit = usize::try_from(self.limits.max_storage_buffer_binding_size).unwrap_or(usize::MAX);
        if bytes > limit {
            return Err(EngineError::TooLarge { device: self.name.clone(), what: what.to_string(), bytes, limit });
        }
        Ok(())
    }
}
