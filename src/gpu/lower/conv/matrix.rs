//! Convolutions and weight gradients by matrix units.

use super::{Cover, MatrixUnit, WeightCover};
use crate::gpu::lower::workgroups;
use crate::tape::{ConvSpec, Operand};

/// Bytes of workgroup memory that these kernels take at most; a device with fewer counts as one without such a unit.
pub const WORKGROUP_BYTES: usize = 32 << 10;

/// Subgroups of a workgroup (SUBGROUPS in the kernels).
const SUBGROUPS: usize = 4;

/// How shared/matrix_map.wgsl numbers the positions of a feature map.
struct Map {
    rows: usize,
    columns: usize,
    positions: usize,
}

impl Map {
    fn new(source: &Operand, pad: usize) -> Self {
        let [batch, _, height, width] = source.shape.tail();
        let (rows, columns) = (height + pad, width + pad);
        Map { rows, columns, positions: batch * rows * columns }
    }

    /// Positions beyond the last that the windows of a tile meet.
    fn beyond(&self) -> usize {
        2 * self.columns + 2
    }
}

/// vec4s from a row of a matrix in workgroup memory to the next: 16 bytes more than its length, so that rows are aligned
/// and do not begin in the same bank.
fn pitch(side: usize) -> usize {
    (side + 8) / 4
}

/// Whether windows of stride 1 are what [`Map`] is for, and the unit is at least half full.
fn suits(spec: ConvSpec, channels: [usize; 2], side: usize) -> bool {
    spec.stride == 1 && spec.pad <= 2 && channels.iter().all(|&c| 2 * c >= side)
}

/// How shared/matrix_tile.wgsl covers a result. None where strides, channels or rows do not suit.
pub fn convolution(spec: ConvSpec, source: &Operand, result: &Operand, unit: MatrixUnit) -> Option<Cover> {
    let [_, sources, source_height, source_width] = source.shape.tail();
    let [_, channels, height, width] = result.shape.tail();
    if !suits(spec, [sources, channels], unit.side) {
        return None;
    }
    let (map, pitch) = (Map::new(source, spec.pad), pitch(unit.side));
    let tile = 2 * SUBGROUPS * unit.side;
    let map_len = (tile + map.beyond()) * pitch;
    let weights_len = |wide: bool| 9 * unit.side * if wide { 2 } else { 1 } * pitch;
    // The columns of sums are 8 floats longer (SLICES): they do not begin in the same bank, and partial sums have room.
    let sums_pitch = tile + 8;
    let sums_len = unit.side * sums_pitch;
    let fits = |wide: bool| 8 * (map_len + weights_len(wide)) + 4 * sums_len <= WORKGROUP_BYTES;
    let wide = channels > unit.side && fits(true);
    if !fits(wide) {
        return None;
    }
    let constants = vec![
        ("LANES", SUBGROUPS * unit.subgroup),
        ("WIDE", usize::from(wide)),
        ("UNIT", unit.side),
        ("PITCH", pitch),
        ("MAP_ROWS", map.rows),
        ("MAP_COLUMNS", map.columns),
        ("MAP_LEN", map_len),
        ("PAD", spec.pad),
        ("SOURCES", sources),
        ("SOURCE_HEIGHT", source_height),
        ("SOURCE_WIDTH", source_width),
        ("CHANNELS", channels),
        ("HEIGHT", height),
        ("WIDTH", width),
        ("WEIGHTS_LEN", weights_len(wide)),
        ("SUMS_PITCH", sums_pitch),
        ("SUMS_LEN", sums_len),
    ];
    let own = if wide { 2 * unit.side } else { unit.side };
    let splits = map.positions.div_ceil(tile);
    let [x, y, _] = workgroups(splits);
    let groups = [x, y, channels.div_ceil(own) as u32];
    Some(Cover { constants, count: ("positions", map.positions), groups, splits: Some(splits) })
}

/// How conv2d_grad_weight_matrix.wgsl covers the weights, and its tiles of positions. None where strides, channels or rows do
/// not suit.
pub fn weights(spec: ConvSpec, x: &Operand, dy: &Operand, unit: MatrixUnit) -> Option<WeightCover> {
    let [_, ci, in_height, in_width] = x.shape.tail();
    let [_, co, height, width] = dy.shape.tail();
    if !suits(spec, [ci, co], unit.side) {
        return None;
    }
    let (map, pitch) = (Map::new(x, spec.pad), pitch(unit.side));
    let tile = 2 * SUBGROUPS * unit.side;
    let map_len = |out_units: usize| (tile + map.beyond() + out_units * tile) * pitch;
    let sums_pitch = unit.side + 4;
    let sums_len = SUBGROUPS * unit.side * sums_pitch;
    let fits = |out_units: usize| 8 * map_len(out_units) + 4 * sums_len <= WORKGROUP_BYTES;
    let needed = if co > unit.side { 2 } else { 1 };
    let out_units = (1..=needed).rev().find(|&units| fits(units))?;
    let constants = vec![
        ("LANES", SUBGROUPS * unit.subgroup),
        ("UNIT", unit.side),
        ("PITCH", pitch),
        ("MAP_ROWS", map.rows),
        ("MAP_COLUMNS", map.columns),
        ("MAP_LEN", map_len(out_units)),
        ("OUT_UNITS", out_units),
        ("TILE", tile),
        ("PAD", spec.pad),
        ("IN_CHANNELS", ci),
        ("IN_HEIGHT", in_height),
        ("IN_WIDTH", in_width),
        ("OUT_CHANNELS", co),
        ("HEIGHT", height),
        ("WIDTH", width),
        ("SUMS_PITCH", sums_pitch),
        ("SUMS_LEN", sums_len),
    ];
    let tiles = [ci.div_ceil(unit.side), co.div_ceil(out_units * unit.side)];
    let parts = map.positions.div_ceil(tile);
    Some(WeightCover { constants, tiles, parts, count: ("positions", map.positions) })
}
