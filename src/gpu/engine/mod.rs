//! The engine: plans made at load, replayed by encoding their dispatches.

mod plan;

pub(super) use plan::Step;

use std::collections::VecDeque;
use std::ops::Range;

use super::GpuError;
use super::adapter::{self, AdapterSummary, Selection};
use super::buffers::{Arenas, Pool, download, upload};
use super::device::Gpu;
use super::lower::{Lowered, VariantChoice, Variants, lower};
use super::options::Options;
use super::pipeline::{Key, Pipelines};
use super::profile;
use super::tuned::Tuned;
use crate::tape::{ALIGNMENT, Arena, Engine, EngineError, Launch, PlanId, Program, Store};
use plan::{Output, OutputPlace, Plan};

/// A submission ends after this many dispatches or floating-point operations: meant to be few
/// enough for a driver's watchdog and many enough that submitting costs little. Not measured on a GPU yet.
const DISPATCHES_PER_SUBMISSION: usize = 256;
const FLOPS_PER_SUBMISSION: u64 = 200_000_000_000;
/// Submissions under way at most; a run waits for the oldest.
const IN_FLIGHT: usize = 8;

/// An engine that replays plans on a GPU through wgpu.
pub struct GpuEngine {
    gpu: Gpu,
    adapter: AdapterSummary,
    options: Options,
    tuned: bool,
    variants: Variants,
    pipelines: Pipelines,
    arenas: Arenas,
    pool: Pool,
    plans: Vec<Plan>,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    launches: Option<Vec<Launch>>,
}

impl GpuEngine {
    /// Opens the adapter that `selection` names: `gpu`, `gpu:1`, or part of an adapter's name.
    pub fn new(selection: &str, options: Options) -> Result<Self, GpuError> {
        let selection: Selection = selection.parse()?;
        let (wgpu_adapter, mut adapter) = adapter::select(&selection)?;
        if options.baseline_limits {
            // Its kernels need more workgroup memory.
            adapter.matrix_unit = None;
        }
        let tuned = match &options.tuned {
            Some(folder) => Tuned::read(folder, &adapter)?.choice,
            None => Vec::new(),
        };
        let chosen = choices(&options, &tuned);
        let needed = features(&adapter, &chosen)?;
        let gpu = Gpu::open(&wgpu_adapter, &adapter, &options, needed)?;
        let variants = Variants::of_class(adapter.software).over(chosen).with_unit(adapter.matrix_unit);
        let pipelines = Pipelines::new(options.checked, options.kernels.clone(), options.dump_wgsl.clone());
        Ok(GpuEngine {
            gpu,
            adapter,
            options,
            tuned: !tuned.is_empty(),
            variants,
            pipelines,
            arenas: Arenas::default(),
            pool: Pool::default(),
            plans: Vec::new(),
            in_flight: VecDeque::new(),
            launches: None,
        })
    }

    /// What is known of the adapter in use.
    pub fn adapter(&self) -> &AdapterSummary {
        &self.adapter
    }

    /// Whether a table of tuned kernels is in use.
    pub fn is_tuned(&self) -> bool {
        self.tuned
    }

    /// Waits until all work submitted so far is done.
    pub fn finish(&mut self) -> Result<(), EngineError> {
        self.in_flight.clear();
        self.gpu.wait(None, "running a plan")
    }

    /// Gives the device up, as when a driver loses it: whatever comes later fails with [`EngineError::DeviceLost`]. This is
    /// for trying how a program copes.
    pub fn lose(&mut self) {
        self.gpu.device.destroy();
    }

    fn load_all(&mut self, programs: &[Program]) -> Result<Vec<PlanId>, EngineError> {
        let lowered: Vec<Lowered> =
            programs.iter().map(|p| lower(p, self.options.fusion, &self.variants)).collect::<Result<_, _>>()?;
        let keys = lowered.iter().flat_map(|plan| &plan.dispatches).map(Key::new);
        self.pipelines.compile(&self.gpu, keys)?;
        let placed = self.place(&lowered)?;
        for (plan, buffers) in lowered.iter().zip(&placed) {
            let plan = self.build(plan, buffers)?;
            self.plans.push(plan);
        }
        Ok((0..self.plans.len()).map(PlanId).collect())
    }

