//! Which GPU to use.

use super::lower::{MATRIX_BYTES, MatrixUnit, Need};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What Proteus can reach through Vulkan, Metal or DX12.
#[derive(Clone, Debug)]
pub struct AdapterSummary {
    /// Position in the list, as in `gpu:1`.
    pub index: usize,
    /// Name as the driver gives it.
    pub name: String,
    /// Discrete, integrated, virtual, CPU or other.
    pub device_type: wgpu::DeviceType,
    /// Vulkan, Metal or DX12.
    pub backend: wgpu::Backend,
    /// Driver and its version.
    pub driver: String,
    /// Whether it computes on the CPU: used only when named.
    pub software: bool,
    /// Whether it can time single kernels.
    pub timestamps: bool,
    /// Smallest and largest number of invocations that run in step.
    pub subgroup: (u32, u32),
    /// Whether shaders can use 16-bit floats.
    pub f16: bool,
    /// Whether shaders can use subgroup operations.
    pub subgroup_operations: bool,
    /// What multiplies matrices of 16-bit floats and adds in f32, the largest that kernels can use.
    pub matrix_unit: Option<MatrixUnit>,
    /// Its limits.
    pub limits: wgpu::Limits,
}

impl AdapterSummary {
    fn new(index: usize, adapter: &wgpu::Adapter) -> Self {
        let (info, features) = (adapter.get_info(), adapter.features());
        AdapterSummary {
            index,
            software: is_software(&info),
            device_type: info.device_type,
            backend: info.backend,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            subgroup: (info.subgroup_min_size, info.subgroup_max_size),
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroup_operations: features.contains(wgpu::Features::SUBGROUP),
            matrix_unit: matrix_unit(adapter),
            limits: adapter.limits(),
            name: info.name,
        }
    }

    /// Whether it has what a variant needs.
    pub fn has(&self, need: Need) -> bool {
        match need {
            Need::HalfFloats => self.f16,
            Need::SubgroupOperations => self.subgroup_operations,
            Need::MatrixUnit => self.matrix_unit.is_some(),
        }
    }
}

impl fmt::Display for AdapterSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let software = if self.software { ", software" } else { "" };
        write!(f, "gpu:{} {} ({:?}{software}; {})", self.index, self.name, self.backend, self.driver)
    }
}

/// A choice of adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// `gpu`: the best real GPU.
    Best,
    /// `gpu:N`: the one at this position of the list.
    Index(usize),
    /// Any other text: the first whose name contains it, whatever the case.
    Name(String),
}

impl FromStr for Selection {
    type Err = AdapterError;

    fn from_str(text: &str) -> Result<Self, AdapterError> {
        let text = text.trim();
        match text.strip_prefix("gpu") {
            Some("") => Ok(Selection::Best),
            Some(rest) if rest.starts_with(':') => {
                rest[1..].parse().map(Selection::Index).map_err(|_| AdapterError::Syntax(text.to_string()))
            }
            _ if text.is_empty() => Err(AdapterError::Syntax(text.to_string())),
            _ => Ok(Selection::Name(text.to_string())),
        }
    }
}

/// Why no adapter was chosen.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The choice cannot be read.
    #[error("'{0}' is no device: write cpu, gpu, gpu:1 or part of an adapter's name")]
    Syntax(String),
    /// There is no adapter at all.
    #[error("no GPU was found: {advice}")]
    None {
        /// What seems to be missing and how to install it.
        advice: String,
    },
    /// Only software adapters are there, and none was named.
    #[error("no real GPU was found, only {}; {advice}. A software adapter is used only when named (--device {})", list(found), found[0].name.split_whitespace().next().unwrap_or("llvmpipe"))]
    OnlySoftware {
        /// What is there.
        found: Vec<AdapterSummary>,
        /// What seems to be missing.
        advice: String,
    },
    /// No adapter has that position.
    #[error("there is no gpu:{index}; found {}", list(found))]
    NoSuchIndex {
        /// The position.
        index: usize,
        /// What is there.
        found: Vec<AdapterSummary>,
    },
    /// No adapter has such a name.
    #[error("no adapter's name contains '{name}'; found {}", list(found))]
    NoSuchName {
        /// The part of a name.
        name: String,
        /// What is there.
        found: Vec<AdapterSummary>,
    },
}

