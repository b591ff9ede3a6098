//! dw[s] = sum over the rows r of s of dy[r] x[r]^T, db[s] = sum of dy[r], in ascending order of r.

use super::Kernel;
use super::linear::Extents;
use super::row_map::RowMap;
use super::simd::Isa;
use super::tile::{COLUMNS, Run, Sum, multiply};
use crate::tape::Rows;
use rayon::prelude::*;

/// Outputs that one task computes.
const OUTPUTS: usize = 48;

/// Numbers of the widened input [R, I rounded up]; none where I fills the tiles.
pub fn workspace(e: Extents) -> usize {
    if e.i.is_multiple_of(COLUMNS) { 0 } else { e.r * e.i.next_multiple_of(COLUMNS) }
}

pub fn kernel(isa: Isa, e: Extents, rows: Rows) -> Kernel {
    let columns = e.i.next_multiple_of(COLUMNS);
    Box::new(move |args| {
        let (mut x, dy, index) = (args.f32(0), args.f32(1), args.u32(2));
        let (dw, db, widened) = (args.out(0), args.out(1), args.out(2));
        if columns != e.i {
            for (to, from) in widened.chunks_exact_mut(columns).zip(x.chunks_exact(e.i)) {
                to[..e.i].copy_from_slice(from);
                to[e.i..].fill(0.0);
            }
            x = widened;
        }
        let lists = RowMap::new(rows, e.s, index).lists(e.r);
        db.par_chunks_mut(e.o).zip(&lists).for_each(|(db, list)| {
            db.fill(0.0);
            for r in list {
                for (sum, value) in db.iter_mut().zip(&dy[r * e.o..][..e.o]) {
                    *sum += value;
                }
            }
        });
        // Tasks are (partner, some of its outputs).
        let tasks: Vec<(usize, &mut [f32])> = dw
            .chunks_exact_mut(e.o * e.i)
            .enumerate()
            .flat_map(|(s, dw)| dw.chunks_mut(OUTPUTS * e.i).enumerate().map(move |(t, dw)| (s, t, dw)))
            .map(|(s, t, dw)| (s * e.o.div_ceil(OUTPUTS) + t, dw))
            .collect();
        tasks.into_par_iter().for_each(|(task, dw)| {
            let (s, first) = (task / e.o.div_ceil(OUTPUTS), task % e.o.div_ceil(OUTPUTS) * OUTPUTS);
            let runs: Vec<Run> = lists[s].iter().map(|r| Run { a: r * e.o, b: r * columns }).collect();
            let sum = Sum { runs: &runs, len: 1, a_step: 1, b_step: columns };
            if runs.is_empty() {
                return dw.fill(0.0);
            }
            let count = dw.len() / e.i;
            let bases: Vec<usize> = (first..first + count).collect();
            let lines: Vec<usize> = (0..count).map(|o| o * e.i).collect();
            for column in (0..e.i).step_by(COLUMNS) {
                let width = COLUMNS.min(e.i - column);
                multiply(isa, sum, dy, &bases, x, column, &mut dw[column..], &lines, width, false);
            }
        });
    })
}
