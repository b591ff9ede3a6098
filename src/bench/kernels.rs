//! Time of single operations, each at the sizes that a training step really has.

use super::peaks::Peaks;
use super::single::Single;
use super::step::quantile;
use crate::cpu::{self, CpuEngine};
use crate::tape::{Call, Engine, EngineError, Program};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Runs of the copies of an operation: until so much time is measured, but so many at least and at most.
const ENOUGH: Duration = Duration::from_millis(300);
const RUNS: [usize; 2] = [3, 50];

/// What was measured of an operation. Serialised, it is a line of `proteus bench kernels --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KernelReport {
    /// Name of the operation.
    pub kernel: String,
    /// The kernels that computed it, in order; empty where the device does not time launches.
    #[serde(default)]
    pub launched: Vec<String>,
    /// Shapes of its operands.
    pub work: String,
    /// The device.
    pub device: String,
    /// `device timestamps` or `wall clock`.
    pub clock: String,
    /// Median time in milliseconds.
    pub ms_median: f64,
    /// Half of the times are within this much of the median.
    pub ms_spread: f64,
    /// Least time in milliseconds.
    pub ms_min: f64,
    /// 10^9 floating-point operations a second at the median, convolutions counted in the direct form.
    pub gflops: f64,
    /// 10^9 bytes a second at the median, each operand once.
    pub gbytes: f64,
    /// Least time by the device's peaks over the median time.
    pub roofline: f64,
    /// `arithmetic` or `memory`, whichever the least time is that of.
    pub bound_by: String,
    /// Largest difference from plain Rust, relative to the largest number.
    pub difference: f64,
}

/// The different operations of a program, in its order: operation and shapes.
pub fn distinct(program: &Program) -> Vec<&Call> {
    let mut found: Vec<&Call> = Vec::new();
    for call in &program.calls {
        let same = |other: &&Call| {
            let shapes = |c: &Call| c.inputs.iter().chain(&c.outputs).map(|o| o.shape.clone()).collect::<Vec<_>>();
            other.op == call.op && shapes(other) == shapes(call)
        };
        if !found.iter().any(same) {
            found.push(call);
        }
    }
    found
}

/// Runs one operation once in plain Rust.
///
/// # Errors
/// As of the engine.
pub fn reference(program: &Program, call: &Call) -> Result<Vec<f64>, EngineError> {
    let options = cpu::Options { isa: cpu::Isa::Portable, chains: false, winograd: false, ..cpu::Options::default() };
    let mut engine = CpuEngine::with_options(options)?;
    // The values of the first copy do not depend on how many there are.
    run_once(&Single::with_copies(program, call, 1), &mut engine)
}

/// What the CPU engine calls changes of layout.
const LAYOUT: &str = "layout";

/// A result further from plain Rust than this, relative to its largest number, is wrong.
pub const TOLERANCE: f64 = 1e-3;

fn run_once(single: &Single, engine: &mut dyn Engine) -> Result<Vec<f64>, EngineError> {
    single.prepare(engine)?;
    let plan = engine.load(std::slice::from_ref(single.program()))?[0];
    engine.run(plan, 1)?;
    single.results(engine, plan)
}

/// Checks an operation against what [`reference()`] gives, then times it.
///
/// # Errors
/// As of the engine.
pub fn measure_call(
    program: &Program,
    call: &Call,
    expected: &[f64],
    engine: &mut dyn Engine,
    peaks: Peaks,
) -> Result<KernelReport, EngineError> {
    let single = Single::new(program, call);
    single.prepare(engine)?;
    let plan = engine.load(std::slice::from_ref(single.program()))?[0];
    engine.run(plan, 1)?;
    let difference = difference(&single.results(engine, plan)?, expected);
    let clock = engine.time_kernels(true);
    let mut times = Vec::new();
    let begin = Instant::now();
    for run in 0..RUNS[1] {
        if run >= RUNS[0] && begin.elapsed() > ENOUGH {
            break;
        }
        let start = Instant::now();
        engine.run(plan, 1)?;
        if !clock {
            // A read waits for all work before it.
            single.results(engine, plan)?;
            times.push(start.elapsed().as_secs_f64() / single.copies() as f64);
        }
    }
    let mut names: Vec<String> = Vec::new();
    if clock {
        times = launched(engine, single.copies());
        for launch in engine.launches().iter().filter(|l| l.work.kernel != LAYOUT) {
            if !names.iter().any(|n| n == launch.work.kernel) {
                names.push(launch.work.kernel.into());
            }
        }
    }
    engine.time_kernels(false);
    times.sort_by(f64::total_cmp);
    let median = quantile(&times, 0.5).max(1e-9);
    let (least, by_arithmetic) = peaks.bound(call.flops(), call.bytes());
    Ok(KernelReport {
        kernel: call.op.name().into(),
        launched: names,
        work: call.shapes(),
        device: engine.device(),
        clock: if clock && engine.kind() == "gpu" { "device timestamps" } else { "wall clock" }.into(),
        ms_median: median * 1e3,
        ms_spread: (quantile(&times, 0.75) - quantile(&times, 0.25)) / 2.0 * 1e3,
        ms_min: times[0] * 1e3,
        gflops: call.flops() as f64 / median / 1e9,
        gbytes: call.bytes() as f64 / median / 1e9,
        roofline: least / median,
        bound_by: if by_arithmetic { "arithmetic" } else { "memory" }.into(),
        difference,
    })
}

/// Seconds of each operation: the sum of its launches, without the changes of layout around it.
fn launched(engine: &dyn Engine, copies: usize) -> Vec<f64> {
    let launches: Vec<_> = engine.launches().iter().filter(|l| l.work.kernel != LAYOUT).collect();
    // Each run launches the same for each copy.
    let first = &launches[0].work;
    let starts = launches.iter().filter(|l| std::sync::Arc::ptr_eq(&l.work, first)).count();
    let per_copy = (launches.len() / (starts * copies).max(1)).max(1);
    launches.chunks(per_copy).map(|of_one| of_one.iter().map(|l| l.time.as_secs_f64()).sum()).collect()
}

/// Largest difference relative to the largest number; infinite where one is not a number and the other is.
fn difference(found: &[f64], expected: &[f64]) -> f64 {
    let scale = expected.iter().filter(|x| x.is_finite()).fold(1e-30f64, |m, x| m.max(x.abs()));
    let apart = |(a, b): (&f64, &f64)| match (a.is_finite(), b.is_finite()) {
        (true, true) => (a - b).abs() / scale,
        (false, false) => 0.0,
        _ => f64::INFINITY,
    };
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    found.iter().zip(expected).map(apart).fold(0.0, f64::max)
}
