//! Plans: the dispatches of programs with their pipelines, and the buffers that they work on.

use std::sync::Arc;

use super::GpuEngine;
use crate::gpu::buffers::{STORAGE, bytes_of, upload};
use crate::gpu::lower::{Binding, Lowered};
use crate::gpu::pipeline::Key;
use crate::tape::memory::{ACTIVATIONS, Lifetime, assign};
use crate::tape::{Arena, EngineError, Operand, Place, Work};

/// Bytes of a kernel's parameters, WebGPU's default alignment of uniforms.
const PARAM_SLOT: usize = 256;

/// A dispatch ready to encode.
pub(in crate::gpu) struct Step {
    pub work: Arc<Work>,
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    groups: [u32; 3],
}

impl Step {
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        let [x, y, z] = self.groups;
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Where an output is read.
pub(super) struct Output {
    pub place: OutputPlace,
    pub bytes: usize,
}

pub(super) enum OutputPlace {
    Arena(Arena, usize),
    Pool(usize),
}

/// A program ready to encode.
pub(super) struct Plan {
    pub steps: Vec<Step>,
    pub outputs: Vec<Output>,
}

impl GpuEngine {
    /// Buffers for the transient storages of several plans: slots are shared, the outputs have buffers of their own, so
    /// that they survive the runs of other plans. Gives the number of the buffer of each storage.
    pub(super) fn place(&mut self, plans: &[Lowered]) -> Result<Vec<Vec<Option<usize>>>, EngineError> {
        let mut placed: Vec<Vec<Option<usize>>> = Vec::new();
        let mut slots: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut sizes: Vec<usize> = Vec::new();
        for plan in plans {
            let mut buffers = vec![None; plan.storages.len()];
            for output in &plan.outputs {
                let storage = &plan.storages[output.storage];
                if storage.place == Place::Transient && buffers[output.storage].is_none() {
                    let bytes = bytes_of(storage.len, storage.dtype);
                    buffers[output.storage] = Some(self.pool.add(&self.gpu, "an output", bytes, STORAGE)?);
                }
            }
            let lives: Vec<(usize, Lifetime)> =
                lifetimes(plan).into_iter().filter(|(storage, _)| buffers[*storage].is_none()).collect();
            let only: Vec<Lifetime> = lives.iter().map(|(_, life)| *life).collect();
            let assigned = assign(&only, self.options.reuse);
            for (i, &len) in assigned.len.iter().enumerate() {
                match sizes.get_mut(i) {
                    Some(size) => *size = (*size).max(len),
                    None => sizes.push(len),
                }
            }
            slots.push(lives.iter().zip(&assigned.slot).map(|((storage, _), &slot)| (*storage, slot)).collect());
            placed.push(buffers);
        }
        let mut numbers = Vec::with_capacity(sizes.len());
        for len in sizes {
            numbers.push(self.pool.add(&self.gpu, ACTIVATIONS, len * 4, STORAGE)?);
        }
        for (buffers, slots) in placed.iter_mut().zip(slots) {
            for (storage, slot) in slots {
                buffers[storage] = Some(numbers[slot]);
            }
        }
        Ok(placed)
    }

