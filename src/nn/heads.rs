//! The heads that predict a transformation's parameters: one small network for every prototype, stored together.

use super::{Declare, Init};
use crate::tape::{PersistentId, Rows, Store, Tape, Var};

/// Hidden units of a head.
pub const HIDDEN: usize = 128;

/// What stands for the prototype's number in the name of a tensor that holds all of them along its first axis.
pub const STACKED: &str = "*";

/// K networks d -> 128 -> 128 -> P with ReLU between; the last layer starts at zero, so that every transformation starts
/// as the identity.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Weights `[K,O,I]` and biases `[K,O]` of the three layers.
    layers: [[PersistentId; 2]; 3],
    k: usize,
}

impl Heads {
    /// Declares `prefix`.{0,2,4}.{weight,bias}; the prefix has [`STACKED`] in the place of the prototype's number.
    pub fn new(declare: &mut Declare, prefix: &str, k: usize, features: usize, outputs: usize) -> Self {
        let mut layer = |number: usize, from: usize, to: usize, init: Init| {
            [
                declare.parameter(format!("{prefix}.{number}.weight"), [k, to, from], init.clone()),
                declare.parameter(format!("{prefix}.{number}.bias"), [k, to], init),
            ]
        };
        let uniform = |fan_in: usize| Init::Uniform(1.0 / (fan_in as f64).sqrt());
        let layers = [
            layer(0, features, HIDDEN, uniform(features)),
            layer(2, HIDDEN, HIDDEN, uniform(HIDDEN)),
            layer(4, HIDDEN, outputs, Init::Constant(0.0)),
        ];
        Heads { layers, k }
    }

    /// Outputs of every head for features `[B,d]` -> `[B,K,P]`.
    pub fn all(&self, tape: &mut Tape, store: &Store, features: Var) -> Var {
        let [b, d] = tape.shape(features).tail();
        // The first layer reads the same features for all K, so it is one wide layer.
        let [w, bias] = self.layers[0].map(|id| tape.persistent(store, id));
        let w = tape.reshape(w, [1, self.k * HIDDEN, d]);
        let bias = tape.reshape(bias, [1, self.k * HIDDEN]);
        let h = tape.linear(features, w, bias, Rows::Each, None);
        let mut h = tape.reshape(h, [b, self.k, HIDDEN]);
        for layer in &self.layers[1..] {
            h = tape.relu(h);
            let [w, bias] = layer.map(|id| tape.persistent(store, id));
            h = tape.linear(h, w, bias, Rows::Each, None);
        }
        h
    }

    /// Outputs `[B,P]` of head `index` u32 `[B]` of each image, for features `[B,d]`.
    pub fn selected(&self, tape: &mut Tape, store: &Store, features: Var, index: Var) -> Var {
        let mut h = features;
        for (i, layer) in self.layers.iter().enumerate() {
            if i > 0 {
                h = tape.relu(h);
            }
            let [w, bias] = layer.map(|id| tape.persistent(store, id));
            h = tape.linear(h, w, bias, Rows::Selected, Some(index));
        }
        h
    }

    /// The trained parameters, in the order of declaration.
    pub fn parameters(&self) -> Vec<PersistentId> {
        self.layers.iter().flatten().copied().collect()
    }
}
