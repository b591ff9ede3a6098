//! What a model is made of.

use super::{DtiGmm, DtiKmeans, Model};
use crate::nn::EncoderKind;
use crate::tape::{Padding, Store};
use crate::warp::{Options, Sequence};
use std::fmt;
use std::str::FromStr;

/// The models that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`DtiKmeans`].
    Kmeans,
    /// [`DtiGmm`].
    Gmm,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 2] = [Kind::Kmeans, Kind::Gmm];

    /// The name used in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kmeans => "kmeans",
            Kind::Gmm => "gmm",
        }
    }

    /// The name in the published code.
    pub fn published(self) -> &'static str {
        match self {
            Kind::Kmeans => "dtikmeans",
            Kind::Gmm => "dtigmm",
        }
    }

    /// The name in sentences.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Kmeans => "DTI K-means",
            Kind::Gmm => "DTI GMM",
        }
    }
}

/// The name of a model that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownModel(pub String);

impl fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown model '{}': the models are {}", self.0, Kind::ALL.map(Kind::name).join(", "))
    }
}

impl std::error::Error for UnknownModel {}

impl FromStr for Kind {
    type Err = UnknownModel;

    /// Accepts `gmm` and the published `dtigmm`.
    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        Self::ALL
            .into_iter()
            .find(|k| [k.name(), k.published()].contains(&name))
            .ok_or_else(|| UnknownModel(name.into()))
    }
}

/// What a model is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Which model.
    pub model: Kind,
    /// Number of prototypes.
    pub k: usize,
    /// Channels of the images.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Network that reads the images.
    pub encoder: EncoderKind,
    /// Transformations after the identity.
    pub sequence: Sequence,
    /// Sizes of the transformations.
    pub options: Options,
    /// What warps read outside a prototype.
    pub padding: Padding,
    /// Standard deviation in pixels of Gaussian weights of pixels.
    pub gaussian_weights: Option<f64>,
    /// Added to the variances of a mixture.
    pub min_variance: f32,
}

impl Spec {
    /// Declares the tensors of the model in a store.
    pub fn declare(self, store: &mut Store) -> Box<dyn Model> {
        match self.model {
            Kind::Kmeans => Box::new(DtiKmeans::new(store, self)),
            Kind::Gmm => Box::new(DtiGmm::new(store, self)),
        }
    }
}
