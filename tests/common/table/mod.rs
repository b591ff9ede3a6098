//! The operation table: one description of each case drives the comparison with the reference, of engines with each
//! other, of runs with each other, and of gradients with finite differences.

mod layers;
mod mixture;
mod rows;
mod steps;
mod transformations;
mod warps;

use super::builder::Builder;
use super::compare::Tolerance;

/// One case.
pub struct Case {
    /// Kernel or program, then what is particular about it.
    pub name: String,
    /// Records it: inputs, operations, named results, differentiable inputs.
    pub build: Box<dyn Fn(&mut Builder)>,
    /// Of results and of updated tensors.
    pub tolerance: Tolerance,
    /// Of gradients.
    pub gradient_tolerance: Tolerance,
    /// How often the program runs.
    pub times: usize,
    /// Why finite differences say nothing about it, if so.
    pub kinks: Option<&'static str>,
}

impl Case {
    fn new(name: impl Into<String>, build: impl Fn(&mut Builder) + 'static) -> Case {
        Case {
            name: name.into(),
            build: Box::new(build),
            tolerance: Tolerance::F32,
            gradient_tolerance: Tolerance::F32,
            times: 1,
            kinks: None,
        }
    }

    /// Results must be the very value.
    fn exact(self) -> Case {
        Case { tolerance: Tolerance::EXACT, ..self }
    }

    fn tolerance(self, nmse: f64, worst: f64, reason: &'static str) -> Case {
        let tolerance = Tolerance { nmse, worst, reason };
        Case { tolerance, gradient_tolerance: tolerance, ..self }
    }

    fn times(self, times: usize) -> Case {
        Case { times, ..self }
    }

    fn no_differences(self, why: &'static str) -> Case {
        Case { kinks: Some(why), ..self }
    }
}

/// All cases; with PROTEUS_CASES=word only those whose names contain the word.
pub fn cases() -> Vec<Case> {
    let mut all = layers::cases();
    all.extend(rows::cases());
    all.extend(warps::cases());
    all.extend(transformations::cases());
    all.extend(mixture::cases());
    all.extend(steps::cases());
    if let Ok(word) = std::env::var("PROTEUS_CASES") {
        all.retain(|case| case.name.contains(&word));
        assert!(!all.is_empty(), "no case is called like PROTEUS_CASES={word}");
    }
    all
}
