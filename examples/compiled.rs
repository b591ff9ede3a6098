//! What a driver's compiler makes of the kernels: registers, spills and what else it tells of each, for every kernel of a
//! training step.
//!
//! ```text
//! cargo run --release --example compiled -- [--preset usps] [--adapter NAME] [--variant conv2d=half]...
//! cargo run --release --example compiled -- --kernel conv2d_tiled      and the text of the compiler, where it gives it
//! ```
//!
//! Needs a Vulkan driver with VK_KHR_pipeline_executable_properties, which those of Mesa and NVIDIA have; nothing is run, so
//! that a driver without its hardware will do (docs/benchmarks.md).

use ash::{khr, vk};
use clap::Parser;
use naga::back::spv;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use proteus::bench::{Subject, lowered};
use proteus::gpu::{Dispatch, Fusion, VariantChoice, wgsl};
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::CStr;
use std::io::Write;
use std::process::ExitCode;

/// Registers, spills and the like of the kernels of a training step, as a Vulkan driver compiles them
#[derive(Parser)]
pub struct Args {
    /// Preset whose training step is compiled
    #[arg(long, default_value = "mnist")]
    preset: String,
    /// Replace a value of the preset; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    /// Part of the name of the adapter [default: the first]
    #[arg(long, default_value = "")]
    adapter: String,
    /// Use this kernel for an operation; may be repeated
    #[arg(long, value_name = "OPERATION=VARIANT", value_parser = VariantChoice::parse)]
    variant: Vec<VariantChoice>,
    /// Only kernels of this name, with the compiler's own text
    #[arg(long)]
    kernel: Option<String>,
}

/// What goes wrong, as it is printed.
pub type Failure = Box<dyn Error>;

