//! dx[r] = w[s]^T dy[r], s the row's partner.

use super::Kernel;
use super::linear::{Extents, rows_per_task};
use super::row_map::RowMap;
use super::simd::Isa;
use super::tile::{COLUMNS, Run, Sum, multiply};
use crate::tape::Rows;
use rayon::prelude::*;

/// Numbers of the widened weights [S,O,I rounded up]; none where I fills the tiles.
pub fn workspace(e: Extents) -> usize {
    if e.i.is_multiple_of(COLUMNS) { 0 } else { e.s * e.o * e.i.next_multiple_of(COLUMNS) }
}

pub fn kernel(isa: Isa, e: Extents, rows: Rows) -> Kernel {
    let columns = e.i.next_multiple_of(COLUMNS);
    Box::new(move |args| {
        let (dy, mut w, index) = (args.f32(0), args.f32(1), args.u32(2));
        let (dx, widened) = (args.out(0), args.out(1));
        if columns != e.i {
            for (to, from) in widened.chunks_exact_mut(columns).zip(w.chunks_exact(e.i)) {
                to[..e.i].copy_from_slice(from);
                to[e.i..].fill(0.0);
            }
            w = widened;
        }
        let sum = Sum { runs: &[Run { a: 0, b: 0 }], len: e.o, a_step: 1, b_step: columns };
        let task = rows_per_task(e, rows);
        dx.par_chunks_mut(task * e.i).enumerate().for_each(|(t, dx)| {
            let (first, count) = (t * task, dx.len() / e.i);
            let index = if index.is_empty() { index } else { &index[first..] };
            let map = RowMap::new(rows, e.s, index);
            let dy = &dy[first * e.o..][..count * e.o];
            for (s, list) in map.lists(count).iter().enumerate() {
                let s = if rows == Rows::Own { first + s } else { s };
                let bases: Vec<usize> = list.iter().map(|r| r * e.o).collect();
                let lines: Vec<usize> = list.iter().map(|r| r * e.i).collect();
                for column in (0..e.i).step_by(COLUMNS) {
                    let width = COLUMNS.min(e.i - column);
                    let offset = s * e.o * columns + column;
                    multiply(isa, sum, dy, &bases, w, offset, &mut dx[column..], &lines, width, false);
                }
            }
        });
    })
}
