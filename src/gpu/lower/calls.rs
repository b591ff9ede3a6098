//! Which kernels compute an operation: constants, parameters, bindings and grid.

use super::fuse::Epilogue;
use super::{Access, Binding, Dispatch, Lowered, Param, folded};
use crate::tape::{Call, ConvSpec, Extreme, Op, Operand, Padding, Rows, Work};

/// Values of one channel that one workgroup of a batch-norm reduction takes; more are split.
const CHANNEL_CHUNK: usize = 4096;
/// Workgroups that the weight gradient of a convolution aims at, and the fewest pixels worth a workgroup.
const GRAD_WEIGHT_GROUPS: usize = 1024;
const GRAD_WEIGHT_PIXELS: usize = 256;
/// Elements at most of the partial weight gradients.
const GRAD_WEIGHT_WORKSPACE: usize = 1 << 24;
/// Source pixels that a workgroup of grid_sample_grad_image owns (BAND in the kernel).
const BAND: usize = 1920;

type Constants = Vec<(&'static str, f64)>;

/// A dispatch under construction.
struct Launch {
    kernel: &'static str,
    constants: Constants,
    params: Vec<Param>,
    bindings: Vec<Binding>,
}

impl Launch {
    fn new(kernel: &'static str) -> Self {
        Launch { kernel, constants: Vec::new(), params: Vec::new(), bindings: Vec::new() }
    }

    fn constant(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    fn rows(self, rows: Rows) -> Self {
        self.mode("ROWS", rows)
    }

    fn mode(self, name: &'static str, rows: Rows) -> Self {
        let value = match rows {
            Rows::Own => 0,
            Rows::Each => 1,
            Rows::Selected => 2,
        };
        self.constant(name, value)
    }

    fn padding(self, padding: Padding) -> Self {
        self.constant("PADDING", if padding == Padding::Border { 0 } else { 1 })
    }

    fn window(self, kh: usize, kw: usize, spec: ConvSpec) -> Self {
        let constants = [("KH", kh), ("KW", kw), ("STRIDE", spec.stride), ("PAD", spec.pad)];
        constants.into_iter().fold(self, |launch, (name, value)| launch.constant(name, value as u32))
    }

    fn param<T>(mut self, name: &'static str, value: T) -> Self
    where
        Param: From<(&'static str, T)>,
    {
        self.params.push(Param::from((name, value)));
        self
    }

    fn read(self, operand: &Operand) -> Self {
        self.bind(Some(operand.storage), Access::Read)
    }

    fn read_all(self, operands: &[Operand]) -> Self {
        operands.iter().fold(self, Launch::read)
    }

    /// An input that the call may lack.
    fn read_optional(self, operand: Option<&Operand>) -> Self {
        self.bind(operand.map(|o| o.storage), Access::Read)
    }

    /// What a gradient is masked by, if anything.
    fn masked(self, after: &Epilogue) -> Self {
        self.constant("MASKED", after.mask.is_some()).read_optional(after.mask.as_ref())
    }

    /// What is added to a gradient and what it is masked by, if anything.
    fn added_and_masked(self, after: &Epilogue) -> Self {
        let residual = after.residual.as_ref();
        self.constant("RESIDUAL", residual.is_some()).read_optional(residual).masked(after)
    }

    fn read_storage(self, storage: usize) -> Self {
        self.bind(Some(storage), Access::Read)
    }

    fn write_storage(self, storage: usize) -> Self {
        self.bind(Some(storage), Access::Write)
    }

    fn write_all(self, operands: &[Operand]) -> Self {
        operands.iter().fold(self, |launch, o| launch.bind(Some(o.storage), Access::Write))
    }

    fn bind(mut self, storage: Option<usize>, access: Access) -> Self {
        self.bindings.push(Binding { storage, access });
        self
    }

    fn groups(self, lowered: &mut Lowered, groups: [u32; 3]) {
        let Launch { kernel, constants, params, bindings } = self;
        lowered.dispatches.push(Dispatch {
            kernel,
            constants,
            params,
            bindings,
            groups,
            call: 0,
            work: Work::default(),
        });
    }

    /// One invocation for each of `n` items.
    fn invocations(self, lowered: &mut Lowered, n: usize, workgroup: usize) {
        self.groups(lowered, folded(n.div_ceil(workgroup)));
    }
}

/// Appends the dispatches of a call with what its kernel does besides.
pub(super) fn lower_call(lowered: &mut Lowered, call: &Call, after: &Epilogue) {
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
        Op::Conv2d(spec) => {
            convolve(lowered, launch.read_all(ins), spec, (&ins[0], &ins[1], &outs[0]), call);
        }
        Op::Conv2dGradInput(spec) => {
            let launch = launch.read_all(ins).added_and_masked(after);
            convolve(lowered, launch, spec, (&outs[0], &ins[1], &ins[0]), call);
        }
        Op::Conv2dGradWeight(spec) => grad_weight(lowered, launch, spec, call),
        Op::BatchNormStats | Op::BatchNormGradParams { .. } => channel_sums(lowered, call, after),
        Op::RunningStats { momentum, count } => {
            let channels = len(&outs[0]);
            let launch = launch.param("channels", channels).param("momentum", momentum);
            let launch = launch.param("correction", unbiased(count));
            launch.read_all(ins).write_all(outs).invocations(lowered, channels, 64);
        }
        Op::BatchNorm { eps, .. } | Op::BatchNormGradInput { eps, .. } => {
            let [b, c, h, w] = outs[0].shape.tail();
            let n = b * c * h * w;
            let mut launch = launch.param("n", n).param("channels", c).param("pixels", h * w).param("eps", eps);
            launch = match call.op {
                Op::BatchNormGradInput { batch_stats, .. } => {
                    let launch = launch.param("inv_count", 1.0 / (b * h * w) as f32);
                    launch.constant("BATCH_STATS", batch_stats).read_all(ins)
                }
                _ => {
                    let launch = launch.constant("RECTIFY", after.rectify);
                    let launch = launch.constant("RESIDUAL", after.residual.is_some());
                    launch.read_all(ins).read_optional(after.residual.as_ref())
                }
            };
            launch.write_all(outs).invocations(lowered, n, 256);
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
            let launch = launch.param("n", n).param("pixels", h * w).read_all(ins).write_all(outs);
            launch.invocations(lowered, n, 256);
        }
        Op::Linear(rows) | Op::LinearGradInput(rows) => {
            let n = len(&outs[0]);
            let [o, i] = ins[1].shape.tail();
            let launch = launch.rows(rows).param("n", n).param("inputs", i).param("outputs", o);
            // The index comes last, and the plain operands before it: x, w, b or dy, w.
            let plain = if matches!(call.op, Op::Linear(_)) { 3 } else { 2 };
            let launch = launch.param("shared_rows", ins[1].shape.rows(2)).read_all(&ins[..plain]);
            let launch = launch.read_optional(ins.get(plain));
            let launch = match call.op {
                Op::Linear(_) => launch.constant("RECTIFY", after.rectify),
                _ => launch.masked(after),
            };
            launch.write_all(outs).invocations(lowered, n, 64);
        }
        Op::LinearGradWeight(rows) => {
            let n = len(&outs[0]);
            let [o, i] = outs[0].shape.tail();
            let launch = launch.rows(rows).param("n", n).param("inputs", i).param("outputs", o);
            let launch = launch.param("rows", ins[0].shape.rows(1)).param("shared_rows", outs[0].shape.rows(2));
            let launch = launch.read_all(&ins[..2]).read_optional(ins.get(2)).write_all(outs);
            launch.invocations(lowered, n, 64);
        }
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
            launch.groups(lowered, folded(rows));
        }
        Op::ControlGrid => {
            let ([controls, h, w], n) = (ins[0].shape.tail(), len(&outs[0]) / 2);
            let launch = launch.param("n", n).param("pixels", h * w).param("controls", controls);
            launch.read_all(ins).write_all(outs).invocations(lowered, n, 256);
        }
        Op::ControlGridGrad => {
            let ([controls, h, w], sums) = (ins[0].shape.tail(), len(&outs[0]) / 2);
            let launch = launch.param("sums", sums).param("pixels", h * w).param("controls", controls);
            launch.read_all(ins).write_all(outs).groups(lowered, folded(sums));
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
            launch.read_all(ins).write_all(outs).groups(lowered, folded(planes * bands));
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
                launch.read_optional(ins.get(2)).write_all(outs).groups(lowered, folded(planes));
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
                launch.groups(lowered, folded(n));
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
            launch.groups(lowered, folded(columns));
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
        Op::Adam { group, beta1, beta2, eps, weight_decay } => {
            let n = len(&outs[0]);
            let [columns, _] = ins[1].shape.tail();
            let launch = launch.param("n", n).param("steps", ins[1].shape.rows(2)).param("columns", columns);
            let launch = launch.param("column", group).param("beta1", beta1 as f32).param("beta2", beta2 as f32);
            let launch = launch.param("rest1", (1.0 - beta1) as f32).param("rest2", (1.0 - beta2) as f32);
            let launch = launch.param("eps", eps).param("weight_decay", weight_decay);
            launch.read_all(ins).write_all(outs).invocations(lowered, n, 256);
        }
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
            launch.invocations(lowered, counts, 64);
        }
        Op::Advance { images } => {
            launch.param("images", images).write_all(outs).groups(lowered, [1, 1, 1]);
        }
    }
}

/// Convolution and its input gradient, blocked alike: `x`, `w`, `y` are the operands of the convolution itself.
fn convolve(
    lowered: &mut Lowered,
    launch: Launch,
    spec: ConvSpec,
    (x, w, y): (&Operand, &Operand, &Operand),
    call: &Call,
) {
    let [batch, ci, h, wd] = x.shape.tail();
    let [co, _, kh, kw] = w.shape.tail();
    let [_, _, oh, ow] = y.shape.tail();
    let (channels, rows, columns) = if matches!(call.op, Op::Conv2d(_)) { (co, oh, ow) } else { (ci, h, wd) };
    let row_blocks = columns.div_ceil(4);
    let blocks = batch * rows * row_blocks;
    let launch = launch.window(kh, kw, spec).param("blocks", blocks).param("row_blocks", row_blocks);
    let launch = launch.param("in_channels", ci).param("height", h).param("width", wd);
    let launch = launch.param("out_channels", co).param("out_height", oh).param("out_width", ow);
    let [gx, gy, _] = folded(blocks.div_ceil(64));
    launch.write_all(&call.outputs).groups(lowered, [gx, gy, channels.div_ceil(8) as u32]);
}

/// The weight gradient: tiles over the weights, splits over the pixels, then the sum of the splits.
fn grad_weight(lowered: &mut Lowered, launch: Launch, spec: ConvSpec, call: &Call) {
    let (x, dy, dw) = (&call.inputs[0], &call.inputs[1], &call.outputs[0]);
    let [batch, ci, h, wd] = x.shape.tail();
    let [_, co, oh, ow] = dy.shape.tail();
    let [_, _, kh, kw] = dw.shape.tail();
    let (pixels, len) = (batch * oh * ow, dw.shape.len());
    let (tiles_n, tiles_m) = ((ci * kh * kw).div_ceil(64), co.div_ceil(16));
    let wanted = GRAD_WEIGHT_GROUPS.div_ceil(tiles_n * tiles_m);
    let splits = wanted.min(pixels.div_ceil(GRAD_WEIGHT_PIXELS)).min((GRAD_WEIGHT_WORKSPACE / len).max(1));
    // Whole tiles of 16 pixels; fewer splits may do then.
    let chunk = pixels.div_ceil(splits).next_multiple_of(16);
    let splits = pixels.div_ceil(chunk);
    let target = if splits == 1 { dw.storage } else { lowered.workspace(splits * len) };
    let launch = launch.window(kh, kw, spec).param("in_channels", ci).param("height", h).param("width", wd);
    let launch = launch.param("out_channels", co).param("out_height", oh).param("out_width", ow);
    let launch = launch.param("pixels", pixels).param("chunk", chunk).read_all(&call.inputs).write_storage(target);
    launch.groups(lowered, [tiles_n as u32, tiles_m as u32, splits as u32]);
    if splits > 1 {
        sum_rows(lowered, Rows::Each, (len, splits, 1), target, None, dw);
    }
}

fn sum_rows(
    lowered: &mut Lowered,
    rows: Rows,
    (item, count, shared): (usize, usize, usize),
    from: usize,
    index: Option<&Operand>,
    to: &Operand,
) {
    let n = item * shared;
    let launch = Launch::new("sum_rows").rows(rows).param("n", n).param("item", item).param("rows", count);
    let launch = launch.param("shared_rows", shared).read_storage(from).read_optional(index);
    launch.write_all(std::slice::from_ref(to)).invocations(lowered, n, 64);
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
        bind(launch.param("constant", constant as f32)).groups(lowered, folded(n));
    } else {
        bind(launch).invocations(lowered, n, 256);
    }
}

/// Sums over the values of a channel, in parts where a channel is large.
fn channel_sums(lowered: &mut Lowered, call: &Call, after: &Epilogue) {
    let [batch, channels, h, w] = call.inputs[0].shape.tail();
    let count = batch * h * w;
    let splits = count.div_ceil(CHANNEL_CHUNK);
    let stats = matches!(call.op, Op::BatchNormStats);
    // Running statistics are updated where the statistics are whole.
    let running = after.running.as_ref();
    let (momentum, correction) = match running.map(|c| &c.op) {
        Some(&Op::RunningStats { momentum, count }) => (momentum, unbiased(count)),
        _ => (0.0, 1.0),
    };
    let launch = |stage: u32| {
        let launch = Launch::new(call.op.name()).constant("STAGE", stage).param("channels", channels);
        let launch = launch.param("pixels", h * w).param("count", count).param("chunk", CHANNEL_CHUNK);
        let launch = launch.param("splits", splits);
        match call.op {
            Op::BatchNormGradParams { eps } => launch.param("eps", eps),
            _ => {
                let launch = launch.param("momentum", momentum).param("correction", correction);
                launch.constant("RUNNING", running.is_some() && stage != 1)
            }
        }
    };
    // The statistics have a second input in the merging stage only.
    let inputs = |launch: Launch| {
        if stats { launch.read(&call.inputs[0]).read_optional(None) } else { launch.read_all(&call.inputs) }
    };
    // A kernel that keeps no running statistics has something else bound in their place, not twice the same.
    let spare = if stats && (running.is_none() || splits > 1) {
        vec![lowered.workspace(1), lowered.workspace(1)]
    } else {
        Vec::new()
    };
    let spared = |launch: Launch| spare.iter().fold(launch, |launch, &s| launch.write_storage(s));
    let outputs = |launch: Launch| match running {
        Some(running) => launch.write_all(&call.outputs).write_all(&running.outputs),
        None => spared(launch.write_all(&call.outputs)),
    };
    if splits == 1 {
        outputs(inputs(launch(0))).groups(lowered, folded(channels));
        return;
    }
    let parts = [lowered.workspace(channels * splits), lowered.workspace(channels * splits)];
    let first = spared(inputs(launch(1)).write_storage(parts[0]).write_storage(parts[1]));
    first.groups(lowered, folded(channels * splits));
    let second = launch(2).read_storage(parts[0]).read_storage(parts[1]);
    let second = if stats { second } else { second.read_all(&call.inputs[2..]) };
    outputs(second).groups(lowered, folded(channels));
}

/// n / (n - 1), which makes the variance of n values unbiased.
fn unbiased(count: usize) -> f32 {
    count as f32 / count.saturating_sub(1).max(1) as f32
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
    let by_row = matches!(call.op, Op::MorphoGradWeights { .. });
    let n = if by_row { ins[1].shape.rows(1) } else { outs[0].shape.len() };
    let launch = launch.rows(rows).constant("KERNEL", kernel as u32).param(if by_row { "rows" } else { "n" }, n);
    let launch = launch.param("channels", c).param("height", h).param("width", w);
    // The index comes last.
    let plain = ins.len() - usize::from(rows == Rows::Selected);
    let launch = launch.param("shared_rows", ins[0].shape.rows(3)).read_all(&ins[..plain]);
    let launch = launch.read_optional(ins.get(plain)).write_all(outs);
    if by_row {
        launch.groups(lowered, folded(n));
    } else {
        launch.invocations(lowered, n, 256);
    }
}
