//! Which kernels compute an operation: constants, parameters, bindings and grid.

use super::fuse::Besides;
use super::launch::Launch;
use super::norm::{channel_sums, unbiased};
use super::variants::Variants;
use super::{Lowered, WORKGROUP_BYTES, adam, conv, linear, workgroups};
use crate::tape::{Call, ConvSpec, Extreme, Op, Operand, Rows};

/// Source pixels that a workgroup of grid_sample_grad_image owns (BAND in the kernel).
const BAND: usize = 1920;

/// Appends the dispatches of a call with what its kernel does besides.
pub(super) fn lower_call(lowered: &mut Lowered, call: &Call, besides: &Besides, variants: &Variants) {
    let (ins, outs) = (&call.inputs[..], &call.outputs[..]);
    let launch = Launch::new(call.op.name());
    let len = |o: &Operand| o.shape.len();
    match call.op {
        Op::Fill { value } => {
            let n = len(&outs[0]);
            launch.param("n", n).param("value", value).write_all(outs).invocations(lowered, n, 256);
        }
        Op::Copy | Op::Add | Op::Relu | Op::ReluGrad => {
            let n = len(&outs[0]);
            launch.param("n", n).read_all(ins).write_all(outs).invocations(lowered, n, 256);
        }
        Op::MultiplyAdd { rounds } => {
            let n = len(&outs[0]);
            let launch = launch.param("n", n).param("rounds", rounds as usize).read_all(ins).write_all(outs);
            launch.invocations(lowered, n, 256 * 16);
        }
        Op::GatherImages => {
            let n = len(&outs[0]);
            let [c, h, w] = ins[0].shape.tail();
            let launch = launch.param("n", n).param("item", c * h * w).param("images", ins[0].shape.rows(3));
            let launch = launch.param("length", len(&ins[1])).read_all(ins).write_all(outs);
            launch.invocations(lowered, n, 256);
        }
        Op::Conv2d(spec) | Op::Conv2dGradInput(spec) => conv::convolve(lowered, spec, call, besides, variants),
        Op::Conv2dGradWeight(spec) => conv::grad_weight(lowered, spec, call, besides, variants),
        Op::BatchNormStats | Op::BatchNormGradParams { .. } => channel_sums(lowered, call, besides, variants),
        Op::RunningStats { momentum, count } => {
            let channels = len(&outs[0]);
            let launch = launch.param("channels", channels).param("momentum", momentum);
            let launch = launch.param("correction", unbiased(count));
            launch.read_all(ins).write_all(outs).invocations(lowered, channels, 64);
        }
        Op::BatchNorm { eps, .. } | Op::BatchNormGradInput { eps, .. } => {
            let [b, c, h, w] = outs[0].shape.tail();
            let n = b * c * h * w;
            let shape = [("CHANNELS", c), ("PIXELS", h * w)];
            let mut launch = launch.constants(&shape).param("n", n).param("eps", eps);
            launch = match call.op {
                Op::BatchNormGradInput { batch_stats, .. } => {
                    let launch = launch.param("inv_count", 1.0 / (b * h * w) as f32);
                    launch.constant("BATCH_STATS", batch_stats).read_all(ins)
                }
                _ => {
                    let launch = launch.constant("RECTIFY", besides.rectify);
                    let launch = launch.constant("RESIDUAL", besides.residual.is_some());
                    launch.read_all(ins).read_optional(besides.residual.as_ref())
                }
            };
            launch.write_all(outs).invocations(lowered, n, 1024);
        }
        Op::Shortcut { stride } => shortcut(lowered, launch, stride, (&ins[0], &outs[0]), call),
        Op::ShortcutGrad { stride } => shortcut(lowered, launch, stride, (&outs[0], &ins[0]), call),
        Op::Pool { kind, window, spec } => {
            let launch = launch.constant("EXTREME", if kind == Extreme::Max { 0 } else { 1 });
            pool(lowered, launch, window, spec, (&ins[0], &outs[0]), call);
        }
        Op::PoolGrad { window, spec } => pool(lowered, launch, window, spec, (&ins[0], &ins[2]), call),
        Op::GlobalAvgPool => {
            let [b, c, h, w] = ins[0].shape.tail();
            let launch = launch.param("planes", b * c).param("pixels", h * w).read_all(ins).write_all(outs);
            launch.invocations(lowered, b * c, 64);
        }
        Op::GlobalAvgPoolGrad => {
            let [b, c, h, w] = outs[0].shape.tail();
            let n = b * c * h * w;
            let launch = launch.param("n", n).param("pixels", h * w).read_all(ins).masked(besides);
            launch.write_all(outs).invocations(lowered, n, 256);
        }
        Op::Linear(rows) => linear::linear(lowered, rows, call, besides, variants),
        Op::LinearGradInput(rows) => linear::grad_input(lowered, rows, call, besides),
        Op::LinearGradWeight(rows) => linear::grad_weight(lowered, rows, call),
        Op::AffineGrid | Op::ProjectiveGrid => {
            let [h, w, _] = outs[0].shape.tail();
            let n = len(&outs[0]) / 2;
            let launch = launch.param("n", n).param("height", h).param("width", w).read_all(ins).write_all(outs);
            launch.invocations(lowered, n, 256);
        }
        Op::AffineGridGrad | Op::ProjectiveGridGrad => {
            let dgrid = &ins[ins.len() - 1].shape;
            let ([h, w, _], rows) = (dgrid.tail(), dgrid.rows(3));
            let launch = launch.param("rows", rows).param("height", h).param("width", w).read_all(ins).write_all(outs);
            launch.groups(lowered, workgroups(rows));
        }
        Op::ControlGrid => {
            let ([controls, h, w], n) = (ins[0].shape.tail(), len(&outs[0]) / 2);
            let launch = launch.param("n", n).param("pixels", h * w).param("controls", controls);
            launch.read_all(ins).write_all(outs).invocations(lowered, n, 256);
        }
        Op::ControlGridGrad => {
            let ([controls, h, w], sums) = (ins[0].shape.tail(), len(&outs[0]) / 2);
            let launch = launch.param("sums", sums).param("pixels", h * w).param("controls", controls);
            launch.read_all(ins).write_all(outs).groups(lowered, workgroups(sums));
        }
        Op::GridSample(padding, rows) | Op::GridSampleGradGrid(padding, rows) => {
            let [c, sh, sw] = ins[0].shape.tail();
            let [h, w, _] = ins[1].shape.tail();
            let n = len(&ins[1]) / 2;
            let launch = launch.rows(rows).padding(padding);
            let launch = launch.param("n", n).param("pixels", h * w).param("channels", c);
            let launch = launch.param("source_height", sh).param("source_width", sw);
            let launch = launch.param("shared_rows", ins[0].shape.rows(3));
            // The index comes last, and the plain operands before it: image, grid or image, grid, dy.
            let plain = if matches!(call.op, Op::GridSample(..)) { 2 } else { 3 };
            let launch = launch.read_all(&ins[..plain]).read_optional(ins.get(plain)).write_all(outs);
            launch.invocations(lowered, n, 256);
        }
        Op::GridSampleGradImage(padding) => {
            let [c, sh, sw] = outs[0].shape.tail();
            let [h, w, _] = ins[0].shape.tail();
            let (planes, bands) = (ins[0].shape.rows(3) * c, (sh * sw).div_ceil(BAND));
            // Each of at most 4 H W roundings adds up to 2^(low_bits - 1) to a low word of 31 bits.
            let terms = (4 * h * w).next_power_of_two().ilog2() as usize;
            let low_bits = 31usize.saturating_sub(terms).clamp(1, 24);
            let launch = launch.padding(padding).param("planes", planes).param("bands", bands);
            let launch = launch.param("channels", c).param("pixels", h * w);
            let launch = launch.param("source_height", sh).param("source_width", sw).param("low_bits", low_bits);
            launch.read_all(ins).write_all(outs).groups(lowered, workgroups(planes * bands));
        }
        Op::Color(rows) | Op::ColorGradBeta(rows) => {
            let [c, h, w] = ins[0].shape.tail();
            let launch = launch.rows(rows);
            if matches!(call.op, Op::Color(_)) {
                let n = len(&outs[0]);
                let launch = launch.param("n", n).param("pixels", h * w).param("channels", c);
                let launch = launch.param("shared_rows", ins[0].shape.rows(3)).read_all(&ins[..2]);
                launch.read_optional(ins.get(2)).write_all(outs).invocations(lowered, n, 256);
            } else {
                let planes = len(&outs[0]) / 2;
                let launch = launch.param("planes", planes).param("pixels", h * w).param("channels", c);
                let launch = launch.param("shared_rows", ins[0].shape.rows(3)).read_all(&ins[..2]);
                launch.read_optional(ins.get(2)).write_all(outs).groups(lowered, workgroups(planes));
            }
        }
        Op::ColorGradImage => {
            let ([h, w], n) = (outs[0].shape.tail(), len(&outs[0]));
            let launch = launch.param("n", n).param("pixels", h * w).read_all(ins).write_all(outs);
            launch.invocations(lowered, n, 256);
        }
        Op::MorphoWeights | Op::MorphoWeightsGrad => {
            let ([width], n) = (outs[0].shape.tail(), len(&outs[0]));
            let launch = launch.param("n", n).param("width", width).read_all(ins).write_all(outs);
            launch.invocations(lowered, n, 256);
        }
        Op::MorphoExp(rows) => {
            let ([width], n) = (ins[1].shape.tail(), len(&outs[0]));
            let shared_rows = ins[0].shape.rows(3);
            let launch = launch.rows(rows).param("n", n).param("item", len(&ins[0]) / shared_rows);
            let launch = launch.param("width", width).param("shared_rows", shared_rows).read_all(&ins[..2]);
            launch.read_optional(ins.get(2)).write_all(outs).invocations(lowered, n, 256);
        }
        Op::Morpho { kernel, rows }
        | Op::MorphoGradImage { kernel, rows }
        | Op::MorphoGradWeights { kernel, rows }
        | Op::MorphoLimit { kernel, rows } => morpho(lowered, launch, kernel, rows, call),
        Op::SumRows(rows) => {
            let (from, to) = (len(&ins[0]), len(&outs[0]));
            // Summing every S-th row over S shared rows is summing whole groups of S rows.
            let (item, count, shared) = match rows {
                Rows::Selected => {
                    let count = len(&ins[1]);
                    (from / count, count, to * count / from)
                }
                Rows::Own => (to, 1, 1),
                Rows::Each => (to, from / to, 1),
            };
            sum_rows(lowered, rows, (item, count, shared), ins[0].storage, ins.get(1), &outs[0]);
        }
        Op::SquaredDistance { .. } if let Some(chain) = &besides.chain => chain.lower(lowered, call),
        Op::SquaredDistance { rows, weighted } | Op::SquaredDistanceGrad { rows, weighted } => {
            let forward = matches!(call.op, Op::SquaredDistance { .. });
            let [images, per_image] = if forward { &outs[0] } else { &ins[2] }.shape.tail();
            let item = len(&ins[0]) / images;
            let plain = if forward { 2 } else { 3 };
            let weights = ins.get(plain).filter(|_| weighted);
            let index = ins.get(plain + usize::from(weighted));
            let n = if forward { images * per_image } else { len(&outs[0]) };
            let launch = launch.rows(rows).constant("WEIGHTED", weighted);
            let launch = launch.param(if forward { "rows" } else { "n" }, n).param("per_image", per_image);
            let launch = launch.param("item", item).param("shared_rows", len(&ins[1]) / item);
            let launch = launch.read_all(&ins[..plain]).read_optional(weights).read_optional(index).write_all(outs);
            if forward {
                launch.groups(lowered, workgroups(n));
            } else {
                launch.invocations(lowered, n, 256);
            }
        }
        Op::NegLogNormal { mean, deviation, weighted, min_variance }
        | Op::NegLogNormalGradMean { mean, deviation, weighted, min_variance }
        | Op::NegLogNormalGradDeviation { mean, deviation, weighted, min_variance } => {
            let launch = launch.mode("MEAN_ROWS", mean).mode("DEVIATION_ROWS", deviation);
            normal(lowered, launch.constant("WEIGHTED", weighted), weighted, min_variance, call)
        }
        Op::LogSoftmax | Op::LogSoftmaxGrad | Op::Responsibilities | Op::ExpectedCost => {
            let ([columns], rows) = (ins[0].shape.tail(), ins[0].shape.rows(1));
            let launch = launch.param("rows", rows).param("columns", columns).read_all(ins).write_all(outs);
            launch.invocations(lowered, rows, 64);
        }
        Op::ExpectedCostGradDistance => {
            let ([columns], n) = (outs[0].shape.tail(), len(&outs[0]));
            let launch = launch.param("n", n).param("columns", columns).read_all(ins).write_all(outs);
            launch.invocations(lowered, n, 256);
        }
        Op::ExpectedCostGradMixing => {
            let ([columns], rows) = (ins[0].shape.tail(), ins[0].shape.rows(1));
            let launch = launch.param("rows", rows).param("columns", columns).read_all(ins).write_all(outs);
            launch.groups(lowered, workgroups(columns));
        }
        Op::MinRow => {
            let ([columns], rows) = (ins[0].shape.tail(), ins[0].shape.rows(1));
            let launch = launch.param("rows", rows).param("columns", columns).read_all(ins).write_all(outs);
            launch.invocations(lowered, rows, 64);
        }
        Op::MinRowGrad => {
            let ([columns], n) = (outs[0].shape.tail(), len(&outs[0]));
            let launch = launch.param("n", n).param("columns", columns).read_all(ins).write_all(outs);
            launch.invocations(lowered, n, 256);
        }
        Op::Sum { scale } => {
            let launch = launch.param("n", len(&ins[0])).param("scale", scale).read_all(ins).write_all(outs);
            launch.groups(lowered, [1, 1, 1]);
        }
        Op::SumGrad { scale } => {
            let n = len(&outs[0]);
            launch.param("n", n).param("scale", scale).read_all(ins).write_all(outs).invocations(lowered, n, 256);
        }
        Op::Adam { .. } => adam::adam(lowered, call, &besides.adam),
        Op::Record => {
            let launch = launch.param("length", len(&outs[0])).read_all(ins).write_all(outs);
            launch.groups(lowered, [1, 1, 1]);
        }
        Op::StoreRows => {
            let n = len(&ins[0]);
            let launch = launch.param("n", n).param("width", n / ins[0].shape.0[0]).param("length", len(&outs[0]));
            launch.read_all(ins).write_all(outs).invocations(lowered, n, 256);
        }
        Op::Count => {
            let counts = len(&outs[0]);
            let launch = launch.param("length", len(&ins[0])).param("counts", counts).read_all(ins).write_all(outs);
            launch.invocations(lowered, counts, 256);
        }
        Op::Advance { images } => {
            launch.param("images", images).write_all(outs).groups(lowered, [1, 1, 1]);
        }
    }
}