    fn drop_plans(&mut self) {
        self.plans.clear();
        self.pool.free(&self.gpu);
    }

    /// Encodes and submits dispatches, waiting for the oldest submission when too many are under way.
    fn submit(&mut self, plan: usize, ranges: &[Range<usize>]) -> Result<(), EngineError> {
        let label = Some("plan");
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes: None });
        for step in ranges.iter().flat_map(|range| &self.plans[plan].steps[range.clone()]) {
            step.encode(&mut pass);
        }
        drop(pass);
        self.in_flight.push_back(self.gpu.queue.submit([encoder.finish()]));
        if self.in_flight.len() > IN_FLIGHT
            && let Some(oldest) = self.in_flight.pop_front()
        {
            self.gpu.wait(Some(oldest), "running a plan")?;
        }
        self.gpu.check()
    }
}

impl Engine for GpuEngine {
    fn device(&self) -> String {
        self.gpu.name.clone()
    }

    fn driver(&self) -> String {
        let forced: String = self.options.variants.iter().map(|choice| format!(", {choice}")).collect();
        self.adapter.driver.clone() + &forced
    }

    fn kind(&self) -> &'static str {
        "gpu"
    }

    fn allocate(&mut self, store: &Store) -> Result<(), EngineError> {
        self.gpu.check()?;
        self.drop_plans();
        self.arenas.allocate(&self.gpu, store)
    }

    fn load(&mut self, programs: &[Program]) -> Result<Vec<PlanId>, EngineError> {
        self.gpu.check()?;
        self.drop_plans();
        // Plans need their memory more than a copy does that can be made again.
        self.arenas.forget(&self.gpu);
        let loaded = self.load_all(programs);
        if loaded.is_err() {
            // Half a set of plans would only hold memory.
            self.drop_plans();
        }
        loaded
    }

    fn run(&mut self, plan: PlanId, times: usize) -> Result<(), EngineError> {
        self.gpu.check()?;
        let PlanId(plan) = plan;
        if let Some(launches) = &mut self.launches {
            return (0..times).try_for_each(|_| profile::run(&self.gpu, &self.plans[plan].steps, launches));
        }
        let (mut batch, mut dispatches, mut flops) = (Vec::new(), 0, 0);
        for _ in 0..times {
            let mut start = 0;
            for i in 0..self.plans[plan].steps.len() {
                dispatches += 1;
                flops += self.plans[plan].steps[i].work.flops;
                if dispatches >= DISPATCHES_PER_SUBMISSION || flops >= FLOPS_PER_SUBMISSION {
                    batch.push(start..i + 1);
                    self.submit(plan, &batch)?;
                    (start, dispatches, flops) = (i + 1, 0, 0);
                    batch.clear();
                }
            }
            batch.push(start..self.plans[plan].steps.len());
        }
        if dispatches > 0 { self.submit(plan, &batch) } else { Ok(()) }
    }

    fn write(&mut self, arena: Arena, offset: usize, bytes: &[u8]) -> Result<(), EngineError> {
        self.gpu.check()?;
        upload(&self.gpu, self.arenas.get(arena, offset + bytes.len())?, offset, bytes)
    }

    fn read(&mut self, arena: Arena, offset: usize, len: usize) -> Result<Vec<u8>, EngineError> {
        self.gpu.check()?;
        download(&self.gpu, self.arenas.get(arena, offset + len)?, offset, len)
    }

    fn keep(&mut self, arenas: &[Arena]) -> Result<bool, EngineError> {
        self.gpu.check()?;
        self.arenas.keep(&self.gpu, arenas)
    }

    fn put_back(&mut self) -> Result<(), EngineError> {
        self.gpu.check()?;
        self.arenas.put_back(&self.gpu)
    }

    fn read_output(&mut self, plan: PlanId, index: usize) -> Result<Vec<u8>, EngineError> {
        self.gpu.check()?;
        let Output { place, bytes } = &self.plans[plan.0].outputs[index];
        match *place {
            OutputPlace::Arena(arena, offset) => {
                download(&self.gpu, self.arenas.get(arena, offset + bytes)?, offset, *bytes)
            }
            OutputPlace::Pool(number) => download(&self.gpu, self.pool.get(number), 0, *bytes),
        }
    }

    fn memory(&self) -> usize {
        self.gpu.used()
    }

    /// What can be bound at once; where memory is limited, half of it, since the rest of a step needs some too.
    fn image_limit(&self) -> usize {
        let bound = self.gpu.limits.max_storage_buffer_binding_size.min(self.gpu.limits.max_buffer_size);
        let bound = usize::try_from(bound).unwrap_or(usize::MAX);
        let budget = self.options.memory_limit.map_or(usize::MAX, |bytes| bytes / 2);
        // Arenas end at multiples of this.
        bound.min(budget) / ALIGNMENT * ALIGNMENT
    }

    /// Once timed, every dispatch gets a pass of its own, so that a step as a whole takes longer than usual.
    fn time_kernels(&mut self, on: bool) -> bool {
        let can = self.gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        self.launches = (can && on).then(Vec::new);
        can
    }

    fn launches(&self) -> &[Launch] {
        self.launches.as_deref().unwrap_or(&[])
    }
}

