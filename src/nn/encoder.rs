//! ResNets for small images (He et al. 2016, section 4.2): a 3x3 stem, three stages of basic blocks with 16, 32 and 64
//! channels, parameter-free shortcuts, global average pooling.

use super::{BatchNorm, Declare, Init, Mode};
use crate::tape::{ConvSpec, PersistentId, Store, Tape, Var};
use std::fmt;
use std::str::FromStr;

/// The encoders that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncoderKind {
    /// Three blocks a stage.
    ResNet20,
    /// Five blocks a stage.
    ResNet32,
    /// Seven blocks a stage.
    ResNet44,
    /// Nine blocks a stage.
    ResNet56,
}

impl EncoderKind {
    /// All of them.
    pub const ALL: [EncoderKind; 4] =
        [EncoderKind::ResNet20, EncoderKind::ResNet32, EncoderKind::ResNet44, EncoderKind::ResNet56];

    /// The name used in configurations.
    pub fn name(self) -> &'static str {
        match self {
            EncoderKind::ResNet20 => "resnet20",
            EncoderKind::ResNet32 => "resnet32",
            EncoderKind::ResNet44 => "resnet44",
            EncoderKind::ResNet56 => "resnet56",
        }
    }

    /// Numbers in a feature vector.
    pub fn features(self) -> usize {
        STAGES[STAGES.len() - 1]
    }

    fn blocks(self) -> usize {
        match self {
            EncoderKind::ResNet20 => 3,
            EncoderKind::ResNet32 => 5,
            EncoderKind::ResNet44 => 7,
            EncoderKind::ResNet56 => 9,
        }
    }
}

/// The name of an encoder that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEncoder(pub String);

impl fmt::Display for UnknownEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = EncoderKind::ALL.map(EncoderKind::name).join(", ");
        write!(f, "unknown encoder '{}': the encoders are {names}", self.0)
    }
}

impl std::error::Error for UnknownEncoder {}

impl FromStr for EncoderKind {
    type Err = UnknownEncoder;

    /// Accepts `resnet20` and the published `resnet_20`.
    fn from_str(name: &str) -> Result<Self, UnknownEncoder> {
        let plain = name.replace('_', "");
        Self::ALL.into_iter().find(|k| k.name() == plain).ok_or_else(|| UnknownEncoder(name.into()))
    }
}

/// Channels of the stages.
const STAGES: [usize; 3] = [16, 32, 64];

#[derive(Clone, Debug)]
struct Convolution {
    weight: PersistentId,
    stride: usize,
    norm: BatchNorm,
}

impl Convolution {
    /// A 3x3 convolution and the normalisation after it.
    fn new(declare: &mut Declare, conv: &str, norm: &str, channels: [usize; 2], stride: usize) -> Self {
        let [from, to] = channels;
        let weight = declare.parameter(format!("{conv}.weight"), [to, from, 3, 3], Init::kaiming(9 * from));
        Convolution { weight, stride, norm: BatchNorm::new(declare, norm, to) }
    }

    fn forward(&self, tape: &mut Tape, store: &Store, x: Var, mode: Mode) -> Var {
        let weight = tape.persistent(store, self.weight);
        let y = tape.conv2d(x, weight, ConvSpec { stride: self.stride, pad: 1 });
        self.norm.forward(tape, store, y, mode)
    }
}

/// An encoder with its parameters.
#[derive(Clone, Debug)]
pub struct Encoder {
    kind: EncoderKind,
    stem: Convolution,
    blocks: Vec<[Convolution; 2]>,
}

impl Encoder {
    /// Declares the parameters under the names of the published state dict: `prefix`.0 (stem), .1 (its normalisation),
    /// .3 to .5 (stages).
    pub fn new(declare: &mut Declare, prefix: &str, kind: EncoderKind, channels: usize) -> Self {
        let stem = Convolution::new(declare, &format!("{prefix}.0"), &format!("{prefix}.1"), [channels, STAGES[0]], 1);
        let mut blocks = Vec::new();
        let mut from = STAGES[0];
        for (stage, &to) in STAGES.iter().enumerate() {
            for block in 0..kind.blocks() {
                let name = format!("{prefix}.{}.{block}", stage + 3);
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                let mut convolution = |i: usize, from: usize, stride: usize| {
                    Convolution::new(declare, &format!("{name}.conv{i}"), &format!("{name}.bn{i}"), [from, to], stride)
                };
                blocks.push([convolution(1, from, stride), convolution(2, to, 1)]);
                from = to;
            }
        }
        Encoder { kind, stem, blocks }
    }

    /// Features [B,d] of images x [B,C,H,W].
    pub fn forward(&self, tape: &mut Tape, store: &Store, x: Var, mode: Mode) -> Var {
        let stem = self.stem.forward(tape, store, x, mode);
        let mut x = tape.relu(stem);
        for [first, second] in &self.blocks {
            let inner = first.forward(tape, store, x, mode);
            let inner = tape.relu(inner);
            let inner = second.forward(tape, store, inner, mode);
            let shape = tape.shape(inner).clone();
            let shortcut = if *tape.shape(x) == shape { x } else { tape.shortcut(x, shape.0[1], first.stride) };
            let sum = tape.add(inner, shortcut);
            x = tape.relu(sum);
        }
        tape.global_avg_pool(x)
    }

    /// The trained parameters, in the order of declaration.
    pub fn parameters(&self) -> Vec<PersistentId> {
        let convolutions = std::iter::once(&self.stem).chain(self.blocks.iter().flatten());
        convolutions.flat_map(|c| std::iter::once(c.weight).chain(c.norm.parameters())).collect()
    }

    /// Which encoder it is.
    pub fn kind(&self) -> EncoderKind {
        self.kind
    }
}
