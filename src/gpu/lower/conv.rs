//! Convolutions and their gradients.

use super::calls::sum_rows;
use super::fuse::Epilogue;
use super::launch::Launch;
use super::matrix::{Tiles, WeightTiles};
use super::variants::{HALF, MATRIX, TILED, Variants, kernel_of, variant_of};
use super::{Lowered, folded};
use crate::tape::{Call, ConvSpec, Op, Operand, Rows};

/// Bytes of workgroup memory that every device offers.
const WORKGROUP_BYTES: usize = 16 << 10;

/// Workgroups that the weight gradient aims at: plain, and the others.
const GRAD_WEIGHT_GROUPS: [usize; 2] = [1024, 512];
/// The fewest pixels worth a workgroup of the plain weight gradient.
const GRAD_WEIGHT_PIXELS: usize = 256;
/// Elements at most of the partial weight gradients.
const GRAD_WEIGHT_WORKSPACE: usize = 1 << 24;

/// Bytes of a pixel in workgroup memory, `Element` in the kernels.
fn element_bytes(kernel: &str) -> usize {
    if variant_of(kernel).1 == HALF { 2 } else { 4 }
}

/// What brings gradients with respect to a map, those of a mean over a batch, into the range of 16-bit floats: they are of
/// the order of one over its positions or less. A power of two, so that nothing is rounded.
fn scale(gradient: &Operand) -> f64 {
    let [batch, _, height, width] = gradient.shape.tail();
    16.0 * f64::from((batch * height * width).ilog2()).exp2()
}

