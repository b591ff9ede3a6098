//! Declaring parameters together with the values they start from.

use crate::tape::{Arena, PersistentId, Shape, Store};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// Starting values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// The same value everywhere.
    Constant(f32),
    /// Normal with mean zero and this standard deviation.
    Normal(f64),
    /// Uniform between minus and plus this bound.
    Uniform(f64),
}

impl Init {
    /// Kaiming-normal with gain sqrt(2) (He et al. 2015): standard deviation sqrt(2 / fan), with the fan in or out.
    pub fn kaiming(fan: usize) -> Self {
        Init::Normal((2.0 / fan as f64).sqrt())
    }

    /// Draws `n` values.
    pub fn draw(&self, n: usize, rng: &mut (impl Rng + ?Sized)) -> Vec<f32> {
        match *self {
            Init::Constant(value) => vec![value; n],
            Init::Normal(std) => {
                let normal = StandardNormal;
                (0..n).map(|_| (std * Distribution::<f64>::sample(&normal, rng)) as f32).collect()
            }
            Init::Uniform(bound) => (0..n).map(|_| (bound * (2.0 * rng.random::<f64>() - 1.0)) as f32).collect(),
        }
    }
}

/// Tensors and their starting values, in order of declaration.
pub type Initial = Vec<(PersistentId, Init)>;

/// Declares the tensors of a model in a store.
pub struct Declare<'a> {
    /// Where they are declared.
    pub store: &'a mut Store,
    /// What they start from.
    pub initial: Initial,
}

impl<'a> Declare<'a> {
    /// Nothing declared yet.
    pub fn new(store: &'a mut Store) -> Self {
        Declare { store, initial: Vec::new() }
    }

    /// A trained parameter.
    pub fn parameter(&mut self, name: impl Into<String>, shape: impl Into<Shape>, init: Init) -> PersistentId {
        let id = self.store.parameter(name, shape);
        self.initial.push((id, init));
        id
    }

    /// What is neither trained nor drawn: the model writes it.
    pub fn constant(&mut self, name: impl Into<String>, shape: impl Into<Shape>) -> PersistentId {
        self.store.add(name, shape, Arena::Constants)
    }

    /// State that is not trained (running statistics).
    pub fn state(&mut self, name: impl Into<String>, shape: impl Into<Shape>, init: Init) -> PersistentId {
        let id = self.store.add(name, shape, Arena::State);
        self.initial.push((id, init));
        id
    }
}
