//! Measurements beside earlier ones.

use super::kernels::KernelReport;

/// Times nearer to each other than this share are the same, whatever their spreads.
const NOISE: f64 = 0.05;

/// What became of an operation since a baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// It takes this share of the time it took, less than 1.
    Faster(f64),
    /// It takes this many times the time it took.
    Slower(f64),
    /// It takes the same time within what is noise, with the ratio.
    Same(f64),
    /// The baseline does not have it.
    New,
}

/// Compares a measurement with those of a baseline. Noise is the larger of 5 % and three times the spreads of both.
pub fn change(now: &KernelReport, baseline: &[KernelReport]) -> Change {
    let same = |b: &&KernelReport| b.kernel == now.kernel && b.work == now.work;
    let Some(before) = baseline.iter().find(same) else { return Change::New };
    let ratio = now.ms_median / before.ms_median.max(1e-9);
    let spread = |r: &KernelReport| r.ms_spread / r.ms_median.max(1e-9);
    let noise = NOISE.max(3.0 * (spread(now) + spread(before)));
    if ratio > 1.0 + noise {
        Change::Slower(ratio)
    } else if ratio < 1.0 / (1.0 + noise) {
        Change::Faster(ratio)
    } else {
        Change::Same(ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(kernel: &str, ms: f64, spread: f64) -> KernelReport {
        KernelReport {
            kernel: kernel.into(),
            launched: Vec::new(),
            work: "8".into(),
            device: String::new(),
            clock: String::new(),
            ms_median: ms,
            ms_spread: spread,
            ms_min: ms,
            gflops: 0.0,
            gbytes: 0.0,
            roofline: 0.0,
            bound_by: String::new(),
            difference: 0.0,
        }
    }

    #[test]
    fn changes_beyond_noise_are_told() {
        let before = [report("a", 1.0, 0.0), report("noisy", 1.0, 0.1)];
        assert_eq!(change(&report("a", 1.04, 0.0), &before), Change::Same(1.04));
        assert_eq!(change(&report("a", 1.2, 0.0), &before), Change::Slower(1.2));
        assert_eq!(change(&report("a", 0.5, 0.0), &before), Change::Faster(0.5));
        assert_eq!(change(&report("noisy", 1.2, 0.0), &before), Change::Same(1.2));
        assert_eq!(change(&report("b", 1.0, 0.0), &before), Change::New);
    }
}