/// All adapters, in the order that `gpu:N` counts.
pub fn adapters() -> Vec<AdapterSummary> {
    enumerate().iter().enumerate().map(|(i, a)| AdapterSummary::new(i, a)).collect()
}

/// What is known of the adapter that `gpu`, `gpu:1` or part of a name means.
///
/// # Errors
/// If the text cannot be read or nothing fits.
pub fn find(selection: &str) -> Result<AdapterSummary, AdapterError> {
    Ok(select(&selection.parse()?)?.1)
}

/// The adapter that a selection means.
pub(super) fn select(selection: &Selection) -> Result<(wgpu::Adapter, AdapterSummary), AdapterError> {
    let adapters = enumerate();
    let found: Vec<AdapterSummary> = adapters.iter().enumerate().map(|(i, a)| AdapterSummary::new(i, a)).collect();
    if found.is_empty() {
        return Err(AdapterError::None { advice: advice() });
    }
    let index = choose(selection, &found)?;
    Ok((adapters[index].clone(), found[index].clone()))
}

fn choose(selection: &Selection, found: &[AdapterSummary]) -> Result<usize, AdapterError> {
    let all = || found.to_vec();
    match selection {
        Selection::Best => {
            let best = found.iter().filter(|a| !a.software).min_by_key(|a| (rank(a.device_type), a.index));
            best.map(|a| a.index).ok_or_else(|| AdapterError::OnlySoftware { found: all(), advice: advice() })
        }
        &Selection::Index(index) if index < found.len() => Ok(index),
        &Selection::Index(index) => Err(AdapterError::NoSuchIndex { index, found: all() }),
        Selection::Name(name) => {
            let part = name.to_lowercase();
            let position = found.iter().position(|a| a.name.to_lowercase().contains(&part));
            position.ok_or_else(|| AdapterError::NoSuchName { name: name.clone(), found: all() })
        }
    }
}

fn enumerate() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let descriptor =
        wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle_from_env() };
    let instance = wgpu::Instance::new(descriptor);
    pollster::block_on(instance.enumerate_adapters(backends))
}

