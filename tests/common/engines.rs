//! The engines under test. Adding one is a line.

use super::adapter;
use super::compare::Tolerance;

use super::reference_engine::{Fault, ReferenceEngine};
use proteus::tape::{Engine, Program};
use proteus::{cpu, gpu};

/// An engine that may be missing on this machine.
pub struct Candidate {
    pub name: &'static str,
    /// Candidates with the same arithmetic must give the same bits.
    pub arithmetic: &'static str,
    /// The variant of kernels that it uses, where that is less exact.
    pub inexact: Option<&'static str>,
    /// Makes it, or says why it cannot be had.
    pub make: fn() -> Result<Box<dyn Engine>, String>,
}

impl Candidate {
    /// What it may be off at least in a program that its less exact kernels compute.
    pub fn leave(&self, program: &Program) -> Option<Tolerance> {
        let variant = self.inexact?;
        // The smallest unit computes the most.
        let unit = Some(gpu::MatrixUnit { side: 8, subgroup: 8 });
        let lowered = gpu::lower(program, gpu::Fusion::Loads, &gpu::Variants::all(variant).with_unit(unit)).ok()?;
        let kernels = lowered.dispatches.iter().filter(|d| gpu::variant_of(d.kernel).1 == variant).count();
        // A matrix unit has both factors rounded, and the worst of their products stands out more.
        let rounded = if variant == gpu::MATRIX { 3 * kernels } else { kernels };
        (kernels > 0).then(|| Tolerance::half(rounded))
    }
}

/// The reference.
pub const REFERENCE: Candidate = Candidate {
    name: "reference",
    arithmetic: "f64",
    inexact: None,
    make: || Ok(Box::new(ReferenceEngine::new(Fault::None))),
};

/// Engines on the processor.
pub const CPU: &[Candidate] = &[
    Candidate {
        name: "cpu, 1 thread",
        arithmetic: "best",
        inexact: None,
        make: || cpu(cpu::Options { threads: Some(1), ..Default::default() }),
    },
    Candidate {
        // On a processor with AVX-512 this tells whether both give the same bits.
        name: "cpu, at most AVX2, 2 threads, without reuse of memory",
        arithmetic: "best",
        inexact: None,
        make: || cpu(cpu::Options { threads: Some(2), isa: cpu::Isa::Avx2, reuse: false, ..Default::default() }),
    },
    Candidate {
        name: "cpu, direct convolutions, one operation a kernel",
        arithmetic: "direct",
        inexact: None,
        make: || cpu(cpu::Options { threads: Some(2), winograd: false, chains: false, ..Default::default() }),
    },
    Candidate {
        name: "cpu, portable, 3 threads",
        arithmetic: "portable",
        inexact: None,
        make: || cpu(cpu::Options { threads: Some(3), isa: cpu::Isa::Portable, ..Default::default() }),
    },
];

fn cpu(options: cpu::Options) -> Result<Box<dyn Engine>, String> {
    cpu::CpuEngine::with_options(options).map(|engine| Box::new(engine) as _).map_err(|e| e.to_string())
}

/// Engines on a GPU: as portable and as careful as can be, and as they run in earnest. Drivers may contract products
/// and sums in one and not in the other.
pub const GPU: &[Candidate] = &[
    Candidate {
        name: "gpu, checked, WebGPU's default limits, without reuse of memory",
        arithmetic: "checked",
        inexact: None,
        make: || {
            gpu(gpu::Options {
                checked: true,
                baseline_limits: true,
                reuse: false,
                fusion: gpu::Fusion::Off,
                ..Default::default()
            })
        },
    },
    Candidate {
        name: "gpu, unchecked",
        arithmetic: "unchecked",
        inexact: None,
        make: || {
            gpu(gpu::Options {
                checked: false,
                variants: gpu::VariantChoice::everywhere(gpu::PLAIN),
                ..Default::default()
            })
        },
    },
    Candidate {
        name: "gpu, tiled, checked, WebGPU's default limits",
        arithmetic: "tiled",
        inexact: None,
        make: || {
            gpu(gpu::Options {
                checked: true,
                baseline_limits: true,
                variants: gpu::VariantChoice::everywhere("tiled"),
                ..Default::default()
            })
        },
    },
    Candidate {
        name: "gpu, subgroups, chains, checked, WebGPU's default limits",
        arithmetic: "subgroup",
        inexact: None,
        make: || {
            gpu(gpu::Options {
                checked: true,
                baseline_limits: true,
                variants: [gpu::SUBGROUP, gpu::CHAIN].map(gpu::VariantChoice::everywhere).concat(),
                ..Default::default()
            })
        },
    },
    Candidate {
        name: "gpu, 16-bit pixels, checked, WebGPU's default limits",
        arithmetic: "half",
        inexact: Some(gpu::HALF),
        make: || {
            gpu(gpu::Options {
                checked: true,
                baseline_limits: true,
                variants: gpu::VariantChoice::everywhere(gpu::HALF),
                ..Default::default()
            })
        },
    },
    Candidate {
        name: "gpu, matrix unit, checked",
        arithmetic: "matrix",
        inexact: Some(gpu::MATRIX),
        make: || {
            gpu(gpu::Options {
                checked: true,
                variants: gpu::VariantChoice::everywhere(gpu::MATRIX),
                ..Default::default()
            })
        },
    },
];

fn gpu(options: gpu::Options) -> Result<Box<dyn Engine>, String> {
    adapter::open(options).map(|engine| Box::new(engine) as _).map_err(|e| e.to_string())
}

/// Makes a candidate, or says on the terminal that its tests are skipped. With PROTEUS_REQUIRE_GPU=1 that is a failure.
pub fn make_or_skip(candidate: &Candidate) -> Option<Box<dyn Engine>> {
    (candidate.make)().map_err(|why| adapter::skip(candidate.name, &why)).ok()
}
