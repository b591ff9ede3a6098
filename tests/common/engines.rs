//! The engines under test. Adding one is a line.

use std::io::Write as _;

use super::reference_engine::{Fault, ReferenceEngine};
use proteus::cpu::{CpuEngine, Options};
use proteus::tape::Engine;

/// An engine that may be missing on this machine.
pub struct Candidate {
    pub name: &'static str,
    /// Makes it, or says why it cannot be had.
    pub make: fn() -> Result<Box<dyn Engine>, String>,
}

/// The reference and, as they are written, the engines.
pub const REFERENCE: Candidate =
    Candidate { name: "reference", make: || Ok(Box::new(ReferenceEngine::new(Fault::None))) };

/// Engines on the processor; results of all must have the same bits.
pub const CPU: &[Candidate] = &[
    Candidate { name: "cpu, 1 thread", make: || cpu(Options { threads: Some(1), ..Options::default() }) },
    Candidate { name: "cpu, 2 threads", make: || cpu(Options { threads: Some(2), ..Options::default() }) },
];

fn cpu(options: Options) -> Result<Box<dyn Engine>, String> {
    CpuEngine::with_options(options).map(|engine| Box::new(engine) as _).map_err(|e| e.to_string())
}

/// Engines on a GPU.
pub const GPU: &[Candidate] = &[];

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
