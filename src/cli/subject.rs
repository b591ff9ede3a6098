//! What `proteus bench` and `proteus profile` measure, and on what.

use super::device_args::DeviceArgs;
use super::failure::Failure;
use crate::bench::{Peaks, Subject, reckon};
use crate::cpu::{self, Isa};
use crate::gpu::{AdapterSummary, Fusion, GpuEngine, GpuError};
use crate::tape::{Engine, Launch};
use crate::{device, gpu};
use clap::builder::RangedU64ValueParser;
use std::path::Path;

/// Savings that `--without` switches off.
const SAVINGS: [&str; 7] = ["winograd", "chains", "reuse", "fusion", "folding", "avx512", "simd"];

/// Those that decide which of the GPU's operations run as one kernel.
const FUSIONS: [&str; 2] = ["fusion", "folding"];

/// How many steps are timed.
#[derive(clap::Args)]
pub struct Steps {
    /// Steps to time, after as many that warm up
    #[arg(long, value_name = "N", default_value = "20", value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub steps: usize,
}

/// The arguments that say so.
#[derive(clap::Args)]
pub struct Choice {
    /// Preset whose training step is measured, on noise of its image size
    #[arg(long, value_name = "P", default_value = "mnist")]
    pub preset: String,
    #[command(flatten)]
    compute: DeviceArgs,
    /// Replace a value of the preset; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub assignments: Vec<String>,
    /// Side of the images in pixels [default: that of the preset]
    #[arg(long, value_name = "PX", value_parser = RangedU64ValueParser::<usize>::new().range(8..=1024))]
    size: Option<usize>,
    /// Transformations that are active, the first so many after the identity [default: all]
    #[arg(long, value_name = "N")]
    stage: Option<usize>,
    /// Switch a saving off: winograd (the CPU's convolution), chains (its rows that stay in cache through many
    /// operations), fusion (the GPU's operations that run as one kernel), folding (its normalisations done in
    /// convolutions), reuse (memory shared between results), avx512 (the CPU's registers of sixteen numbers), simd (its
    /// vectors altogether); may be repeated
    #[arg(long, value_name = "SAVING", value_parser = SAVINGS)]
    without: Vec<String>,
    /// Use this kernel for an operation that has several on the GPU, wherever it can: plain, tiled, subgroup
    /// (reductions), chain (distances with the transformations before them), half (convolutions with 16-bit pixels, less exact) or matrix (by matrix units, 16-bit factors, less exact
    /// still); may be repeated
    #[arg(long, value_name = "OPERATION=VARIANT", value_parser = gpu::VariantChoice::parse)]
    variant: Vec<gpu::VariantChoice>,
}

/// Writes a plot to a file.
pub fn write_plot(path: &Path, text: String) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|e| Failure::Failed(format!("cannot write the plot {}: {e}", path.display())))
}

impl Choice {
    /// The subject with so many steps, with `changes` on top of those of the arguments and perhaps another side of the
    /// images.
    pub fn subject(&self, steps: usize, changes: &[String], size: Option<usize>) -> Result<Subject, Failure> {
        let changes = [&self.assignments, changes].concat();
        Ok(Subject::new(&self.preset, &changes, size.or(self.size), self.stage, steps)?)
    }

    /// The launches of a step on a GPU that is not there, with the variants asked for.
    pub fn reckon(&self, subject: &Subject, peaks: Peaks) -> Result<Vec<Launch>, Failure> {
        if let Some(saving) = self.without.iter().find(|w| !FUSIONS.contains(&w.as_str())) {
            let message =
                format!("--without {saving} has no meaning where nothing runs; {} have", FUSIONS.join(" and "));
            return Err(Failure::User(message));
        }
        Ok(reckon(subject, peaks, self.fusion(), &self.variant)?)
    }

    fn fusion(&self) -> Fusion {
        match FUSIONS.map(|saving| self.has(saving)) {
            [false, _] => Fusion::Off,
            [_, false] => Fusion::Results,
            _ => Fusion::Loads,
        }
    }

    fn has(&self, saving: &str) -> bool {
        !self.without.iter().any(|w| w == saving)
    }

    /// What is known of the GPU, without opening it.
    pub fn find_gpu(&self) -> Result<AdapterSummary, Failure> {
        Ok(gpu::find(self.gpu_name()?).map_err(|e| device::DeviceError::from(GpuError::from(e)))?)
    }

    fn gpu_name(&self) -> Result<&str, Failure> {
        if !self.variant.is_empty() || !self.without.is_empty() {
            return Err(Failure::User(
                "every variant is tried, so --variant and --without have no meaning here".into(),
            ));
        }
        match self.compute.device.as_str() {
            "auto" => Ok("gpu"),
            "cpu" => Err(Failure::User("the kernels of the CPU have no variants; name a GPU with --device".into())),
            name => Ok(name),
        }
    }

    /// Opens the device.
    pub fn open(&self) -> Result<(Box<dyn Engine>, String), Failure> {
        self.open_with(true, gpu::Options::default())
    }

    /// Opens the device, a GPU, with these variants of kernels and none that were tuned.
    pub fn open_gpu(&self, variants: Vec<gpu::VariantChoice>) -> Result<GpuEngine, Failure> {
        let name = self.gpu_name()?;
        let options = gpu::Options { variants, ..gpu::Options::default() };
        Ok(GpuEngine::new(name, options).map_err(device::DeviceError::from)?)
    }

    /// Opens the device, on the CPU perhaps with every operation on rows by itself.
    pub fn open_with(&self, chains: bool, gpu: gpu::Options) -> Result<(Box<dyn Engine>, String), Failure> {
        let [winograd, chained, reuse] = ["winograd", "chains", "reuse"].map(|saving| self.has(saving));
        let chains = chains && chained;
        let isa = match (self.has("simd"), self.has("avx512")) {
            (false, _) => Isa::Portable,
            (_, false) => Isa::Avx2.min(Isa::detect()),
            _ => Isa::detect(),
        };
        let cpu = cpu::Options { threads: self.compute.threads, isa, winograd, chains, reuse };
        let variants = [&gpu.variants[..], &self.variant].concat();
        let gpu = gpu::Options { reuse, fusion: self.fusion(), variants, ..gpu };
        let (engine, mut chosen) = device::open_with(&self.compute.device, cpu, gpu)?;
        if !self.variant.is_empty() && engine.kind() == "cpu" {
            return Err(Failure::User(format!("--variant is for the GPU, and the device is {chosen}")));
        }
        if !self.without.is_empty() {
            let other = match (engine.kind(), Isa::detect()) {
                ("cpu", Isa::Avx512) => &FUSIONS[..],
                ("cpu", _) => &["fusion", "folding", "avx512"],
                _ => &["winograd", "chains", "avx512", "simd"],
            };
            if let Some(saving) = self.without.iter().find(|s| other.contains(&s.as_str())) {
                return Err(Failure::User(format!("--without {saving} is not for this device: {chosen}")));
            }
            chosen += &format!(", without {}", self.without.join(" and "));
        }
        Ok((engine, chosen))
    }
}
