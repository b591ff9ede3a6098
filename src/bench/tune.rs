//! Which of several kernels is the fastest at an operation.

use super::kernels::{KernelReport, measure_call};
use super::peaks::Peaks;
use super::single::Single;
use crate::gpu::{Choice, GpuEngine, PLAIN, VARIANTS, Variants, lower};
use crate::tape::{Call, EngineError, Program};

/// A variant has to take less than this part of the plain kernel's time, so that noise decides nothing.
const WORTHWHILE: f64 = 0.97;
/// A result further from plain Rust than this, relative to its largest number, is wrong.
const TOLERANCE: f64 = 1e-3;

/// What was measured of one operation.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The variant to use for the operation at these sizes.
    pub choice: Choice,
    /// The variants that can compute it, the plain one first.
    pub reports: Vec<(&'static str, KernelReport)>,
}

/// Every variant that there is, the plain one first.
pub fn variants() -> Vec<&'static str> {
    let mut names = vec![PLAIN];
    for (_, name, _) in VARIANTS {
        if !names.contains(name) {
            names.push(name);
        }
    }
    names
}

/// Whether an operation has variants.
pub fn has_variants(call: &Call) -> bool {
    VARIANTS.iter().any(|(operation, ..)| *operation == call.op.name())
}

/// Times a call by every variant that can compute it; `engines` has one for each of [`variants`].
///
/// # Errors
/// As of the engines.
pub fn tune(
    program: &Program,
    call: &Call,
    engines: &mut [(&'static str, GpuEngine)],
    peaks: Peaks,
) -> Result<Tuning, EngineError> {
    let mut reports = Vec::new();
    for (name, engine) in engines {
        if *name == PLAIN || can(name, program, call)? {
            reports.push((*name, measure_call(program, call, engine, peaks)?));
        }
    }
    let choice = Choice { shapes: Some(call.shapes()), ..Choice::new(call.op.name(), fastest(&reports)) };
    Ok(Tuning { choice, reports })
}

/// Whether a variant computes the call, and not the plain kernel in its place.
fn can(variant: &str, program: &Program, call: &Call) -> Result<bool, EngineError> {
    let single = Single::with_copies(program, call, 1);
    let lowered = lower(single.program(), true, &Variants::all(variant))?;
    Ok(lowered.dispatches.iter().all(|d| d.kernel != call.op.name()))
}

/// The fastest right one.
fn fastest(reports: &[(&'static str, KernelReport)]) -> &'static str {
    let cost = |(name, r): &(&str, KernelReport)| r.ms_median / if *name == PLAIN { WORTHWHILE.recip() } else { 1.0 };
    let right = reports.iter().filter(|(name, r)| *name == PLAIN || r.difference <= TOLERANCE);
    right.min_by(|a, b| cost(a).total_cmp(&cost(b))).map_or(PLAIN, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ms_median: f64, difference: f64) -> KernelReport {
        KernelReport {
            kernel: "conv2d".into(),
            work: String::new(),
            device: String::new(),
            clock: String::new(),
            ms_median,
            ms_spread: 0.0,
            ms_min: ms_median,
            gflops: 1.0,
            gbytes: 1.0,
            roofline: 1.0,
            bound_by: String::new(),
            difference,
        }
    }

    #[test]
    fn a_variant_is_chosen_if_it_is_right_and_clearly_faster() {
        let plain = (PLAIN, report(1.0, 0.0));
        for (ms, difference, chosen) in [
            (0.5, 1e-6, "tiled"),
            (0.98, 1e-6, PLAIN),
            (1.5, 1e-6, PLAIN),
            (0.5, 1e-2, PLAIN),
            (0.5, f64::INFINITY, PLAIN),
        ] {
            assert_eq!(fastest(&[plain.clone(), ("tiled", report(ms, difference))]), chosen, "{ms} ms, {difference}");
        }
    }
}