fn rank(device_type: wgpu::DeviceType) -> usize {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// The largest unit that kernels can use, if the adapter has all that they need beside it.
fn matrix_unit(adapter: &wgpu::Adapter) -> Option<MatrixUnit> {
    let subgroup = adapter.get_info().subgroup_max_size as usize;
    // A workgroup is four subgroups, and 256 invocations are what every device allows. On Metal, Naga counts the distance
    // between the rows of a matrix in other units than on Vulkan.
    let able = adapter.get_info().backend == wgpu::Backend::Vulkan
        && adapter.features().contains(Need::MatrixUnit.feature())
        && adapter.limits().max_compute_workgroup_storage_size as usize >= MATRIX_BYTES
        && (1..=64).contains(&subgroup);
    let shapes = if able { adapter.cooperative_matrix_properties() } else { Vec::new() };
    Some(MatrixUnit { side: side(&shapes)?, subgroup })
}

/// Side of the largest square matrices among these shapes that are multiplied in f16 and added in f32.
fn side(shapes: &[wgpu::CooperativeMatrixProperties]) -> Option<usize> {
    use wgpu::CooperativeScalarType::{F16, F32};
    let fits = |p: &wgpu::CooperativeMatrixProperties, side: u32| {
        [p.m_size, p.n_size, p.k_size] == [side; 3] && p.ab_type == F16 && p.cr_type == F32
    };
    [16, 8].into_iter().find(|&side| shapes.iter().any(|p| fits(p, side))).map(|side| side as usize)
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    let name = info.name.to_lowercase();
    // WARP reports itself as another kind of device in some versions.
    info.device_type == wgpu::DeviceType::Cpu
        || ["llvmpipe", "swiftshader", "basic render"].iter().any(|s| name.contains(s))
}

fn list(found: &[AdapterSummary]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What the machine seems to lack.
fn advice() -> String {
    if !cfg!(target_os = "linux") {
        return "install or update the graphics driver".to_string();
    }
    let loader = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"].iter().any(|folder| {
        let triple = format!("{folder}/{}-linux-gnu", std::env::consts::ARCH);
        [*folder, triple.as_str()].iter().any(|folder| Path::new(folder).join("libvulkan.so.1").exists())
    });
    if !loader {
        return "the Vulkan loader (libvulkan.so.1) is missing; on Debian or Ubuntu: apt-get install libvulkan1"
            .to_string();
    }
    let described = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"]
        .iter()
        .any(|folder| std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()));
    if let Some(files) = std::env::var_os("VK_DRIVER_FILES")
        && let Some(missing) = std::env::split_paths(&files).find(|path| !path.exists())
    {
        return format!("VK_DRIVER_FILES names {}, which does not exist", missing.display());
    }
    if !described && std::env::var_os("VK_DRIVER_FILES").is_none() {
        return "the Vulkan loader is there but no driver (/usr/share/vulkan/icd.d is empty); install the vendor's driver, \
                or mesa-vulkan-drivers for AMD, Intel and the software driver"
            .to_string();
    }
    "a Vulkan driver is installed but found no GPU; in a container, pass the device in (for NVIDIA --gpus all with \
     NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility)"
        .to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What tests know of an adapter.
    pub fn summary(index: usize, name: &str, device_type: wgpu::DeviceType) -> AdapterSummary {
        AdapterSummary {
            index,
            name: name.to_string(),
            device_type,
            backend: wgpu::Backend::Vulkan,
            driver: "driver 1".to_string(),
            software: device_type == wgpu::DeviceType::Cpu,
            timestamps: false,
            subgroup: (8, 8),
            f16: false,
            subgroup_operations: false,
            matrix_unit: None,
            limits: wgpu::Limits::default(),
        }
    }

    #[test]
    fn the_largest_matrix_unit_that_kernels_can_use() {
        use wgpu::CooperativeScalarType::{F16, F32, I32};
        let shape = |[m_size, n_size, k_size]: [u32; 3], ab_type, cr_type| wgpu::CooperativeMatrixProperties {
            m_size,
            n_size,
            k_size,
            ab_type,
            cr_type,
            saturating_accumulation: false,
        };
        let (small, large) = (shape([8; 3], F16, F32), shape([16; 3], F16, F32));
        let others =
            [shape([16, 8, 16], F16, F32), shape([16; 3], F16, F16), shape([16; 3], I32, I32), shape([8; 3], F32, F32)];
        assert_eq!(side(&others), None);
        assert_eq!(side(&[&others[..], &[small]].concat()), Some(8));
        assert_eq!(side(&[small, large]), Some(16));
    }

    #[test]
    fn choices_are_read() {
        assert_eq!("gpu".parse::<Selection>().unwrap(), Selection::Best);
        assert_eq!("gpu:2".parse::<Selection>().unwrap(), Selection::Index(2));
        assert_eq!("LLVMpipe".parse::<Selection>().unwrap(), Selection::Name("LLVMpipe".into()));
        assert!("gpu:x".parse::<Selection>().is_err() && "".parse::<Selection>().is_err());
    }

    #[test]
    fn the_best_is_a_real_gpu() {
        let found = [
            summary(0, "llvmpipe (LLVM 15)", wgpu::DeviceType::Cpu),
            summary(1, "Small", wgpu::DeviceType::IntegratedGpu),
            summary(2, "Large", wgpu::DeviceType::DiscreteGpu),
        ];
        assert_eq!(choose(&Selection::Best, &found).unwrap(), 2);
        assert_eq!(choose(&Selection::Index(1), &found).unwrap(), 1);
        assert_eq!(choose(&Selection::Name("LLVM".into()), &found).unwrap(), 0);
        let error = choose(&Selection::Best, &found[..1]).unwrap_err().to_string();
        assert!(error.contains("--device llvmpipe"), "{error}");
        let error = choose(&Selection::Name("rtx".into()), &found).unwrap_err().to_string();
        assert!(error.contains("'rtx'") && error.contains("gpu:2 Large"), "{error}");
        assert!(choose(&Selection::Index(3), &found).is_err());
    }
}