/// The variants to use, the first that fits: a kernel that was replaced runs whatever else was chosen.
fn choices(options: &Options, tuned: &[VariantChoice]) -> Vec<VariantChoice> {
    let replaced = options.kernels.iter().map(|(name, _)| VariantChoice::of_kernel(name));
    replaced.chain(options.variants.iter().chain(tuned).cloned()).collect()
}

/// What the device has to be opened with for these variants.
fn features(adapter: &AdapterSummary, choices: &[VariantChoice]) -> Result<wgpu::Features, GpuError> {
    let mut features = wgpu::Features::empty();
    for (choice, need) in choices.iter().filter_map(|c| Some((c, c.need()?))) {
        if !adapter.has(need) {
            return Err(GpuError::Lacks { adapter: adapter.name.clone(), need, choice: choice.clone() });
        }
        features |= need.feature();
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use super::super::adapter::tests::summary;
    use super::super::lower::MatrixUnit;
    use super::*;

    #[test]
    fn a_variant_without_what_it_needs_is_refused() {
        let mut adapter = summary(0, "Small", wgpu::DeviceType::IntegratedGpu);
        let wanted = |adapter: &AdapterSummary, variant: &str| {
            features(adapter, &[VariantChoice::new("linear", "plain"), VariantChoice::new("conv2d", variant)])
        };
        assert_eq!(wanted(&adapter, "tiled").expect("nothing is needed"), wgpu::Features::empty());
        let error = wanted(&adapter, "half").expect_err("it has no such floats").to_string();
        for word in ["Small lacks 16-bit floats", "conv2d=half", "another device"] {
            assert!(error.contains(word), "{error}");
        }
        let error = features(&adapter, &VariantChoice::everywhere("subgroup")).expect_err("nor these").to_string();
        assert!(
            error.contains("lacks subgroup operations, which the kernel batch_norm_stats=subgroup needs"),
            "{error}"
        );
        adapter.f16 = true;
        assert_eq!(wanted(&adapter, "half").expect("it has"), wgpu::Features::SHADER_F16);
        let error = wanted(&adapter, "matrix").expect_err("it has no unit").to_string();
        assert!(error.contains("Small lacks a unit that multiplies matrices"), "{error}");
        adapter.matrix_unit = Some(MatrixUnit { side: 16, subgroup: 32 });
        let features = wanted(&adapter, "matrix").expect("it has");
        assert!(features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX));
    }
}
