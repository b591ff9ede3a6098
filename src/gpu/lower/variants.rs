//! Which of several kernels computes an operation.

use crate::tape::{Call, Op, Rows};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Operations that more than one kernel computes: the operation, the variant's name, its kernel. The plain kernel has the
/// operation's name and takes any size; a variant takes what it can and leaves the rest to the plain one, or with convolutions
/// to what would be chosen next.
pub const VARIANTS: &[(&str, &str, &str)] = &[
    ("batch_norm_stats", SUBGROUP, "batch_norm_stats_subgroup"),
    ("batch_norm_grad_params", SUBGROUP, "batch_norm_grad_params_subgroup"),
    ("conv2d", TILED, "conv2d_tiled"),
    ("conv2d", HALF, "conv2d_half"),
    ("conv2d", MATRIX, "conv2d_matrix"),
    ("conv2d_grad_input", TILED, "conv2d_grad_input_tiled"),
    ("conv2d_grad_input", HALF, "conv2d_grad_input_half"),
    ("conv2d_grad_input", MATRIX, "conv2d_grad_input_matrix"),
    ("conv2d_grad_weight", TILED, "conv2d_grad_weight_tiled"),
    ("conv2d_grad_weight", HALF, "conv2d_grad_weight_half"),
    ("conv2d_grad_weight", MATRIX, "conv2d_grad_weight_matrix"),
    ("linear", TILED, "linear_tiled"),
    ("squared_distance", CHAIN, "squared_distance_chain"),
];

/// Name of the variant that every operation has.
pub const PLAIN: &str = "plain";

/// Name of the variants that go through workgroup memory.
pub const TILED: &str = "tiled";

/// Name of the variants that keep pixels in workgroup memory as 16-bit floats. They are less exact than the others, so no
/// device starts with them and `proteus tune` tries them only when asked to.
pub const HALF: &str = "half";

/// Name of the variants that multiply by matrix units, factors rounded to 16-bit floats and sums in f32. Less exact, too.
pub const MATRIX: &str = "matrix";

/// Whether a variant is less exact than f32.
pub fn is_inexact(variant: &str) -> bool {
    [HALF, MATRIX].contains(&variant)
}

/// Name of the variants that compute what comes before an operation as well, where nobody else reads it.
pub const CHAIN: &str = "chain";

/// Name of the variants that reduce by subgroup operations.
pub const SUBGROUP: &str = "subgroup";

/// What devices start with: a variant for an operation, on real GPUs and on software drivers. The column for GPUs is
/// reasoned from what a kernel moves through which memory, see docs/performance.md, that for software drivers is measured on
/// Mesa's; `proteus tune` measures on the device at hand.
const TABLE: &[(&str, &str, &str)] = &[
    // operation            real GPU  software
    ("conv2d", TILED, PLAIN),
    ("conv2d_grad_input", TILED, PLAIN),
    ("conv2d_grad_weight", TILED, TILED),
    ("linear", TILED, PLAIN),
    ("squared_distance", CHAIN, CHAIN),
];

/// A variant for an operation, at all sizes or at one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantChoice {
    /// The operation.
    pub operation: String,
    /// Its sizes as [`sizes`] writes them; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<String>,
    /// The variant, [`PLAIN`] or one of [`VARIANTS`].
    pub variant: String,
}

impl VariantChoice {
    /// A choice for all sizes.
    pub fn new(operation: &str, variant: &str) -> Self {
        VariantChoice { operation: operation.into(), sizes: None, variant: variant.into() }
    }

    /// The choice by which a kernel runs.
    pub fn of_kernel(kernel: &str) -> Self {
        let (operation, variant) = variant_of(kernel);
        VariantChoice::new(operation, variant)
    }

    /// One variant for all operations that have it.
    pub fn everywhere(variant: &str) -> Vec<Self> {
        let mut choices: Vec<Self> = VARIANTS
            .iter()
            .map(|(operation, ..)| VariantChoice::new(operation, variant))
            .filter(VariantChoice::is_known)
            .collect();
        choices.dedup();
        choices
    }

    /// What it needs of the device beyond WebGPU's baseline.
    pub fn need(&self) -> Option<Need> {
        match self.variant.as_str() {
            HALF => Some(Need::HalfFloats),
            SUBGROUP => Some(Need::SubgroupOperations),
            MATRIX => Some(Need::MatrixUnit),
            _ => None,
        }
    }

