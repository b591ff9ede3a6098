//! Batch normalisation with its parameters and running statistics.

use super::{Declare, Init, Mode};
use crate::tape::{PersistentId, Store, Tape, Var};

const EPS: f32 = 1e-5;
const MOMENTUM: f32 = 0.1;

/// Parameters and running statistics of one batch normalisation.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    gamma: PersistentId,
    beta: PersistentId,
    running: [PersistentId; 2],
}

impl BatchNorm {
    /// Declares `name`.weight, .bias, .running_mean, .running_var for `channels` channels.
    pub fn new(declare: &mut Declare, name: &str, channels: usize) -> Self {
        BatchNorm {
            gamma: declare.parameter(format!("{name}.weight"), [channels], Init::Constant(1.0)),
            beta: declare.parameter(format!("{name}.bias"), [channels], Init::Constant(0.0)),
            running: [
                declare.state(format!("{name}.running_mean"), [channels], Init::Constant(0.0)),
                declare.state(format!("{name}.running_var"), [channels], Init::Constant(1.0)),
            ],
        }
    }

    /// The normalisation of x `[B,C,H,W]`; in training the running statistics move.
    pub fn forward(&self, tape: &mut Tape, store: &Store, x: Var, mode: Mode) -> Var {
        let [gamma, beta] = [self.gamma, self.beta].map(|id| tape.persistent(store, id));
        let running = (tape.persistent(store, self.running[0]), tape.persistent(store, self.running[1]));
        let stats = match mode {
            Mode::Eval => running,
            Mode::Train => {
                let stats = tape.batch_norm_stats(x);
                let [b, _, h, w] = tape.shape(x).tail();
                tape.running_stats(stats, running, MOMENTUM, b * h * w);
                stats
            }
        };
        tape.batch_norm(x, stats, gamma, beta, EPS, mode == Mode::Train)
    }

    /// The trained parameters.
    pub fn parameters(&self) -> [PersistentId; 2] {
        [self.gamma, self.beta]
    }
}
