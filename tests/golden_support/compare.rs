//! Agreement with the reference vectors.

use super::vectors::Vectors;

/// What float32 PyTorch reaches for a kind of tensor, and how far we may be from it.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    pub pytorch: f64,
}

impl Tolerance {
    /// Other orders of summation, fused multiply-adds and the few units in the last place that WGSL grants to division
    /// and square root cost a factor; ten times the agreement of PyTorch leaves room for them, while a wrong formula
    /// is wrong by far more.
    pub fn limit(self) -> f64 {
        10.0 * self.pytorch
    }
}

/// Smaller tensors are compared as if they had this size: heads that win no image have no gradient at all, or one made of
/// responsibilities below the normal numbers, which WGSL may flush to zero.
const LEAST: f64 = 1e-30;

/// Compares the tensors of a case one by one and collects what was found.
pub struct Comparison<'a> {
    vectors: &'a Vectors,
    /// Name, agreement, agreement of PyTorch.
    found: Vec<(String, f64, f64)>,
    wrong: Vec<String>,
}

impl<'a> Comparison<'a> {
    pub fn new(vectors: &'a Vectors) -> Self {
        Comparison { vectors, found: Vec::new(), wrong: Vec::new() }
    }

    /// Largest error over largest value of a whole tensor.
    pub fn tensor(&mut self, name: &str, actual: &[f32], tolerance: Tolerance) {
        let expected = self.vectors.tensor(name);
        let agreement = expected.and_then(|t| largest(&t.values, actual).map_err(|e| format!("{name}: {e}")));
        self.judge(name, agreement, tolerance);
    }

    /// As [`Self::tensor`], but elements that are excused need only be numbers. No more than a hundredth may be excused.
    pub fn tensor_but(&mut self, name: &str, actual: &[f32], excused: &[bool], tolerance: Tolerance) {
        let expected = self.vectors.tensor(name).map(|t| &t.values[..]).unwrap_or_default();
        let count = excused.iter().filter(|e| **e).count();
        if 100 * count > excused.len() {
            self.wrong.push(format!("{name}: {count} of {} elements would be excused", excused.len()));
        }
        let mut judged = actual.to_vec();
        for ((judged, expected), _) in judged.iter_mut().zip(expected).zip(excused).filter(|(_, excused)| **excused) {
            *judged = if judged.is_finite() { *expected } else { *judged };
        }
        self.tensor(name, &judged, tolerance);
    }

    /// Digest of a tensor that is not stored: norm and dot product, with the norm as scale.
    pub fn digest(&mut self, name: &str, actual: &[f32], tolerance: Tolerance) {
        let name = format!("digest.{name}");
        let agreement = self.vectors.tensor(&name).and_then(|t| match t.values[..] {
            [norm, dot] => {
                let (found_norm, found_dot) = digest(actual);
                let error = (found_norm - f64::from(norm)).abs().max((found_dot - f64::from(dot)).abs());
                Ok(error / f64::from(norm).max(LEAST))
            }
            _ => Err(format!("{name}: {} numbers where two make a digest", t.values.len())),
        });
        self.judge(&name, agreement, tolerance);
    }

    /// The report, or what is wrong: a tensor that disagrees, one that is missing, one that nothing compared.
    pub fn finish(mut self) -> Result<String, String> {
        let unused = self.vectors.unused();
        self.wrong.extend(unused.iter().map(|name| format!("{name}: nothing was compared with it")));
        if !self.wrong.is_empty() {
            return Err(self.wrong.join("\n"));
        }
        let line = |(name, agreement, pytorch): &(String, f64, f64)| {
            format!("  {name:<48} {agreement:.1e}, {:.2} of float32 PyTorch\n", agreement / pytorch)
        };
        Ok(self.found.iter().map(line).collect())
    }

    fn judge(&mut self, name: &str, agreement: Result<f64, String>, tolerance: Tolerance) {
        match agreement {
            // Written so that a NaN fails.
            Ok(a) if a <= tolerance.limit() => self.found.push((name.to_owned(), a, tolerance.pytorch)),
            Ok(a) => self.wrong.push(format!("{name}: agreement {a:.1e}, allowed {:.1e}", tolerance.limit())),
            Err(e) => self.wrong.push(e),
        }
    }
}

fn largest(expected: &[f32], actual: &[f32]) -> Result<f64, String> {
    if expected.len() != actual.len() {
        return Err(format!("{} elements, expected {}", actual.len(), expected.len()));
    }
    // f64::max would drop a NaN.
    if let Some(at) = actual.iter().position(|a| !a.is_finite()) {
        return Err(format!("element {at} is {}, expected {}", actual[at], expected[at]));
    }
    let errors = expected.iter().zip(actual).map(|(&e, &a)| (f64::from(a) - f64::from(e)).abs());
    let scale = expected.iter().map(|&e| f64::from(e).abs()).fold(0.0, f64::max);
    Ok(errors.fold(0.0, f64::max) / scale.max(LEAST))
}

/// L2 norm, and dot product with cos(0.1 i).
pub fn digest(values: &[f32]) -> (f64, f64) {
    let norm = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let dot = values.iter().enumerate().map(|(i, &v)| f64::from(v) * (0.1 * i as f64).cos()).sum();
    (norm, dot)
}