/// Rows from which on several invocations share the sum of an element, and how many.
const SLICED_ROWS: usize = 48;
const SLICES: usize = 16;

/// Sums of `count` rows of `item` elements into `shared` rows.
pub(super) fn sum_rows(
    lowered: &mut Lowered,
    rows: Rows,
    (item, count, shared): (usize, usize, usize),
    from: usize,
    index: Option<&Operand>,
    to: &Operand,
) {
    let (n, slices) = (item * shared, if count >= SLICED_ROWS { SLICES } else { 1 });
    let launch = Launch::new("sum_rows").rows(rows).constant("SLICES", slices as u32);
    let launch = launch.param("n", n).param("item", item).param("rows", count);
    let launch = launch.param("shared_rows", shared).read_storage(from).read_optional(index);
    launch.write_all(std::slice::from_ref(to)).invocations(lowered, n, 256 / slices);
}

/// `NegLogNormal`, one workgroup a row, and its gradients, one invocation an element.
fn normal(lowered: &mut Lowered, launch: Launch, weighted: bool, min_variance: f32, call: &Call) {
    let (ins, outs) = (&call.inputs[..], &call.outputs[..]);
    let forward = matches!(call.op, Op::NegLogNormal { .. });
    let [images, per_image] = if forward { &outs[0] } else { &ins[3] }.shape.tail();
    let item = ins[0].shape.len() / images;
    let plain = if forward { 3 } else { 4 };
    let weights = ins.get(plain).filter(|_| weighted);
    let index = ins.get(plain + usize::from(weighted));
    let n = if forward { images * per_image } else { outs[0].shape.len() };
    let launch = launch.param(if forward { "rows" } else { "n" }, n).param("per_image", per_image).param("item", item);
    let launch = launch.param("means", ins[1].shape.len() / item).param("deviations", ins[2].shape.len() / item);
    let launch = launch.param("min_variance", min_variance);
    let bind =
        |launch: Launch| launch.read_all(&ins[..plain]).read_optional(weights).read_optional(index).write_all(outs);
    if forward {
        let constant = 0.5 * item as f64 * std::f64::consts::TAU.ln();
        bind(launch.param("constant", constant as f32)).groups(lowered, workgroups(n));
    } else {
        bind(launch).invocations(lowered, n, 256);
    }
}

