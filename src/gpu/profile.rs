//! Times of single dispatches, by timestamps around passes of one dispatch each.

use std::time::Duration;

use super::buffers::download;
use super::device::Gpu;
use super::engine::Step;
use crate::tape::{EngineError, Launch};

/// Dispatches in one set of queries, well below the 4096 queries that WebGPU allows.
const DISPATCHES: usize = 512;

/// Runs the steps once, each in a pass of its own, and notes their times. The clock begins with the first launch and
/// stands still while the host reads the times. Timestamps that run backwards or stand still, which drivers do produce,
/// count as no time.
pub(super) fn run(gpu: &Gpu, steps: &[Step], launches: &mut Vec<Launch>) -> Result<(), EngineError> {
    for steps in steps.chunks(DISPATCHES) {
        let stamps = timestamps(gpu, steps)?;
        let before = launches.last().map_or(Duration::ZERO, |last| last.start + last.time);
        let first = stamps.first().copied().unwrap_or(0);
        let since =
            |from: u64, to: u64| Duration::from_secs_f64(to.saturating_sub(from) as f64 * gpu.timestamp_period * 1e-9);
        for (step, stamp) in steps.iter().zip(stamps.chunks_exact(2)) {
            let (start, time) = (before + since(first, stamp[0]), since(stamp[0], stamp[1]));
            launches.push(Launch { work: step.work.clone(), start, time });
        }
    }
    Ok(())
}

/// The device's clock before and after every step.
fn timestamps(gpu: &Gpu, steps: &[Step]) -> Result<Vec<u64>, EngineError> {
    let count = 2 * steps.len();
    let descriptor =
        wgpu::QuerySetDescriptor { label: Some("timestamps"), ty: wgpu::QueryType::Timestamp, count: count as u32 };
    let queries = gpu.device.create_query_set(&descriptor);
    let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
    let resolved = gpu.buffer("timestamps", 8 * count, usage)?;
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("profile") });
    for (i, step) in steps.iter().enumerate() {
        let writes = wgpu::ComputePassTimestampWrites {
            query_set: &queries,
            beginning_of_pass_write_index: Some(2 * i as u32),
            end_of_pass_write_index: Some(2 * i as u32 + 1),
        };
        let descriptor = wgpu::ComputePassDescriptor { label: Some(step.work.kernel), timestamp_writes: Some(writes) };
        step.encode(&mut encoder.begin_compute_pass(&descriptor));
    }
    encoder.resolve_query_set(&queries, 0..count as u32, &resolved, 0);
    gpu.queue.submit([encoder.finish()]);
    let bytes = download(gpu, &resolved, 0, 8 * count);
    gpu.release(&resolved);
    Ok(bytemuck::pod_collect_to_vec(&bytes?))
}
