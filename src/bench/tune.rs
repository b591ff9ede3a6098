//! Which of several kernels is the fastest at an operation.

use super::kernels::{KernelReport, TOLERANCE, measure_call, reference};
use super::peaks::Peaks;
use super::single::Single;
use crate::gpu::{
    AdapterSummary, CHAIN, Fusion, GpuEngine, HALF, PLAIN, VARIANTS, VariantChoice, Variants, is_inexact, lower, sizes,
    variant_of,
};
use crate::tape::{Call, EngineError, Program};
use std::cmp::Ordering;

/// A variant has to take less than this part of the plain kernel's time, so that noise decides nothing.
const WORTHWHILE: f64 = 0.97;

/// What was measured of one operation.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The variant to use for the operation at these sizes.
    pub choice: VariantChoice,
    /// The variants that can compute it, the plain one first: what was measured, or why that failed.
    pub reports: Vec<(&'static str, Result<KernelReport, String>)>,
}

/// Every variant that there is and that the device can run, the plain one first. The less exact ones are among them only if
/// `half`, and then [`HALF`] whether or not it can.
pub fn variants(adapter: &AdapterSummary, half: bool) -> Vec<&'static str> {
    let mut names = vec![PLAIN];
    for &(operation, name, _) in VARIANTS {
        let able = VariantChoice::new(operation, name).need().is_none_or(|need| adapter.has(need));
        // A chain is more than an operation by itself.
        let wanted = name != CHAIN && (half || !is_inexact(name));
        if !names.contains(&name) && wanted && (able || name == HALF) {
            names.push(name);
        }
    }
    names
}

/// Whether a call by itself can be computed by one of these variants besides the plain kernel.
///
/// # Errors
/// As of lowering.
pub fn is_tunable(
    names: &[&str],
    adapter: &AdapterSummary,
    program: &Program,
    call: &Call,
) -> Result<bool, EngineError> {
    for name in names.iter().filter(|name| **name != PLAIN) {
        let choice = VariantChoice::new(call.op.name(), name);
        if choice.is_known() && computed_by(name, adapter, program, call)? {
            return Ok(true);
        }
    }
    Ok(false)
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
    let expected = reference(program, call)?;
    let mut reports = Vec::new();
    for (name, engine) in engines {
        if !computed_by(name, engine.adapter(), program, call)? {
            continue;
        }
        let report = match measure_call(program, call, &expected, engine, peaks) {
            // A driver may well refuse a variant. The plain kernel is needed.
            Err(e @ (EngineError::Kernel { .. } | EngineError::Timeout { .. })) if *name != PLAIN => Err(e.to_string()),
            other => Ok(other?),
        };
        reports.push((*name, report));
    }
    let choice = VariantChoice { sizes: Some(sizes(call)), ..VariantChoice::new(call.op.name(), fastest(&reports)) };
    Ok(Tuning { choice, reports })
}

/// Whether a variant computes the call on this device, and not another in its place.
///
/// # Errors
/// As of lowering.
pub fn computed_by(
    variant: &str,
    adapter: &AdapterSummary,
    program: &Program,
    call: &Call,
) -> Result<bool, EngineError> {
    let single = Single::with_copies(program, call, 1);
    let lowered = lower(single.program(), Fusion::Loads, &Variants::all(variant).with_unit(adapter.matrix_unit))?;
    Ok(lowered.dispatches.iter().any(|d| variant_of(d.kernel) == (call.op.name(), variant)))
}

/// Whether a report is of a wrong result.
pub fn is_wrong(report: &KernelReport) -> bool {
    // A difference that is not a number is wrong as well.
    !matches!(report.difference.partial_cmp(&TOLERANCE), Some(Ordering::Less | Ordering::Equal))
}

/// The fastest right one.
fn fastest(reports: &[(&'static str, Result<KernelReport, String>)]) -> &'static str {
    let cost = |name: &str, r: &KernelReport| r.ms_median * if name == PLAIN { WORTHWHILE } else { 1.0 };
    let measured = reports.iter().filter_map(|(name, r)| Some((*name, r.as_ref().ok()?)));
    let right = measured.filter(|(name, r)| *name == PLAIN || !is_wrong(r));
    right.min_by(|(a, x), (b, y)| cost(a, x).total_cmp(&cost(b, y))).map_or(PLAIN, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ms_median: f64, difference: f64) -> KernelReport {
        KernelReport {
            kernel: "conv2d".into(),
            launched: Vec::new(),
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
        let plain = (PLAIN, Ok(report(1.0, 0.0)));
        for (ms, difference, chosen) in [
            (0.5, 1e-6, "tiled"),
            (0.98, 1e-6, PLAIN),
            (1.5, 1e-6, PLAIN),
            (0.5, 1e-2, PLAIN),
            (0.5, f64::INFINITY, PLAIN),
        ] {
            assert_eq!(
                fastest(&[plain.clone(), ("tiled", Ok(report(ms, difference)))]),
                chosen,
                "{ms} ms, {difference}"
            );
        }
        assert_eq!(fastest(&[plain, ("tiled", Err("refused".into()))]), PLAIN);
    }
}
