//! Convolutions and their gradients: which kernel takes them, and the plain ones, which take any.

mod matrix;
mod tiled;

pub(in crate::gpu) use matrix::WORKGROUP_BYTES as MATRIX_BYTES;

use super::calls::sum_rows;
use super::fuse::Besides;
use super::launch::Launch;
use super::variants::{MATRIX, MatrixUnit, Variants, is_inexact, variant_of};
use super::{Lowered, workgroups};
use crate::tape::{Call, ConvSpec, Op, Operand, Rows};

/// Workgroups that the plain weight gradient aims at, and the fewest pixels worth one.
const PLAIN_GROUPS: usize = 1024;
const PLAIN_PIXELS: usize = 256;
/// Workgroups that the others aim at.
const COVER_GROUPS: usize = 512;
/// Elements at most of the partial weight gradients.
const GRAD_WEIGHT_WORKSPACE: usize = 1 << 24;

/// What brings gradients with respect to a map, those of a mean over a batch, into the range of 16-bit floats: they are of
/// the order of one over its positions or less. A power of two, so that nothing is rounded.
fn scale(gradient: &Operand) -> f64 {
    let [batch, _, height, width] = gradient.shape.tail();
    16.0 * f64::from((batch * height * width).ilog2()).exp2()
}

/// How a kernel for 3x3 windows covers the result of a convolution.
struct Cover {
    constants: Vec<(&'static str, usize)>,
    /// The first parameter: how many things it covers.
    count: (&'static str, usize),
    groups: [u32; 3],
    /// Into how many parts its tiles divide a channel, where sums over channels can begin with them.
    splits: Option<usize>,
}

/// Convolution and its input gradient.
pub(super) fn convolve(lowered: &mut Lowered, spec: ConvSpec, call: &Call, besides: &Besides, variants: &Variants) {
    let (input, w, output) = (&call.inputs[0], &call.inputs[1], &call.outputs[0]);
    let forward = matches!(call.op, Op::Conv2d(_));
    if let Some((kernel, Cover { constants, count: (name, count), groups, .. })) = cover(spec, call, variants) {
        let variant = variant_of(kernel).1;
        let launch = Launch::new(kernel).constants(&constants);
        let launch = if is_inexact(variant) && !forward { launch.constant("SCALE", scale(input)) } else { launch };
        let launch = launch.param(name, count);
        let folded = besides.folds.of(input);
        let launch = launch.load("FOLDED", input, folded).read(w);
        let launch = if forward {
            let residual = folded.and_then(|f| f.residual.as_ref());
            let launch = launch.constant("RESIDUAL", residual.is_some()).read_optional(residual);
            let launch = launch.constant("RECTIFY", folded.is_some_and(|f| f.rectify));
            launch.coefficients([("first", folded)])
        } else {
            let mask = besides.mask.as_ref().and_then(|mask| besides.folds.of(mask));
            let launch = launch.added_and_masked(besides).constant("MASK_FOLDED", mask.is_some());
            let launch = launch.read_optional(folded.map(|f| &f.x));
            launch.coefficients([("first", folded), ("mask_first", mask)])
        };
        let mut launch = launch.write_all(&call.outputs);
        if forward {
            let written = folded.and_then(|f| f.written.as_ref());
            launch = launch.constant("WRITES", written.is_some());
            launch = match written {
                Some(map) => launch.write_storage(map.storage),
                None => launch.write_spare(lowered, 1),
            };
        }
        return launch.write_parts(lowered, besides).groups(lowered, groups);
    }
    let [_, _, kh, kw] = w.shape.tail();
    let (x, y) = if forward { (input, output) } else { (output, input) };
    let [batch, ci, h, wd] = x.shape.tail();
    let [_, co, oh, ow] = y.shape.tail();
    let [_, channels, rows, columns] = output.shape.tail();
    // The four pixels of a block are as far apart as they are in the side with more of them.
    let apart = if forward { 1 } else { spec.stride };
    let row_blocks = apart * columns.div_ceil(4 * apart);
    let blocks = batch * rows * row_blocks;
    let launch = Launch::new(call.op.name()).read_all(&call.inputs);
    let launch = if forward { launch } else { launch.added_and_masked(besides) };
    let launch = launch.window(kh, kw, spec);
    let launch = launch.param("blocks", blocks).param("row_blocks", row_blocks);
    let launch = launch.param("in_channels", ci).param("height", h).param("width", wd);
    let launch = launch.param("out_channels", co).param("out_height", oh).param("out_width", ow);
    let [gx, gy, _] = workgroups(blocks.div_ceil(64));
    launch.write_all(&call.outputs).groups(lowered, [gx, gy, channels.div_ceil(8) as u32]);
}

/// A convolution of the source with a 3x3 window: the input gradient is one of the gradient with another border. None for
/// gradients over a stride, which are not.
fn padded(forward: bool, spec: ConvSpec) -> Option<ConvSpec> {
    match forward {
        true => Some(spec),
        false if spec.stride == 1 => Some(ConvSpec { stride: 1, pad: 2usize.checked_sub(spec.pad)? }),
        false => None,
    }
}

/// Whether the kernel of a call computes maps as it loads them, see `fold.rs`: all but the plain ones do.
pub(super) fn computes_maps(call: &Call, variants: &Variants) -> bool {
    match call.op {
        Op::Conv2d(spec) | Op::Conv2dGradInput(spec) => cover(spec, call, variants).is_some(),
        Op::Conv2dGradWeight(spec) => weight_cover(spec, call, variants).is_some(),
        _ => false,
    }
}

/// Whether it can write the map that it convolves as well: that has as many pixels as the result.
pub(super) fn writes_maps(call: &Call, variants: &Variants) -> bool {
    call.op == Op::Conv2d(ConvSpec { stride: 1, pad: 1 }) && computes_maps(call, variants)
}

/// Into how many parts the kernel of a call divides a channel, where sums over channels can begin with it.
pub(super) fn splits(call: &Call, variants: &Variants) -> Option<usize> {
    match call.op {
        Op::Conv2d(spec) | Op::Conv2dGradInput(spec) => cover(spec, call, variants)?.1.splits,
        _ => None,
    }
}

/// The kernel for 3x3 windows that computes a convolution or its input gradient, and how; None for the plain one.
fn cover(spec: ConvSpec, call: &Call, variants: &Variants) -> Option<(&'static str, Cover)> {
    let (input, w, output) = (&call.inputs[0], &call.inputs[1], &call.outputs[0]);
    let [_, _, kh, kw] = w.shape.tail();
    let spec = padded(matches!(call.op, Op::Conv2d(_)), spec).filter(|_| [kh, kw] == [3, 3])?;
    first_that_fits(call, variants, |variant| match variant {
        MATRIX => variants.unit.and_then(|unit| matrix::convolution(spec, input, output, unit)),
        _ => tiled::convolution(spec, input, output, variant),
    })
}

/// The kernel for 3x3 windows that computes a weight gradient, and how; None for the plain one.
fn weight_cover(spec: ConvSpec, call: &Call, variants: &Variants) -> Option<(&'static str, WeightCover)> {
    let (x, dy, dw) = (&call.inputs[0], &call.inputs[1], &call.outputs[0]);
    let [_, _, kh, kw] = dw.shape.tail();
    if [kh, kw] != [3, 3] {
        return None;
    }
    first_that_fits(call, variants, |variant| match variant {
        MATRIX => variants.unit.and_then(|unit| matrix::weights(spec, x, dy, unit)),
        _ => tiled::weights(spec, x, dy, variant),
    })
}

/// The first of the kernels chosen for a call whose variant covers it.
fn first_that_fits<C>(
    call: &Call,
    variants: &Variants,
    cover: impl Fn(&str) -> Option<C>,
) -> Option<(&'static str, C)> {
    variants.kernels(call.op.name(), call).find_map(|kernel| Some((kernel, cover(variant_of(kernel).1)?)))
}

/// How a kernel for 3x3 windows covers the weights, and the positions that it sums over.
struct WeightCover {
    constants: Vec<(&'static str, usize)>,
    /// Along the input channels and along the output channels.
    tiles: [usize; 2],
    /// Parts of the sum, which splits share.
    parts: usize,
    /// The first parameter, before the parts of a split.
    count: (&'static str, usize),
}

/// The weight gradient: tiles over the weights, splits over the pixels, then the sum of the splits.
pub(super) fn grad_weight(lowered: &mut Lowered, spec: ConvSpec, call: &Call, besides: &Besides, variants: &Variants) {
    let (x, dy, dw) = (&call.inputs[0], &call.inputs[1], &call.outputs[0]);
    if let Some((kernel, WeightCover { constants, tiles, parts, count: (name, count) })) =
        weight_cover(spec, call, variants)
    {
        let variant = variant_of(kernel).1;
        // Each split has sums of its own to write and to add up: two tiles of a matrix unit at least.
        let worth = if variant == MATRIX { parts.div_ceil(2) } else { parts };
        let split = Split::new(COVER_GROUPS.div_ceil(tiles[0] * tiles[1]).min(worth), parts, 1, dw);
        let launch = Launch::new(kernel).constants(&constants);
        let launch = if variant == MATRIX { launch.constant("SCALE", scale(dy)) } else { launch };
        let launch = launch.param(name, count).param("chunk", split.chunk);
        let [of_x, of_dy] = [x, dy].map(|o| besides.folds.of(o));
        let launch = launch.load("X_FOLDED", x, of_x).load("DY_FOLDED", dy, of_dy);
        let launch = launch.constant("RECTIFY", of_x.is_some_and(|f| f.rectify));
        let launch = launch.read_optional(of_dy.map(|f| &f.x));
        let launch = launch.coefficients([("x_first", of_x), ("dy_first", of_dy)]);
        split.lower(lowered, launch, tiles, dw);
        return;
    }
    let [_, _, kh, kw] = dw.shape.tail();
    let [batch, ci, h, wd] = x.shape.tail();
    let [_, co, oh, ow] = dy.shape.tail();
    let pixels = batch * oh * ow;
    let tiles = [(ci * kh * kw).div_ceil(64), co.div_ceil(16)];
    let wanted = PLAIN_GROUPS.div_ceil(tiles[0] * tiles[1]).min(pixels.div_ceil(PLAIN_PIXELS));
    // Whole tiles of 16 pixels; fewer splits may do then.
    let split = Split::new(wanted, pixels, 16, dw);
    let launch = Launch::new(call.op.name()).window(kh, kw, spec);
    let launch = launch.param("in_channels", ci).param("height", h).param("width", wd);
    let launch = launch.param("out_channels", co).param("out_height", oh).param("out_width", ow);
    let launch = launch.param("pixels", pixels).param("chunk", split.chunk).read_all(&call.inputs);
    split.lower(lowered, launch, tiles, dw);
}

/// A sum over `chunk` items at a time.
struct Split {
    chunk: usize,
    splits: usize,
}

impl Split {
    /// At most `wanted` splits of `total` items, each of a multiple of `unit`, within the room for partial gradients.
    fn new(wanted: usize, total: usize, unit: usize, dw: &Operand) -> Self {
        let splits = wanted.min((GRAD_WEIGHT_WORKSPACE / dw.shape.len()).max(1)).min(total.div_ceil(unit));
        let chunk = total.div_ceil(splits).next_multiple_of(unit);
        Split { chunk, splits: total.div_ceil(chunk) }
    }

    fn lower(&self, lowered: &mut Lowered, launch: Launch, [x, y]: [usize; 2], dw: &Operand) {
        let len = dw.shape.len();
        let target = if self.splits == 1 { dw.storage } else { lowered.workspace(self.splits * len) };
        launch.write_storage(target).groups(lowered, [x as u32, y as u32, self.splits as u32]);
        if self.splits > 1 {
            sum_rows(lowered, Rows::Each, (len, self.splits, 1), target, None, dw);
        }
    }
}