    /// Reads `operation=variant`.
    ///
    /// # Errors
    /// What there is instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let all = || {
            let one = |&(operation, variant, _): &(&str, &str, &str)| format!("{operation}={variant}");
            VARIANTS.iter().map(one).collect::<Vec<_>>().join(" ")
        };
        let Some((operation, variant)) = text.split_once('=') else {
            return Err(format!("'{text}' should be operation=variant, one of {} or operation={PLAIN}", all()));
        };
        let choice = VariantChoice::new(operation, variant);
        match choice.is_known() {
            true => Ok(choice),
            false => Err(format!("there is no variant '{text}'; there are {} and operation={PLAIN} for each", all())),
        }
    }

    /// Whether the operation has such a variant.
    pub fn is_known(&self) -> bool {
        let mut own = VARIANTS.iter().filter(|(operation, ..)| *operation == self.operation).peekable();
        own.peek().is_some() && (self.variant == PLAIN || own.any(|(_, variant, _)| *variant == self.variant))
    }
}

impl fmt::Display for VariantChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.operation, self.variant)
    }
}

/// What a variant needs of a device that WebGPU does not promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// 16-bit floats in shaders.
    HalfFloats,
    /// Operations over the invocations that run in step.
    SubgroupOperations,
    /// A [`MatrixUnit`].
    MatrixUnit,
}

impl Need {
    /// The features that a device is asked for.
    pub fn feature(self) -> wgpu::Features {
        match self {
            Need::HalfFloats => wgpu::Features::SHADER_F16,
            Need::SubgroupOperations => wgpu::Features::SUBGROUP,
            Need::MatrixUnit => {
                wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP
            }
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Need::HalfFloats => "16-bit floats in shaders",
            Need::SubgroupOperations => "subgroup operations",
            Need::MatrixUnit => "a unit that multiplies matrices of 16-bit floats, 16x16 or 8x8, with 32-bit sums",
        })
    }
}

/// What multiplies two matrices of 16-bit floats and adds their product to one of f32, together for a subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixUnit {
    /// Rows and columns of each matrix: 8 or 16.
    pub side: usize,
    /// Invocations of a subgroup at most.
    pub subgroup: usize,
}

impl MatrixUnit {
    /// As large GPUs have them.
    pub const LARGE: MatrixUnit = MatrixUnit { side: 16, subgroup: 32 };
}

/// The choices of a device: the first that fits an operation holds.
#[derive(Clone, Debug, Default)]
pub struct Variants {
    choices: Vec<VariantChoice>,
    /// What [`MATRIX`] is computed by; without one nothing is.
    pub(super) unit: Option<MatrixUnit>,
}

impl Variants {
    /// What devices of a class start with.
    pub fn of_class(software: bool) -> Self {
        let row = |&(operation, gpu, emulated): &(&str, &str, &str)| {
            VariantChoice::new(operation, if software { emulated } else { gpu })
        };
        Variants { choices: TABLE.iter().map(row).collect(), ..Variants::default() }
    }

    /// One variant for all operations that have it.
    pub fn all(variant: &str) -> Self {
        Variants { choices: VariantChoice::everywhere(variant), ..Variants::default() }
    }

    /// These choices, and where none fits what was there before.
    pub fn over(self, choices: impl IntoIterator<Item = VariantChoice>) -> Self {
        Variants { choices: choices.into_iter().chain(self.choices).collect(), ..self }
    }

    /// The same for a device with this unit.
    pub fn with_unit(self, unit: Option<MatrixUnit>) -> Self {
        Variants { unit, ..self }
    }

