//! Comparisons. Each has a negative control in `op_table.rs`.

use std::fmt;

use super::reference::Data;

/// How far a result may be from the reference.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Largest sum of squared errors over sum of squares.
    pub nmse: f64,
    /// Largest error of one element, relative to itself plus the root mean square of all: catches one wrong element
    /// among thousands, which the mean hides.
    pub worst: f64,
    /// Why it differs from the default.
    pub reason: &'static str,
}

impl Tolerance {
    /// Reductions of up to some thousand f32 terms in any order: a few times 1e-6 for an element, in which the
    /// few units in the last place that WGSL grants to division and square root disappear.
    pub const F32: Tolerance = Tolerance { nmse: 1e-11, worst: 2e-5, reason: "" };

    /// Copies, selections and single roundings: the same value.
    pub const EXACT: Tolerance = Tolerance { nmse: 0.0, worst: 0.0, reason: "at most one rounding" };
}

impl Tolerance {
    /// What so many kernels with 16-bit pixels may be off together, see [`Self::at_least`]. Pixels are rounded by 4.9e-4 of
    /// themselves at most and 2e-4 in the root mean square, and a sum of products of normal numbers is off by as much of its
    /// own mean square; the worst of many thousands is ten times that. Errors of several kernels add in squares.
    pub fn half(kernels: usize) -> Tolerance {
        let n = kernels as f64;
        Tolerance { nmse: 1.5e-7 * n, worst: 2e-3 * n.sqrt(), reason: "numbers of 11 bits" }
    }

    /// This one, or the other where that allows more.
    pub fn at_least(self, other: Option<Tolerance>) -> Tolerance {
        other.filter(|o| o.worst > self.worst).unwrap_or(self)
    }
}

/// How far it is.
#[derive(Clone, Debug)]
pub struct Difference {
    pub nmse: f64,
    pub worst: f64,
    pub at: usize,
    pub expected: f64,
    pub actual: f64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { nmse, worst, at, expected, actual } = self;
        write!(f, "nmse {nmse:.1e}, worst {worst:.1e} at [{at}]: {actual:e}, expected {expected:e}")
    }
}

/// Compares a result with the reference: integers exactly, reals within the tolerance.
pub fn compare(expected: &Data, actual: &Data, tolerance: Tolerance) -> Result<Difference, String> {
    if expected.len() != actual.len() {
        return Err(format!("{} elements, expected {}", actual.len(), expected.len()));
    }
    let (expected, actual) = match (expected, actual) {
        (Data::Real(e), Data::Real(a)) => (e, a),
        (Data::Index(e), Data::Index(a)) => {
            return match e.iter().zip(a).position(|(e, a)| e != a) {
                None => Ok(Difference { nmse: 0.0, worst: 0.0, at: 0, expected: 0.0, actual: 0.0 }),
                Some(at) => Err(format!("[{at}] is {}, expected {}", a[at], e[at])),
            };
        }
        _ => return Err("another element type than expected".to_owned()),
    };
    if let Some(at) = actual.iter().position(|x| !x.is_finite()) {
        return Err(format!("[{at}] is {}, expected {:e}", actual[at], expected[at]));
    }
    if tolerance.worst == 0.0 {
        return match expected.iter().zip(actual).position(|(&e, &a)| f64::from(e as f32) != a) {
            None => Ok(Difference { nmse: 0.0, worst: 0.0, at: 0, expected: 0.0, actual: 0.0 }),
            Some(at) => Err(format!("[{at}] is {:e}, expected exactly {:e}", actual[at], expected[at] as f32)),
        };
    }
    let squares: f64 = expected.iter().map(|e| e * e).sum();
    let errors: f64 = expected.iter().zip(actual).map(|(e, a)| (a - e).powi(2)).sum();
    let rms = (squares / expected.len() as f64).sqrt();
    let relative = |i: usize| match (actual[i] - expected[i]).abs() {
        0.0 => 0.0,
        error => error / (expected[i].abs() + rms),
    };
    let at = (0..expected.len()).max_by(|&i, &j| relative(i).total_cmp(&relative(j))).unwrap_or(0);
    let nmse = if errors == 0.0 { 0.0 } else { errors / squares };
    let found = Difference { nmse, worst: relative(at), at, expected: expected[at], actual: actual[at] };
    // Written so that a NaN fails.
    if found.nmse <= tolerance.nmse && found.worst <= tolerance.worst { Ok(found) } else { Err(found.to_string()) }
}

/// The same bits?
pub fn same_bits(first: &[u8], second: &[u8]) -> Result<(), String> {
    if first.len() != second.len() {
        return Err(format!("{} bytes and {} bytes", first.len(), second.len()));
    }
    match first.iter().zip(second).position(|(a, b)| a != b) {
        None => Ok(()),
        Some(at) => Err(format!("bits differ at byte {at} of {}", first.len())),
    }
}

/// Bytes outside `written` (ranges) must not change.
pub fn untouched(before: &[u8], after: &[u8], written: &[std::ops::Range<usize>]) -> Result<(), String> {
    if before.len() != after.len() {
        return Err(format!("{} bytes became {}", before.len(), after.len()));
    }
    let free = |i: usize| !written.iter().any(|w| w.contains(&i));
    match (0..before.len()).find(|&i| before[i] != after[i] && free(i)) {
        None => Ok(()),
        Some(at) => Err(format!("byte {at} of {}, outside every output, was overwritten", before.len())),
    }
}
