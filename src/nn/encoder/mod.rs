//! Residual networks of basic blocks (He et al. 2016): a stem, stages of blocks, global average pooling.
//!
//! For small images (section 4.2) a 3x3 stem, stages of 16, 32 and 64 channels and parameter-free shortcuts. For
//! photographs ResNet-18 (section 4.1): a 7x7 stem of stride 2, pooling, stages of 64 to 512 channels and projected
//! shortcuts.

mod kind;

pub use kind::{EncoderKind, UnknownEncoder};

use super::{BatchNorm, Declare, Init, Mode};
use crate::tape::{ConvSpec, PersistentId, Store, Tape, Var};
use kind::{Form, Shortcuts};

/// A convolution and the normalisation after it.
#[derive(Clone, Debug)]
struct Convolution {
    weight: PersistentId,
    spec: ConvSpec,
    norm: BatchNorm,
}

impl Convolution {
    /// Declares `conv`.weight `[to, from, window, window]` and the normalisation `norm`.
    fn new(
        declare: &mut Declare,
        [conv, norm]: [&str; 2],
        [from, to]: [usize; 2],
        (window, stride): (usize, usize),
        fan_out: bool,
    ) -> Self {
        let fan = window * window * if fan_out { to } else { from };
        let weight = declare.parameter(format!("{conv}.weight"), [to, from, window, window], Init::kaiming(fan));
        Convolution { weight, spec: ConvSpec { stride, pad: window / 2 }, norm: BatchNorm::new(declare, norm, to) }
    }

    fn forward(&self, tape: &mut Tape, store: &Store, x: Var, mode: Mode) -> Var {
        let weight = tape.persistent(store, self.weight);
        let y = tape.conv2d(x, weight, self.spec);
        self.norm.forward(tape, store, y, mode)
    }
}

/// Two 3x3 convolutions beside a shortcut.
#[derive(Clone, Debug)]
struct Block {
    convolutions: [Convolution; 2],
    projection: Option<Convolution>,
}

impl Block {
    /// Declares `name`.conv1, .bn1, .conv2, .bn2 and, where the shortcut is projected, .downsample.0 and .1.
    fn new(declare: &mut Declare, name: &str, form: Form, from: usize, to: usize, stride: usize) -> Self {
        let mut convolution = |names: [&str; 2], from: usize, size: (usize, usize)| {
            let [conv, norm] = names.map(|n| format!("{name}.{n}"));
            Convolution::new(declare, [&conv, &norm], [from, to], size, form.fan_out)
        };
        let convolutions =
            [convolution(["conv1", "bn1"], from, (3, stride)), convolution(["conv2", "bn2"], to, (3, 1))];
        let projected = form.shortcuts == Shortcuts::Projected && (stride > 1 || from != to);
        let projection = projected.then(|| convolution(["downsample.0", "downsample.1"], from, (1, stride)));
        Block { convolutions, projection }
    }

    fn forward(&self, tape: &mut Tape, store: &Store, x: Var, mode: Mode) -> Var {
        let [first, second] = &self.convolutions;
        let inner = first.forward(tape, store, x, mode);
        let inner = tape.relu(inner);
        let inner = second.forward(tape, store, inner, mode);
        let shape = tape.shape(inner).clone();
        let shortcut = match &self.projection {
            Some(projection) => projection.forward(tape, store, x, mode),
            None if *tape.shape(x) == shape => x,
            None => tape.shortcut(x, shape.0[1], first.spec.stride),
        };
        let sum = tape.add(inner, shortcut);
        tape.relu(sum)
    }
}

/// An encoder with its parameters.
#[derive(Clone, Debug)]
pub struct Encoder {
    kind: EncoderKind,
    stem: Convolution,
    blocks: Vec<Block>,
}

impl Encoder {
    /// Declares the parameters under the names of the published state dict: `prefix`.0 (stem), .1 (its normalisation),
    /// then the stages, from .3 on or, after a pooled stem, from .4.
    pub fn new(declare: &mut Declare, prefix: &str, kind: EncoderKind, channels: usize) -> Self {
        let form = kind.form();
        let [conv, norm] = [0, 1].map(|i| format!("{prefix}.{i}"));
        let mut from = form.stages[0];
        let stem = Convolution::new(declare, [&conv, &norm], [channels, from], form.stem, form.fan_out);
        let mut blocks = Vec::new();
        for (stage, &to) in form.stages.iter().enumerate() {
            let number = stage + if form.pooled { 4 } else { 3 };
            for block in 0..form.blocks {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                blocks.push(Block::new(declare, &format!("{prefix}.{number}.{block}"), form, from, to, stride));
                from = to;
            }
        }
        Encoder { kind, stem, blocks }
    }

    /// Features `[B,d]` of images x `[B,C,H,W]`.
    pub fn forward(&self, tape: &mut Tape, store: &Store, x: Var, mode: Mode) -> Var {
        let stem = self.stem.forward(tape, store, x, mode);
        let mut x = tape.relu(stem);
        if self.kind.form().pooled {
            x = tape.max_pool(x, 3, ConvSpec { stride: 2, pad: 1 });
        }
        for block in &self.blocks {
            x = block.forward(tape, store, x, mode);
        }
        tape.global_avg_pool(x)
    }

    /// The trained parameters, in the order of declaration.
    pub fn parameters(&self) -> Vec<PersistentId> {
        let blocks = self.blocks.iter().flat_map(|b| b.convolutions.iter().chain(&b.projection));
        let convolutions = std::iter::once(&self.stem).chain(blocks);
        convolutions.flat_map(|c| std::iter::once(c.weight).chain(c.norm.parameters())).collect()
    }

    /// Which encoder it is.
    pub fn kind(&self) -> EncoderKind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of parameters without the last layer: He et al. 2016, and torchvision for ResNet-18.
    #[test]
    fn encoders_are_as_large_as_published() {
        for (kind, parameters, features) in [
            (EncoderKind::ResNet20, 269_072, 64),
            (EncoderKind::ResNet110, 1_727_312, 64),
            (EncoderKind::ResNet18, 11_176_512, 512),
        ] {
            let mut store = Store::new();
            let x = store.add("x", [2, 3, 33, 40], crate::tape::Arena::Constants);
            let encoder = Encoder::new(&mut Declare::new(&mut store), "encoder", kind, 3);
            let count: usize = encoder.parameters().iter().map(|&id| store[id].shape.len()).sum();
            assert_eq!(count, parameters, "{}", kind.name());
            let mut tape = Tape::new();
            let x = tape.persistent(&store, x);
            let y = encoder.forward(&mut tape, &store, x, Mode::Eval);
            assert_eq!(tape.shape(y).0, [2, features]);
            assert_eq!(kind.features(), features);
        }
    }
}