    pub(super) fn build(&mut self, plan: &Lowered, buffers: &[Option<usize>]) -> Result<Plan, EngineError> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = self.pool.add(&self.gpu, "kernel parameters", plan.dispatches.len() * PARAM_SLOT, usage)?;
        let placeholder = self.pool.add(&self.gpu, "a placeholder", PARAM_SLOT, STORAGE)?;
        let mut uniforms = vec![0u32; plan.dispatches.len() * PARAM_SLOT / 4];
        let mut steps = Vec::with_capacity(plan.dispatches.len());
        for (i, dispatch) in plan.dispatches.iter().enumerate() {
            for (word, param) in uniforms[i * PARAM_SLOT / 4..].iter_mut().zip(&dispatch.params) {
                *word = param.bits;
            }
            let uniform = wgpu::BufferBinding {
                buffer: self.pool.get(params),
                offset: (i * PARAM_SLOT) as u64,
                size: std::num::NonZeroU64::new(PARAM_SLOT as u64),
            };
            let mut entries =
                vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(uniform) }];
            for (position, binding) in dispatch.bindings.iter().enumerate() {
                let resource = self.resource(plan, buffers, binding, placeholder, dispatch.kernel)?;
                entries.push(wgpu::BindGroupEntry { binding: position as u32 + 1, resource });
            }
            let (pipeline, layout) = self.pipelines.get(&Key::new(dispatch));
            let descriptor = wgpu::BindGroupDescriptor { label: Some(dispatch.kernel), layout, entries: &entries };
            let scope = self.gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let bind_group = self.gpu.device.create_bind_group(&descriptor);
            if let Some(error) = pollster::block_on(scope.pop()) {
                return Err(EngineError::Kernel { kernel: dispatch.kernel.to_string(), message: error.to_string() });
            }
            let (work, pipeline, groups) = (Arc::new(dispatch.work.clone()), pipeline.clone(), dispatch.groups);
            steps.push(Step { work, pipeline, bind_group, groups });
        }
        upload(&self.gpu, self.pool.get(params), 0, bytemuck::cast_slice(&uniforms))?;
        let outputs = plan.outputs.iter().map(|operand| output(plan, buffers, operand)).collect();
        Ok(Plan { steps, outputs })
    }

    fn resource<'a>(
        &'a self,
        plan: &Lowered,
        buffers: &[Option<usize>],
        binding: &Binding,
        placeholder: usize,
        kernel: &str,
    ) -> Result<wgpu::BindingResource<'a>, EngineError> {
        let Some(index) = binding.storage else {
            return Ok(self.pool.get(placeholder).as_entire_binding());
        };
        let storage = &plan.storages[index];
        let bytes = bytes_of(storage.len, storage.dtype);
        let (buffer, offset) = match (storage.place, buffers[index]) {
            (Place::Persistent { arena, offset }, _) => {
                let offset = offset * storage.dtype.size();
                (self.arenas.get(arena, offset + bytes)?, offset)
            }
            (Place::Transient, Some(number)) => (self.pool.get(number), 0),
            (Place::Transient, None) => unreachable!("every storage that a dispatch binds has been placed"),
        };
        self.gpu.check_binding(&format!("an operand of {kernel}"), bytes)?;
        let size = std::num::NonZeroU64::new(bytes as u64);
        Ok(wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: offset as u64, size }))
    }
}

/// From which dispatch to which each transient storage lives.
fn lifetimes(plan: &Lowered) -> Vec<(usize, Lifetime)> {
    let mut lives: Vec<Option<Lifetime>> = vec![None; plan.storages.len()];
    for (at, dispatch) in plan.dispatches.iter().enumerate() {
        for storage in dispatch.bindings.iter().filter_map(|b| b.storage) {
            if plan.storages[storage].place == Place::Transient {
                let fresh = Lifetime { len: plan.storages[storage].len, first: at, last: at };
                lives[storage].get_or_insert(fresh).last = at;
            }
        }
    }
    lives.into_iter().enumerate().filter_map(|(storage, life)| Some((storage, life?))).collect()
}

fn output(plan: &Lowered, buffers: &[Option<usize>], operand: &Operand) -> Output {
    let storage = &plan.storages[operand.storage];
    let bytes = storage.len * storage.dtype.size();
    let place = match (storage.place, buffers[operand.storage]) {
        (Place::Persistent { arena, offset }, _) => OutputPlace::Arena(arena, offset * storage.dtype.size()),
        (Place::Transient, Some(number)) => OutputPlace::Pool(number),
        (Place::Transient, None) => unreachable!("outputs are placed first"),
    };
    Output { place, bytes }
}