/// `Shortcut` and its transpose: `x` is the side with fewer channels.
fn shortcut(lowered: &mut Lowered, launch: Launch, stride: usize, (x, y): (&Operand, &Operand), call: &Call) {
    let [_, c, h, w] = x.shape.tail();
    let [_, c2, oh, ow] = y.shape.tail();
    let n = call.outputs[0].shape.len();
    let launch = launch.param("n", n).param("channels", c).param("height", h).param("width", w);
    let launch = launch.param("out_channels", c2).param("out_height", oh).param("out_width", ow);
    launch.param("stride", stride).read_all(&call.inputs).write_all(&call.outputs).invocations(lowered, n, 256);
}

/// `Pool` and its gradient: `x` and `y` are the operands of the pooling itself.
fn pool(
    lowered: &mut Lowered,
    launch: Launch,
    window: usize,
    spec: ConvSpec,
    (x, y): (&Operand, &Operand),
    call: &Call,
) {
    let ([h, w], [oh, ow]) = (x.shape.tail(), y.shape.tail());
    let n = call.outputs[0].shape.len();
    let launch = launch.param("n", n).param("height", h).param("width", w);
    let launch = launch.param("out_height", oh).param("out_width", ow).param("window", window);
    let launch = launch.param("stride", spec.stride).param("pad", spec.pad);
    launch.read_all(&call.inputs).write_all(&call.outputs).invocations(lowered, n, 256);
}

