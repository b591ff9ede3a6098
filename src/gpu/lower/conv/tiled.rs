//! Convolutions and weight gradients through workgroup memory, with 32-bit or 16-bit pixels.

use super::{Cover, WeightCover};
use crate::gpu::lower::variants::HALF;
use crate::gpu::lower::{WORKGROUP_BYTES, workgroups};
use crate::tape::{ConvSpec, Operand};

/// Blocks of 4 pixels of a workgroup (TILE in shared/conv_tile.wgsl), and its groups of channels at most.
const BLOCKS: usize = 32;
const GROUPS: usize = 4;
/// Source channels in workgroup memory at most.
const DEPTH: usize = 8;
/// From so many workgroups on a large GPU has several a multiprocessor, which hide what one waits for.
const MANY_WORKGROUPS: usize = 512;
/// From so many invocations on, each takes 8 channels instead of 4: enough for a large GPU to hide what it waits for.
const WIDE_INVOCATIONS: usize = 24_000;

/// Bytes of a pixel in workgroup memory, `Element` in the kernels.
fn element_bytes(variant: &str) -> usize {
    if variant == HALF { 2 } else { 4 }
}

/// How shared/conv_tile.wgsl covers a result. None where the stride or the rows are too large.
pub fn convolution(spec: ConvSpec, source: &Operand, result: &Operand, variant: &str) -> Option<Cover> {
    let ConvSpec { stride, pad } = spec;
    if stride > 2 {
        return None;
    }
    let bytes = element_bytes(variant);
    let [batch, sources, source_height, source_width] = source.shape.tail();
    let [_, channels, height, width] = result.shape.tail();
    let row_blocks = width.div_ceil(4);
    // Whole padded rows are brought to workgroup memory, so a workgroup should take at least one.
    if row_blocks > BLOCKS {
        return None;
    }
    let blocks = batch * height * row_blocks;
    let wide = blocks * channels.div_ceil(8) >= WIDE_INVOCATIONS;
    let per_group = if wide { 8 } else { 4 };
    let groups = channels.div_ceil(per_group);
    let of_workgroup = groups.div_ceil(groups.div_ceil(GROUPS));

    let (row_vecs, image_rows) = (stride * row_blocks + 1, (height - 1) * stride + 3);
    let padded_row = |block: usize| {
        let line = block / row_blocks;
        line / height * image_rows + line % height * stride
    };
    let rows = |first: usize| padded_row((first + BLOCKS).min(blocks) - 1) + 3 - padded_row(first);
    let patch = (0..blocks).step_by(BLOCKS).map(rows).max()? * row_vecs;
    let weights = 9 * of_workgroup * per_group / 4;
    let room = WORKGROUP_BYTES / (4 * bytes * patch + 16 * weights);
    let depth = DEPTH.min(room).min(sources);
    if depth == 0 {
        return None;
    }
    // Sums over channels are added up in the place of the weights, if that can be made large enough.
    let summed = BLOCKS * of_workgroup * per_group / 4;
    let sums = 4 * bytes * depth * patch + 16 * summed <= WORKGROUP_BYTES;
    let weights_len = if sums { summed.max(depth * weights) } else { depth * weights };
    let splits = blocks.div_ceil(BLOCKS);
    let few = splits * groups.div_ceil(of_workgroup) < MANY_WORKGROUPS;
    let constants = vec![
        ("LANES", BLOCKS * of_workgroup),
        ("WIDE", usize::from(wide)),
        ("DEPTH", depth),
        ("PREFETCH", usize::from(few)),
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
        ("WEIGHTS_LEN", weights_len),
    ];
    let [x, y, _] = workgroups(splits);
    let groups = [x, y, groups.div_ceil(of_workgroup) as u32];
    Some(Cover { constants, count: ("blocks", blocks), groups, splits: sums.then_some(splits) })
}

/// How shared/weight_tile.wgsl covers the weights, and its bands. None where the stride or the rows are too large, and for a
/// few input channels, which leave lanes idle.
pub fn weights(spec: ConvSpec, x: &Operand, dy: &Operand, variant: &str) -> Option<WeightCover> {
    let [batch, ci, in_height, in_width] = x.shape.tail();
    let [_, co, height, width] = dy.shape.tail();
    let bytes = element_bytes(variant);
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
        ("IN_HEIGHT", in_height),
        ("IN_WIDTH", in_width),
        ("HEIGHT", height),
        ("WIDTH", width),
        ("X_ROWS", x_rows(rows)),
        ("X_COLUMNS", x_columns),
        ("X_PLANE", x_plane(rows)),
        ("X_LEN", x_len(in_tile, rows)),
        ("DY_LEN", dy_len(in_tile, rows)),
    ];
    let bands = batch * height.div_ceil(rows);
    let tiles = [ci.div_ceil(in_tile), co.div_ceil(4 * quads)];
    Some(WeightCover { constants, tiles, parts: bands, count: ("bands", bands) })
}