/// The SPIR-V of a kernel that wgpu would hand to the driver, without its checks of bounds and of loops.
pub fn spirv(dispatch: &Dispatch) -> Result<Vec<u32>, Failure> {
    let text = wgsl::source(dispatch.kernel, &dispatch.constants, &[])?;
    let module = naga::front::wgsl::parse_str(&text).map_err(|e| e.emit_to_string(&text))?;
    let validate = |module: &naga::Module| {
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
        validator.validate(module).map_err(|e| e.emit_to_string(&text))
    };
    let info = validate(&module)?;
    let constants = dispatch.constants.iter().map(|(name, value)| (name.to_string(), *value)).collect();
    let entry = Some((naga::ShaderStage::Compute, "main"));
    let (module, _) = naga::back::pipeline_constants::process_overrides(&module, &info, entry, &constants)?;
    let info = validate(&module)?;
    let unchecked = naga::proc::BoundsCheckPolicy::Unchecked;
    let options = spv::Options {
        lang_version: (1, 3),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: naga::proc::BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        ..Default::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
    Ok(spv::write_vec(&module, &info, &options, Some(&pipeline))?)
}

/// A device that compiles.
struct Compiler {
    name: String,
    device: ash::Device,
    told: khr::pipeline_executable_properties::Device,
    instance: ash::Instance,
    _entry: ash::Entry,
}

impl Drop for Compiler {
    fn drop(&mut self) {
        // SAFETY: made by `open`, in this order; whatever was made of the device is gone.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

impl Compiler {
    /// Opens the first adapter with such a name, with what the kernels and the question need.
    fn open(name: &str) -> Result<Compiler, Failure> {
        // SAFETY: the loader is the system's; handles are used while their parents live.
        unsafe {
            let entry = ash::Entry::load().map_err(|e| format!("no Vulkan loader: {e}"))?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let instance =
                entry.create_instance(&vk::InstanceCreateInfo::default().application_info(&application), None)?;
            let named = |&adapter: &vk::PhysicalDevice| {
                let properties = instance.get_physical_device_properties(adapter);
                let its = properties.device_name_as_c_str().unwrap_or_default().to_string_lossy().to_lowercase();
                its.contains(&name.to_lowercase())
            };
            let adapters = instance.enumerate_physical_devices()?;
            let adapter =
                *adapters.iter().find(|a| named(a)).ok_or("no adapter of this name; `proteus devices` lists them")?;
            let properties = instance.get_physical_device_properties(adapter);
            let name = properties.device_name_as_c_str()?.to_string_lossy().into_owned();
            let offered = instance.enumerate_device_extension_properties(adapter)?;
            let has = |name: &CStr| offered.iter().any(|e| e.extension_name_as_c_str() == Ok(name));
            if !has(khr::pipeline_executable_properties::NAME) {
                return Err(
                    "its driver tells nothing of what it compiles (VK_KHR_pipeline_executable_properties)".into()
                );
            }
            let matrices = has(khr::cooperative_matrix::NAME);
            let mut extensions = vec![khr::pipeline_executable_properties::NAME.as_ptr()];
            extensions.extend(matrices.then_some(khr::cooperative_matrix::NAME.as_ptr()));
            let mut telling =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let mut matrix = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default().cooperative_matrix(true);
            let mut v12 = vk::PhysicalDeviceVulkan12Features::default()
                .shader_float16(true)
                .vulkan_memory_model(true)
                .vulkan_memory_model_device_scope(true);
            let queue = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
            let wanted =
                vk::DeviceCreateInfo::default().queue_create_infos(&queue).enabled_extension_names(&extensions);
            let wanted = wanted.push_next(&mut telling).push_next(&mut v12);
            let wanted = if matrices { wanted.push_next(&mut matrix) } else { wanted };
            let device = instance.create_device(adapter, &wanted, None)?;
            let told = khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Compiler { name, device, told, instance, _entry: entry })
        }
    }

    /// Compiles a kernel: what the compiler tells of it by name, and with `text` its own words.
    fn compile(&self, code: &[u32], bindings: usize, text: bool) -> Result<(Vec<(String, String)>, String), Failure> {
        let kind = |i| if i == 0 { vk::DescriptorType::UNIFORM_BUFFER } else { vk::DescriptorType::STORAGE_BUFFER };
        let binding = |i: u32| {
            let binding = vk::DescriptorSetLayoutBinding::default().binding(i).descriptor_count(1);
            binding.descriptor_type(kind(i)).stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let bindings: Vec<_> = (0..=bindings as u32).map(binding).collect();
        let mut flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR;
        if text {
            flags |= vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        }
        // SAFETY: the code is valid SPIR-V of naga's, with the bindings of the layout; everything is destroyed at the end.
        unsafe {
            let module = self.device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(code), None)?;
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let set = self.device.create_descriptor_set_layout(&set, None)?;
            let sets = [set];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = self.device.create_pipeline_layout(&layout, None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default().stage(vk::ShaderStageFlags::COMPUTE);
            let stage = stage.module(module).name(c"main");
            let wanted = vk::ComputePipelineCreateInfo::default().flags(flags).stage(stage).layout(layout);
            let compiled = self.device.create_compute_pipelines(vk::PipelineCache::null(), &[wanted], None);
            let compiled = compiled.map(|pipelines| pipelines[0]).map_err(|(_, error)| error);
            let answer = compiled.and_then(|pipeline| {
                let which = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
                let told = self.told.get_pipeline_executable_statistics(&which)?;
                let words = if text { self.words(&which)? } else { String::new() };
                self.device.destroy_pipeline(pipeline, None);
                Ok((told.iter().map(statistic).collect(), words))
            });
            self.device.destroy_pipeline_layout(layout, None);
            self.device.destroy_descriptor_set_layout(set, None);
            self.device.destroy_shader_module(module, None);
            Ok(answer?)
        }
    }

    /// What the compiler shows of its work.
    ///
    /// # Safety
    /// The pipeline is alive and was compiled to be shown.
    unsafe fn words(&self, of: &vk::PipelineExecutableInfoKHR<'_>) -> Result<String, vk::Result> {
        // SAFETY: asked twice, for the sizes and for the texts, each of which has its own room.
        let mut shown = unsafe { self.told.get_pipeline_executable_internal_representations(of)? };
        let mut texts: Vec<Vec<u8>> = shown.iter().map(|s| vec![0; s.data_size]).collect();
        for (part, text) in shown.iter_mut().zip(&mut texts) {
            part.p_data = text.as_mut_ptr().cast();
        }
        // SAFETY: as above.
        let again = unsafe {
            let ask = self.told.fp().get_pipeline_executable_internal_representations_khr;
            ask(self.device.handle(), of, &mut (shown.len() as u32), shown.as_mut_ptr())
        };
        again.result()?;
        let named = shown.iter().zip(&texts).map(|(part, text)| {
            let name = part.name_as_c_str().unwrap_or_default().to_string_lossy();
            let text = String::from_utf8_lossy(text);
            format!("--- {name}\n{}\n", text.trim_end_matches('\0'))
        });
        Ok(named.collect())
    }
}

fn statistic(of: &vk::PipelineExecutableStatisticKHR<'_>) -> (String, String) {
    let name = of.name_as_c_str().unwrap_or_default().to_string_lossy().into_owned();
    // SAFETY: the format says which member of the union was written.
    let value = unsafe {
        match of.format {
            vk::PipelineExecutableStatisticFormatKHR::BOOL32 => (of.value.b32 != 0).to_string(),
            vk::PipelineExecutableStatisticFormatKHR::INT64 => of.value.i64.to_string(),
            vk::PipelineExecutableStatisticFormatKHR::FLOAT64 => format!("{:.3}", of.value.f64),
            _ => of.value.u64.to_string(),
        }
    };
    (name, value)
}

/// Writes what the driver's compiler tells.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let subject = Subject::new(&args.preset, &args.assignments, None, None, 1)?;
    let lowered = lowered(&subject, Fusion::default(), &args.variant)?;
    let mut kernels: BTreeMap<String, (&Dispatch, usize)> = BTreeMap::new();
    for dispatch in &lowered.dispatches {
        if args.kernel.as_ref().is_none_or(|name| name == dispatch.kernel) {
            let same = format!("{} {:?}", dispatch.kernel, dispatch.constants);
            kernels.entry(same).or_insert((dispatch, 0)).1 += 1;
        }
    }
    if kernels.is_empty() {
        return Err("this step has no kernel of that name; `proteus profile --peaks 1,1` lists them".into());
    }
    let compiler = Compiler::open(&args.adapter)?;
    writeln!(out, "{}", compiler.name)?;
    for (dispatch, launches) in kernels.values() {
        let (told, words) = compiler.compile(&spirv(dispatch)?, dispatch.bindings.len(), args.kernel.is_some())?;
        let (kernel, detail, [x, y, z]) = (dispatch.kernel, &dispatch.work.detail, dispatch.groups);
        writeln!(out, "\n{kernel} {detail}, {launches} launches of {x} x {y} x {z} workgroups")?;
        let told: Vec<String> = told.iter().map(|(name, value)| format!("{name} {value}")).collect();
        writeln!(out, "    {}", told.join(", "))?;
        if args.kernel.is_some() {
            writeln!(out, "    constants {:?}\n{words}", dispatch.constants)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Args::parse(), &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
