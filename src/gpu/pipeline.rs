//! Compiled kernels: modules, layouts and pipelines, each made once.

use std::collections::HashMap;
use std::path::PathBuf;

use super::device::Gpu;
use super::lower::{Access, Dispatch};
use super::wgsl;
use crate::tape::EngineError;

/// What distinguishes one pipeline from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    kernel: &'static str,
    /// Names and bits of the constants.
    constants: Vec<(&'static str, u64)>,
    /// Uses of the storage bindings.
    accesses: Vec<Access>,
}

impl Key {
    pub fn new(dispatch: &Dispatch) -> Self {
        Key {
            kernel: dispatch.kernel,
            constants: dispatch.constants.iter().map(|&(name, value)| (name, value.to_bits())).collect(),
            accesses: dispatch.bindings.iter().map(|b| b.access).collect(),
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.constants.iter().map(|&(name, bits)| (name, f64::from_bits(bits))).collect()
    }
}

/// The pipelines made so far.
pub(super) struct Pipelines {
    checked: bool,
    replaced: Vec<(String, PathBuf)>,
    dump: Option<PathBuf>,
    /// By kernel alone: what constants choose among imports is the same for all of a device.
    modules: HashMap<&'static str, wgpu::ShaderModule>,
    layouts: HashMap<Vec<Access>, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
    pipelines: HashMap<Key, wgpu::ComputePipeline>,
}

impl Pipelines {
    pub fn new(checked: bool, replaced: Vec<(String, PathBuf)>, dump: Option<PathBuf>) -> Self {
        let (modules, layouts, pipelines) = (HashMap::new(), HashMap::new(), HashMap::new());
        Pipelines { checked, replaced, dump, modules, layouts, pipelines }
    }

    /// Compiles what is missing of `keys`, on as many threads as there are cores.
    pub fn compile(&mut self, gpu: &Gpu, keys: impl IntoIterator<Item = Key>) -> Result<(), EngineError> {
        let mut missing: Vec<Key> = Vec::new();
        for key in keys {
            if !self.pipelines.contains_key(&key) && !missing.contains(&key) {
                missing.push(key);
            }
        }
        for key in &missing {
            self.layout(gpu, &key.accesses);
            self.module(gpu, key)?;
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(missing.len().max(1));
        let (modules, layouts, device) = (&self.modules, &self.layouts, &gpu.device);
        let compiled = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|first| {
                    let share = missing.iter().skip(first).step_by(threads);
                    scope.spawn(move || -> Result<Vec<_>, EngineError> {
                        let compile = |key: &Key| {
                            let layout = &layouts[&key.accesses].1;
                            Ok((key.clone(), compile_one(device, key, &modules[key.kernel], layout)?))
                        };
                        share.map(compile).collect()
                    })
                })
                .collect();
            workers.into_iter().map(|w| w.join().unwrap_or_else(|_| Err(panicked()))).collect::<Vec<_>>()
        });
        for share in compiled {
            self.pipelines.extend(share?);
        }
        Ok(())
    }

    /// A pipeline and the layout of its bind group; [`Pipelines::compile`] has made them.
    pub fn get(&self, key: &Key) -> (&wgpu::ComputePipeline, &wgpu::BindGroupLayout) {
        (&self.pipelines[key], &self.layouts[&key.accesses].0)
    }

    fn module(&mut self, gpu: &Gpu, key: &Key) -> Result<(), EngineError> {
        let failed = |message: String| EngineError::Kernel { kernel: key.kernel.to_string(), message };
        if self.modules.contains_key(key.kernel) && self.dump.is_none() {
            return Ok(());
        }
        let text = wgsl::source(key.kernel, &key.constants(), &self.replaced).map_err(|e| failed(e.to_string()))?;
        if let Some(folder) = &self.dump {
            wgsl::dump(folder, key.kernel, &key.constants(), &text)
                .map_err(|e| failed(format!("writing to {}: {e}", folder.display())))?;
        }
        if self.modules.contains_key(key.kernel) {
            return Ok(());
        }
        let foreign = self.replaced.iter().any(|(name, _)| name == key.kernel);
        let checks = if self.checked || foreign {
            wgpu::ShaderRuntimeChecks::checked()
        } else {
            wgpu::ShaderRuntimeChecks::unchecked()
        };
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(key.kernel), source: wgpu::ShaderSource::Wgsl(text.into()) };
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        // SAFETY: the text without checks is ours alone (a replaced kernel has them on): every kernel guards
        // its indices before it loads or stores, its loops end, and its divisors are positive extents.
        let module = unsafe { gpu.device.create_shader_module_trusted(descriptor, checks) };
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(failed(error.to_string())),
            None => {
                self.modules.insert(key.kernel, module);
                Ok(())
            }
        }
    }

    fn layout(&mut self, gpu: &Gpu, accesses: &[Access]) {
        if self.layouts.contains_key(accesses) {
            return;
        }
        let entry = |binding: usize, ty| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let storages = accesses
            .iter()
            .enumerate()
            .map(|(i, access)| entry(i + 1, wgpu::BufferBindingType::Storage { read_only: *access == Access::Read }));
        let entries: Vec<_> = std::iter::once(entry(0, wgpu::BufferBindingType::Uniform)).chain(storages).collect();
        let group = gpu
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some("kernel"), entries: &entries });
        let pipeline = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("kernel"),
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        });
        self.layouts.insert(accesses.to_vec(), (group, pipeline));
    }
}

/// Compiles one pipeline. Error scopes belong to the thread that pushes them.
fn compile_one(
    device: &wgpu::Device,
    key: &Key,
    module: &wgpu::ShaderModule,
    layout: &wgpu::PipelineLayout,
) -> Result<wgpu::ComputePipeline, EngineError> {
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(key.kernel),
        layout: Some(layout),
        module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &key.constants(),
            // No kernel reads workgroup memory that it has not written, and zeroing is slow on some drivers.
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    });
    let internal = pollster::block_on(internal.pop());
    let validation = pollster::block_on(validation.pop());
    match internal.or(validation) {
        None => Ok(pipeline),
        Some(error) => {
            let constants: String = key.constants().iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let message = if constants.is_empty() { error.to_string() } else { format!("{error} (with{constants})") };
            Err(EngineError::Kernel { kernel: key.kernel.to_string(), message })
        }
    }
}

fn panicked() -> EngineError {
    EngineError::Kernel { kernel: "compilation".to_string(), message: "the compiler panicked".to_string() }
}
