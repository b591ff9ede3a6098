//! The engines under test. Adding one is a line.

use std::io::Write as _;

use super::reference_engine::{Fault, ReferenceEngine};
use proteus::tape::Engine;
use proteus::{cpu, gpu};

/// An engine that may be missing on this machine.
pub struct Candidate {
    pub name: &'static str,
    /// Candidates with the same arithmetic must give the same bits.
    pub arithmetic: &'static str,
    /// Makes it, or says why it cannot be had.
    pub make: fn() -> Result<Box<dyn Engine>, String>,
}

/// The reference.
pub const REFERENCE: Candidate =
    Candidate { name: "reference", arithmetic: "f64", make: || Ok(Box::new(ReferenceEngine::new(Fault::None))) };

/// Engines on the processor.
pub const CPU: &[Candidate] = &[
    Candidate {
        name: "cpu, 1 thread",
        arithmetic: "best",
        make: || cpu(cpu::Options { threads: Some(1), ..Default::default() }),
    },
    Candidate {
        name: "cpu, 2 threads, without reuse of memory",
        arithmetic: "best",
        make: || cpu(cpu::Options { threads: Some(2), reuse: false, ..Default::default() }),
    },
    Candidate {
        name: "cpu, portable, 3 threads",
        arithmetic: "portable",
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
        make: || gpu(gpu::Options { checked: true, baseline_limits: true, reuse: false, ..Default::default() }),
    },
    Candidate {
        name: "gpu, unchecked",
        arithmetic: "unchecked",
        make: || gpu(gpu::Options { checked: false, ..Default::default() }),
    },
];

/// The adapter that PROTEUS_TEST_GPU names, or the best real GPU, or whatever there is.
fn gpu(options: gpu::Options) -> Result<Box<dyn Engine>, String> {
    let opened = match std::env::var("PROTEUS_TEST_GPU") {
        Ok(name) => gpu::GpuEngine::new(&name, options),
        Err(_) => gpu::GpuEngine::new("gpu", options.clone()).or_else(|_| gpu::GpuEngine::new("gpu:0", options)),
    };
    opened.map(|engine| Box::new(engine) as _).map_err(|e| e.to_string())
}

/// Makes a candidate, or says on the terminal that its tests are skipped. With PROTEUS_REQUIRE_GPU=1 that is a failure.
pub fn make_or_skip(candidate: &Candidate) -> Option<Box<dyn Engine>> {
    match (candidate.make)() {
        Ok(engine) => Some(engine),
        Err(why) => {
            assert!(std::env::var("PROTEUS_REQUIRE_GPU").as_deref() != Ok("1"), "{}: {why}", candidate.name);
            say(&format!("SKIPPED: no tests on {}: {why}", candidate.name));
            None
        }
    }
}

/// Writes past the capture of the test harness, which hides the output of passing tests.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}
