//! The GPU that tests run on: the adapter that PROTEUS_TEST_GPU names, or the best real GPU, or whatever there is, a
//! software one as well. Where there is none tests are skipped visibly, or fail with PROTEUS_REQUIRE_GPU=1.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::io::Write as _;

use proteus::gpu::{GpuEngine, GpuError, Options};

/// Opens it.
pub fn open(options: Options) -> Result<GpuEngine, GpuError> {
    match std::env::var("PROTEUS_TEST_GPU") {
        Ok(name) => GpuEngine::new(&name, options),
        Err(_) => GpuEngine::new("gpu", options.clone()).or_else(|why| {
            // That there is no real GPU says more than that there is none, but not more than what a software one lacks.
            let telling = |error| if matches!(error, GpuError::Lacks { .. }) { error } else { why };
            GpuEngine::new("gpu:0", options).map_err(telling)
        }),
    }
}

/// Opens it, or says that tests are skipped.
pub fn open_or_skip(options: Options) -> Option<GpuEngine> {
    open(options).map_err(|why| skip("the GPU", &why.to_string())).ok()
}

/// Says on the terminal that tests on `engine` are skipped; panics where they are required. A GPU need not have what a variant
/// asks for: that engine is left out, and the test goes on with others.
pub fn skip(engine: &str, why: &str) {
    if why.contains(" lacks ") {
        return say(&format!("left out: {engine}: {why}"));
    }
    let required = std::env::var("PROTEUS_REQUIRE_GPU").as_deref() == Ok("1");
    assert!(!required, "{engine}: {why}");
    say(&format!("SKIPPED: no tests on {engine}: {why}"));
}

/// Writes past the capture of the test harness, which hides the output of passing tests.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}