/// Convolution and its input gradient.
pub(super) fn convolve(lowered: &mut Lowered, spec: ConvSpec, call: &Call, after: &Epilogue, variants: &Variants) {
    let (input, w, output) = (&call.inputs[0], &call.inputs[1], &call.outputs[0]);
    let forward = matches!(call.op, Op::Conv2d(_));
    let bind = |launch: Launch| {
        let launch = launch.read_all(&call.inputs);
        if forward { launch } else { launch.added_and_masked(after) }
    };
    let [_, _, kh, kw] = w.shape.tail();
    let mut kernel = variants.kernel(call.op.name(), call);
    if variant_of(kernel).1 == MATRIX {
        let padded = padded(forward, spec);
        let tiles =
            padded.filter(|_| [kh, kw] == [3, 3]).and_then(|spec| Tiles::new(spec, input, output, variants.unit));
        if let Some(tiles) = tiles {
            let launch = Launch::new(kernel).constant("WIDE", tiles.wide).constants(&tiles.constants);
            let launch = if forward { launch } else { launch.constant("SCALE", scale(input)) };
            let [x, y, _] = folded(tiles.grid[0]);
            let launch = bind(launch).param("positions", tiles.positions).write_all(&call.outputs);
            launch.groups(lowered, [x, y, tiles.grid[1] as u32]);
            return;
        }
        kernel = kernel_of(call.op.name(), TILED);
    }
    if kernel != call.op.name()
        && [kh, kw] == [3, 3]
        && let Some(tiling) = Tiling::new(forward, spec, input, output, element_bytes(kernel))
    {
        let launch = Launch::new(kernel).constant("WIDE", tiling.wide).constants(&tiling.constants);
        let launch =
            if forward || variant_of(kernel).1 != HALF { launch } else { launch.constant("SCALE", scale(input)) };
        let launch = bind(launch).param("blocks", tiling.blocks);
        launch.write_all(&call.outputs).groups(lowered, tiling.groups());
        return;
    }
    let (x, y) = if forward { (input, output) } else { (output, input) };
    let [batch, ci, h, wd] = x.shape.tail();
    let [_, co, oh, ow] = y.shape.tail();
    let [_, channels, rows, columns] = output.shape.tail();
    // The four pixels of a block are as far apart as they are in the side with more of them.
    let apart = if forward { 1 } else { spec.stride };
    let row_blocks = apart * columns.div_ceil(4 * apart);
    let blocks = batch * rows * row_blocks;
    let launch = bind(Launch::new(call.op.name())).window(kh, kw, spec);
    let launch = launch.param("blocks", blocks).param("row_blocks", row_blocks);
    let launch = launch.param("in_channels", ci).param("height", h).param("width", wd);
    let launch = launch.param("out_channels", co).param("out_height", oh).param("out_width", ow);
    let [gx, gy, _] = folded(blocks.div_ceil(64));
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

/// How shared/conv_tile.wgsl covers a result.
struct Tiling {
    /// Blocks of 4 pixels.
    blocks: usize,
    /// Groups of channels: all, and those of one workgroup.
    channel_groups: [usize; 2],
    constants: Vec<(&'static str, usize)>,
    wide: bool,
}

impl Tiling {
    /// Blocks of a workgroup (TILE in the kernel), and its groups of channels at most.
    const BLOCKS: usize = 32;
    const GROUPS: usize = 4;
    /// Source channels in workgroup memory at most.
    const DEPTH: usize = 8;
    /// From so many invocations on, each takes 8 channels instead of 4: enough for a large GPU to hide what it waits for.
    const WIDE_INVOCATIONS: usize = 24_000;

    /// With `bytes` bytes for a pixel. Fails where the stride or the rows are too large, and for gradients over a stride.
    fn new(forward: bool, spec: ConvSpec, source: &Operand, result: &Operand, bytes: usize) -> Option<Tiling> {
        let ConvSpec { stride, pad } = padded(forward, spec)?;
        if stride > 2 {
            return None;
        }
        let [batch, sources, source_height, source_width] = source.shape.tail();
        let [_, channels, height, width] = result.shape.tail();
        let row_blocks = width.div_ceil(4);
        // Whole padded rows are brought to workgroup memory, so a workgroup should take at least one.
        if row_blocks > Self::BLOCKS {
            return None;
        }
        let blocks = batch * height * row_blocks;
        let wide = blocks * channels.div_ceil(8) >= Self::WIDE_INVOCATIONS;
        let per_group = if wide { 8 } else { 4 };
        let groups = channels.div_ceil(per_group);
        let of_workgroup = groups.div_ceil(groups.div_ceil(Self::GROUPS));

        let (row_vecs, image_rows) = (stride * row_blocks + 1, (height - 1) * stride + 3);
        let padded_row = |block: usize| {
            let line = block / row_blocks;
            line / height * image_rows + line % height * stride
        };
        let rows = |first: usize| padded_row((first + Self::BLOCKS).min(blocks) - 1) + 3 - padded_row(first);
        let patch = (0..blocks).step_by(Self::BLOCKS).map(rows).max()? * row_vecs;
        let weights = 9 * of_workgroup * per_group / 4;
        let room = WORKGROUP_BYTES / (4 * bytes * patch + 16 * weights);
        let depth = Self::DEPTH.min(room).min(sources);
        if depth == 0 {
            return None;
        }
        let constants = vec![
            ("LANES", Self::BLOCKS * of_workgroup),
            ("DEPTH", depth),
            ("STRIDE", stride),
            ("PAD", pad),
            ("SOURCES", sources),
            ("SOURCE_HEIGHT", source_height),
            ("SOURCE_WIDTH", source_width),
            ("CHANNELS", channels),
            ("HEIGHT", height),
            ("WIDTH", width),
            ("ROW_BLOCKS", row_blocks),
            ("ROW_VECS", row_vecs),
            ("IMAGE_ROWS", image_rows),
            ("PATCH", patch),
            ("ROWS_LEN", depth * patch),
            ("WEIGHTS_LEN", depth * weights),
        ];
        Some(Tiling { blocks, channel_groups: [groups, of_workgroup], constants, wide })
    }

    fn groups(&self) -> [u32; 3] {
        let [all, own] = self.channel_groups;
        let [x, y, _] = folded(self.blocks.div_ceil(Self::BLOCKS));
        [x, y, all.div_ceil(own) as u32]
    }
}

/// The weight gradient: tiles over the weights, splits over the pixels, then the sum of the splits.
pub(super) fn grad_weight(lowered: &mut Lowered, spec: ConvSpec, call: &Call, variants: &Variants) {
    let (x, dy, dw) = (&call.inputs[0], &call.inputs[1], &call.outputs[0]);
    let [batch, ci, h, wd] = x.shape.tail();
    let [_, co, oh, ow] = dy.shape.tail();
    let [_, _, kh, kw] = dw.shape.tail();
    let mut kernel = variants.kernel(call.op.name(), call);
    if variant_of(kernel).1 == MATRIX {
        let tiles = if [kh, kw] == [3, 3] { WeightTiles::new(spec, x, dy, variants.unit) } else { None };
        if let Some(tiles) = tiles {
            let split = Split::new(GRAD_WEIGHT_GROUPS[1].div_ceil(tiles.grid[0] * tiles.grid[1]), tiles.tiles, 1, dw);
            let launch = Launch::new(kernel).constants(&tiles.constants).constant("SCALE", scale(dy));
            let launch = launch.param("positions", tiles.positions).param("chunk", split.chunk);
            split.lower(lowered, launch.read_all(&call.inputs), tiles.grid, dw);
            return;
        }
        kernel = kernel_of(call.op.name(), TILED);
    }
    if kernel != call.op.name()
        && [kh, kw] == [3, 3]
        && let Some(bands) = Bands::new(spec, [ci, co], [oh, ow], element_bytes(kernel))
    {
        let [tiles_x, tiles_y] = bands.tiles;
        let total = batch * oh.div_ceil(bands.rows);
        let split = Split::new(GRAD_WEIGHT_GROUPS[1].div_ceil(tiles_x * tiles_y), total, 1, dw);
        let launch = Launch::new(kernel).constants(&bands.constants).constants(&[("IN_HEIGHT", h), ("IN_WIDTH", wd)]);
        let launch = launch.param("bands", total).param("chunk", split.chunk);
        split.lower(lowered, launch.read_all(&call.inputs), [tiles_x, tiles_y], dw);
        return;
    }
    let pixels = batch * oh * ow;
    let tiles = [(ci * kh * kw).div_ceil(64), co.div_ceil(16)];
    let wanted = GRAD_WEIGHT_GROUPS[0].div_ceil(tiles[0] * tiles[1]).min(pixels.div_ceil(GRAD_WEIGHT_PIXELS));
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

/// How shared/weight_tile.wgsl covers the weights, and its bands.
struct Bands {
    rows: usize,
    /// Along the input channels and along the output channels.
    tiles: [usize; 2],
    constants: Vec<(&'static str, usize)>,
}

impl Bands {
    /// With `bytes` bytes for a pixel of x. Fails where the stride or the rows are too large, and for a few input channels,
    /// which leave lanes idle.
    fn new(spec: ConvSpec, [ci, co]: [usize; 2], [height, width]: [usize; 2], bytes: usize) -> Option<Bands> {
        if spec.stride > 2 || ci < 4 {
            return None;
        }
        let quads = co.div_ceil(4).min(8);
        let x_columns = (width - 1) * spec.stride + 3;
        let x_rows = |rows: usize| (rows - 1) * spec.stride + 3;
        // Elements in workgroup memory: of x, an odd number of words between two channels, and vec4s of dy.
        let x_plane = |rows: usize| ((x_rows(rows) * x_columns * bytes).div_ceil(4) | 1) * 4 / bytes;
        let x_len = |in_tile: usize, rows: usize| in_tile * x_plane(rows);
        let dy_len = |in_tile: usize, rows: usize| (rows * width * quads).max(in_tile * quads);
        let fits = |in_tile: usize, rows: usize, parts: usize| {
            let memory = (bytes * x_len(in_tile, rows)).next_multiple_of(16) + 16 * dy_len(in_tile, rows);
            memory <= WORKGROUP_BYTES && in_tile * quads * parts <= 256
        };
        // Instructions of an image, roughly: 8 for an element brought to workgroup memory, 44 for a pixel of a window.
        let cost = |in_tile: usize, rows: usize| {
            let staged = in_tile * x_rows(rows) * x_columns + 4 * rows * width * quads;
            let band = 8 * staged + 44 * rows * width * in_tile * quads;
            ci.div_ceil(in_tile) * height.div_ceil(rows) * band
        };
        let in_tiles = [16, 8, 4].into_iter().filter(|&tile| tile < 2 * ci);
        let bands = |parts: usize| (parts..=height.next_multiple_of(parts).min(32)).step_by(parts);
        let shapes = [1, 2, 4].into_iter().flat_map(|parts| bands(parts).map(move |rows| (rows, parts)));
        let (in_tile, rows, parts) = in_tiles
            .flat_map(|in_tile| shapes.clone().map(move |(rows, parts)| (in_tile, rows, parts)))
            .filter(|&(in_tile, rows, parts)| fits(in_tile, rows, parts))
            .min_by_key(|&(in_tile, rows, parts)| (cost(in_tile, rows), std::cmp::Reverse(parts)))?;
        let constants = vec![
            ("LANES", in_tile * quads * parts),
            ("IN_TILE", in_tile),
            ("QUADS", quads),
            ("PARTS", parts),
            ("ROWS", rows),
            ("STRIDE", spec.stride),
            ("PAD", spec.pad),
            ("IN_CHANNELS", ci),
            ("OUT_CHANNELS", co),
            ("HEIGHT", height),
            ("WIDTH", width),
            ("X_ROWS", x_rows(rows)),
            ("X_COLUMNS", x_columns),
            ("X_PLANE", x_plane(rows)),
            ("X_LEN", x_len(in_tile, rows)),
            ("DY_LEN", dy_len(in_tile, rows)),
        ];
        Some(Bands { rows, tiles: [ci.div_ceil(in_tile), co.div_ceil(4 * quads)], constants })
    }
}