/// `Morpho`, its gradients and its limit: one invocation an element, or one workgroup a row for the weights.
fn morpho(lowered: &mut Lowered, launch: Launch, kernel: usize, rows: Rows, call: &Call) {
    let (ins, outs) = (&call.inputs[..], &call.outputs[..]);
    let [c, h, w] = ins[0].shape.tail();
    let launch = launch.rows(rows).constant("KERNEL", kernel as u32);
    // The index comes last.
    let plain = ins.len() - usize::from(rows == Rows::Selected);
    let bind = |launch: Launch| {
        let launch = launch.param("shared_rows", ins[0].shape.rows(3)).read_all(&ins[..plain]);
        launch.read_optional(ins.get(plain)).write_all(outs)
    };
    if let Op::MorphoGradWeights { .. } = call.op {
        let n = ins[1].shape.rows(1);
        let launch = launch.constants(&window_tile(kernel, h, w)).param("rows", n).param("channels", c);
        bind(launch).groups(lowered, workgroups(n));
    } else {
        let n = outs[0].shape.len();
        let launch = launch.param("n", n).param("channels", c).param("height", h).param("width", w);
        bind(launch).invocations(lowered, n, 256);
    }
}

/// The tile of an image that takes morpho_grad_weights the least, by what it brings with its border and what each place of the
/// window sums; with the border it fits into workgroup memory, as a pixel with the border of the largest window does.
fn window_tile(kernel: usize, height: usize, width: usize) -> [(&'static str, usize); 6] {
    let bordered = |rows: usize, columns: usize| (rows + kernel - 1) * (columns + kernel - 1);
    // Two pairs of numbers, beside a sum for each invocation.
    let fits =
        |rows: usize, columns: usize| 8 * (rows * columns + bordered(rows, columns)) + 4 * 256 <= WORKGROUP_BYTES;
    let slices = (256 / (kernel * kernel)).max(1);
    // Extents of which as many are needed as of no smaller one.
    let even = |extent: usize| {
        let mut extents: Vec<usize> = (1..=extent).map(|tiles| extent.div_ceil(tiles)).collect();
        extents.dedup();
        extents
    };
    let tiles = |rows: usize, columns: usize| height.div_ceil(rows) * width.div_ceil(columns);
    let cost = |rows: usize, columns: usize| bordered(rows, columns) + 8 * rows.div_ceil(slices) * columns;
    let (columns, rows) = (even(width), even(height));
    let all = columns.iter().flat_map(|&columns| rows.iter().map(move |&rows| (rows, columns)));
    let (rows, columns) =
        all.filter(|&(r, c)| fits(r, c)).min_by_key(|&(r, c)| tiles(r, c) * cost(r, c)).unwrap_or((1, 1));
    [
        ("HEIGHT", height),
        ("WIDTH", width),
        ("TILE_HEIGHT", rows),
        ("TILE_WIDTH", columns),
        ("TILE_LEN", rows * columns),
        ("BORDERED_LEN", bordered(rows, columns)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::LARGEST_WINDOW;

    #[test]
    fn tiles_of_morphology_fit_into_workgroup_memory() {
        let sizes = [(28, 28), (1, 1), (5, 300), (256, 256), (64, 48)];
        for (kernel, (height, width)) in [1, 7, 17, LARGEST_WINDOW].into_iter().flat_map(|k| sizes.map(|s| (k, s))) {
            let tile = window_tile(kernel, height, width);
            let [_, _, (_, rows), (_, columns), (_, len), (_, bordered)] = tile;
            assert!(8 * (len + bordered) + 1024 <= WORKGROUP_BYTES, "{kernel}: {tile:?}");
            assert!(rows <= height && columns <= width && len == rows * columns, "{kernel}: {tile:?}");
            // Few pixels are brought for each that is summed, where the window leaves room for that.
            assert!(kernel > 7 || bordered <= 3 * len + kernel * kernel, "{kernel}: {tile:?}");
        }
    }
}
