//! y[r] = w[s] x[r] + b[s], s the row's partner: rows of the same partner fill register tiles.

use super::Kernel;
use super::row_map::RowMap;
use super::simd::Isa;
use super::tile::{COLUMNS, Run, Sum, multiply};
use crate::tape::Rows;
use rayon::prelude::*;

/// Extents of a linear layer: R rows, weights [S,O,I].
#[derive(Clone, Copy, Debug)]
pub struct Extents {
    pub r: usize,
    pub s: usize,
    pub o: usize,
    pub i: usize,
}

/// Numbers of the packed weights: [S][O/16][I][16].
pub fn workspace(e: Extents) -> usize {
    e.s * e.o.div_ceil(COLUMNS) * e.i * COLUMNS
}

/// Groups of rows that are computed as one task.
pub fn rows_per_task(e: Extents, rows: Rows) -> usize {
    let tasks = rayon::current_num_threads();
    match rows {
        // Whole groups, so that row r of a task has partner r mod S.
        Rows::Each => (e.r / e.s).div_ceil(tasks) * e.s,
        _ => e.r.div_ceil(tasks),
    }
}

pub fn kernel(isa: Isa, e: Extents, rows: Rows) -> Kernel {
    Box::new(move |args| {
        let (x, w, bias, index) = (args.f32(0), args.f32(1), args.f32(2), args.u32(3));
        let (y, packed) = (args.out(0), args.out(1));
        let panel = e.i * COLUMNS;
        let blocks = e.o.div_ceil(COLUMNS);
        packed.par_chunks_mut(blocks * panel).zip(w.par_chunks(e.o * e.i)).for_each(|(packed, w)| {
            packed.fill(0.0);
            for (o, line) in w.chunks_exact(e.i).enumerate() {
                let block = &mut packed[o / COLUMNS * panel..];
                for (i, &value) in line.iter().enumerate() {
                    block[i * COLUMNS + o % COLUMNS] = value;
                }
            }
        });
        let sum = Sum { runs: &[Run { a: 0, b: 0 }], len: e.i, a_step: 1, b_step: COLUMNS };
        let task = rows_per_task(e, rows);
        y.par_chunks_mut(task * e.o).enumerate().for_each(|(t, y)| {
            let (first, count) = (t * task, y.len() / e.o);
            let index = if index.is_empty() { index } else { &index[first..] };
            let map = RowMap::new(rows, e.s, index);
            let x = &x[first * e.i..][..count * e.i];
            for (s, list) in map.lists(count).iter().enumerate() {
                // A row of its own is numbered from the start of the task.
                let s = if rows == Rows::Own { first + s } else { s };
                let bases: Vec<usize> = list.iter().map(|r| r * e.i).collect();
                let lines: Vec<usize> = list.iter().map(|r| r * e.o).collect();
                for &line in &lines {
                    y[line..line + e.o].copy_from_slice(&bias[s * e.o..][..e.o]);
                }
                for block in 0..blocks {
                    let column = block * COLUMNS;
                    let width = COLUMNS.min(e.o - column);
                    let offset = (s * blocks + block) * panel;
                    multiply(isa, sum, x, &bases, packed, offset, &mut y[column..], &lines, width, true);
                }
            }
        });
    })
}
