//! The encoders by name, and what distinguishes them.

use std::fmt;
use std::str::FromStr;

/// The encoders that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncoderKind {
    /// For small images, three blocks a stage.
    ResNet20,
    /// For small images, five blocks a stage.
    ResNet32,
    /// For small images, seven blocks a stage.
    ResNet44,
    /// For small images, nine blocks a stage.
    ResNet56,
    /// For small images, eighteen blocks a stage.
    ResNet110,
    /// For photographs.
    ResNet18,
}

/// How the shape of a map changes beside a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortcuts {
    /// Every second pixel, zero channels around (option A).
    Padded,
    /// A 1x1 convolution and its normalisation (option B).
    Projected,
}

/// What an encoder is built from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Window and stride of the first convolution; it is padded by half the window.
    pub stem: (usize, usize),
    /// Whether the stem ends with the largest of 3x3 pixels, stride 2.
    pub pooled: bool,
    /// Channels of the stages; each but the first halves the map.
    pub stages: &'static [usize],
    /// Blocks of a stage.
    pub blocks: usize,
    pub shortcuts: Shortcuts,
    /// Whether the variance of a weight is 2 / (kh kw co) instead of 2 / (kh kw ci).
    pub fan_out: bool,
}

impl EncoderKind {
    /// All of them.
    pub const ALL: [EncoderKind; 6] = [
        EncoderKind::ResNet20,
        EncoderKind::ResNet32,
        EncoderKind::ResNet44,
        EncoderKind::ResNet56,
        EncoderKind::ResNet110,
        EncoderKind::ResNet18,
    ];

    /// The name used in configurations.
    pub fn name(self) -> &'static str {
        match self {
            EncoderKind::ResNet20 => "resnet20",
            EncoderKind::ResNet32 => "resnet32",
            EncoderKind::ResNet44 => "resnet44",
            EncoderKind::ResNet56 => "resnet56",
            EncoderKind::ResNet110 => "resnet110",
            EncoderKind::ResNet18 => "resnet18",
        }
    }

    /// Numbers in a feature vector.
    pub fn features(self) -> usize {
        let stages = self.form().stages;
        stages[stages.len() - 1]
    }

    /// Height and width that images must have at least. A stem that halves them needs its whole window; where the stem
    /// keeps the size, padding completes any image.
    pub fn smallest(self) -> usize {
        match self.form().stem {
            (_, 1) => 1,
            (window, _) => window,
        }
    }

    pub(super) fn form(self) -> Form {
        let small = |blocks| Form {
            stem: (3, 1),
            pooled: false,
            stages: &[16, 32, 64],
            blocks,
            shortcuts: Shortcuts::Padded,
            fan_out: false,
        };
        match self {
            EncoderKind::ResNet20 => small(3),
            EncoderKind::ResNet32 => small(5),
            EncoderKind::ResNet44 => small(7),
            EncoderKind::ResNet56 => small(9),
            EncoderKind::ResNet110 => small(18),
            EncoderKind::ResNet18 => Form {
                stem: (7, 2),
                pooled: true,
                stages: &[64, 128, 256, 512],
                blocks: 2,
                shortcuts: Shortcuts::Projected,
                fan_out: true,
            },
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