    /// The kernel that is to compute a call; lowering takes the plain one where the variant does not fit.
    pub(super) fn kernel(&self, operation: &'static str, call: &Call) -> &'static str {
        self.kernels(operation, call).next().unwrap_or(operation)
    }

    /// The kernels that are to compute a call, each where those before it do not fit; none after the plain one.
    pub(super) fn kernels(&self, operation: &'static str, call: &Call) -> impl Iterator<Item = &'static str> {
        let sizes = std::cell::OnceCell::new();
        let fits = move |c: &&VariantChoice| {
            let same = |s: &String| s == sizes.get_or_init(|| self::sizes(call));
            c.operation == operation && c.sizes.as_ref().is_none_or(same)
        };
        let kernels = self.choices.iter().filter(fits).map(move |c| kernel_of(operation, &c.variant));
        kernels.take_while(move |kernel| *kernel != operation)
    }
}

/// The kernel that is a variant of an operation; the plain one if it has no such variant.
fn kernel_of(operation: &'static str, variant: &str) -> &'static str {
    let found = VARIANTS.iter().find(|(o, v, _)| *o == operation && *v == variant);
    found.map_or(operation, |(.., kernel)| kernel)
}

/// What tells one size of an operation from another: the shapes of its operands, and how they go together.
pub fn sizes(call: &Call) -> String {
    let shapes = call.shapes();
    match call.op {
        Op::Conv2d(spec) | Op::Conv2dGradInput(spec) | Op::Conv2dGradWeight(spec) => {
            format!("{shapes}, stride {}, pad {}", spec.stride, spec.pad)
        }
        Op::Linear(Rows::Own) => format!("{shapes}, own rows"),
        Op::Linear(Rows::Each) => format!("{shapes}, each row"),
        Op::Linear(Rows::Selected) => format!("{shapes}, selected rows"),
        _ => shapes,
    }
}

/// The operation that a kernel computes, and the variant it is.
pub fn variant_of(kernel: &str) -> (&str, &'static str) {
    let found = VARIANTS.iter().find(|(.., name)| *name == kernel);
    found.map_or((kernel, PLAIN), |&(operation, variant, _)| (operation, variant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::lower::{Fusion, lower};
    use crate::tape::{Arena, ConvSpec, Program, Store, Tape};

    fn convolution(stride: usize) -> Program {
        let (mut tape, mut store) = (Tape::new(), Store::new());
        let [x, w] = [("x", [2, 4, 5, 5]), ("w", [4, 4, 3, 3])].map(|(n, shape)| store.add(n, shape, Arena::Constants));
        let [x, w] = [x, w].map(|id| tape.persistent(&store, id));
        let y = tape.conv2d(x, w, ConvSpec { stride, pad: 1 });
        tape.output(y);
        Program::new(&tape)
    }

    #[test]
    fn the_first_choice_that_fits_holds() {
        let call = &convolution(1).calls[0];
        let kernel = |variants: &Variants| variants.kernel("conv2d", call);
        assert_eq!(kernel(&Variants::default()), "conv2d");
        let tiled = Variants::all("tiled");
        assert_eq!(kernel(&tiled), "conv2d_tiled");
        assert_eq!(tiled.kernel("linear_grad_input", call), "linear_grad_input", "it has no variants");
        let plain = |sizes: &str| VariantChoice { sizes: Some(sizes.into()), ..VariantChoice::new("conv2d", PLAIN) };
        assert_eq!(kernel(&tiled.clone().over([plain("2x4x5x5 * 4x4x3x3, stride 1, pad 1")])), "conv2d");
        assert_eq!(kernel(&tiled.over([plain("2x4x5x5 * 4x4x3x3, stride 2, pad 1")])), "conv2d_tiled", "other sizes");
    }

    #[test]
    fn what_a_matrix_unit_does_not_suit_is_left_to_the_next_choice() {
        let kernel = |stride: usize, side: usize| {
            let unit = Some(MatrixUnit { side, subgroup: 32 });
            let variants = Variants::all(TILED).over(VariantChoice::everywhere(MATRIX)).with_unit(unit);
            lower(&convolution(stride), Fusion::Loads, &variants).expect("lowers").dispatches[0].kernel
        };
        assert_eq!(kernel(1, 8), "conv2d_matrix");
        assert_eq!(kernel(2, 8), "conv2d_tiled", "over a stride");
        assert_eq!(kernel(1, 16), "conv2d_tiled", "four channels for sixteen");
    }

    #[test]
    fn choices_are_read_and_unknown_ones_refused() {
        assert_eq!(VariantChoice::parse("conv2d=tiled"), Ok(VariantChoice::new("conv2d", "tiled")));
        assert_eq!(VariantChoice::parse("linear=plain"), Ok(VariantChoice::new("linear", PLAIN)));
        for wrong in ["conv2d", "conv2d=other", "relu=plain", "=tiled"] {
            let error = VariantChoice::parse(wrong).expect_err(wrong);
            assert!(error.contains("conv2d=tiled"), "{error}");
        }
    }

    #[test]
    fn the_table_names_what_exists() {
        for &(operation, gpu, software) in TABLE {
            let needs = |variant| VariantChoice::new(operation, variant).need();
            assert!(needs(gpu).is_none() && needs(software).is_none(), "{operation}: every device starts with it");
            assert!([gpu, software].iter().all(|v| VariantChoice::new(operation, v).is_known()), "{operation}");
        }
    }
}
