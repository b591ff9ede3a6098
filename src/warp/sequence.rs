//! Sequences of transformations as users write them.

use super::{Affine, Color, Morpho, Options, Projective, Tps, Transformation};
use std::fmt;
use std::str::FromStr;

/// A transformation that takes part in sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// Scale and offset of each channel.
    Color,
    /// Affine maps.
    Affine,
    /// Projective maps.
    Projective,
    /// Thin-plate splines.
    Tps,
    /// Morphology.
    Morpho,
}

impl Module {
    /// All of them.
    pub const ALL: [Module; 5] = [Module::Color, Module::Affine, Module::Projective, Module::Tps, Module::Morpho];

    /// What it does.
    pub fn transformation(self, options: Options) -> Box<dyn Transformation> {
        match self {
            Module::Color => Box::new(Color),
            Module::Affine => Box::new(Affine),
            Module::Projective => Box::new(Projective),
            Module::Tps => Box::new(Tps { grid_size: options.grid_size }),
            Module::Morpho => Box::new(Morpho { kernel_size: options.kernel_size, hard: options.hard_morphology }),
        }
    }

    /// Whether it moves pixels rather than changing their values.
    pub fn is_spatial(self) -> bool {
        matches!(self, Module::Affine | Module::Projective | Module::Tps)
    }

    /// Its name in sequences.
    pub fn name(self) -> &'static str {
        self.names()[0]
    }

    /// What it may be called in sequences; three letters or more of a name will do.
    fn names(self) -> &'static [&'static str] {
        match self {
            Module::Color => &["color"],
            Module::Affine => &["affine"],
            Module::Projective => &["projective", "homography"],
            Module::Tps => &["tps", "thinplatespline"],
            Module::Morpho => &["morpho", "morphological"],
        }
    }
}

/// The transformations after the identity, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sequence(pub Vec<Module>);

/// A sequence that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// It does not begin with the identity.
    #[error("the sequence '{0}' must begin with 'identity', for example 'identity affine'")]
    NoIdentity(String),
    /// A module that does not exist.
    #[error("unknown transformation '{module}' in the sequence '{sequence}': the transformations are identity, {}",
        Module::ALL.map(Module::name).join(", "))]
    Unknown {
        /// The module.
        module: String,
        /// The whole sequence.
        sequence: String,
    },
}

impl FromStr for Sequence {
    type Err = SequenceError;

    /// `identity affine`, or as published `identity_affine`.
    fn from_str(text: &str) -> Result<Self, SequenceError> {
        let mut names = text.split(|c: char| c == '_' || c.is_whitespace() || c == ',').filter(|n| !n.is_empty());
        if !matches!(names.next(), Some("identity" | "id")) {
            return Err(SequenceError::NoIdentity(text.into()));
        }
        let module = |name: &str| {
            let called = |m: &Module| m.names().iter().any(|full| name.len() >= 3 && full.starts_with(name));
            let known = Module::ALL.into_iter().find(called);
            known.ok_or_else(|| SequenceError::Unknown { module: name.into(), sequence: text.into() })
        };
        names.map(module).collect::<Result<_, _>>().map(Sequence)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "identity")?;
        self.0.iter().try_for_each(|m| write!(f, " {}", m.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_read_as_users_and_the_published_code_write_them() {
        for text in ["identity affine", "identity_affine", "id,aff"] {
            let sequence: Sequence = text.parse().expect(text);
            assert_eq!(sequence.0, [Module::Affine], "{text}");
            assert_eq!(sequence.to_string(), "identity affine");
        }
        let sequence: Sequence =
            "id_col_proj_homography_thinplatespline_morphological".parse().expect("short and other names");
        assert_eq!(sequence.to_string(), "identity color projective projective tps morpho");
        assert_eq!("identity".parse::<Sequence>(), Ok(Sequence(vec![])));
        assert!(matches!("affine".parse::<Sequence>(), Err(SequenceError::NoIdentity(_))));
        let unknown = "identity afine".parse::<Sequence>().expect_err("a misspelling");
        assert!(unknown.to_string().contains("'afine'"), "{unknown}");
    }
}
