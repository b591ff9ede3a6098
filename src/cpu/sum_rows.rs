//! y[s] = sum of the rows of x that use s, in ascending order.

use super::Kernel;
use super::row_map::RowMap;
use crate::tape::Rows;
use rayon::prelude::*;

/// `r` rows of `n` elements to `s` rows.
pub fn kernel(r: usize, s: usize, n: usize, rows: Rows) -> Kernel {
    /// Elements of a task.
    const PIECE: usize = 256;
    Box::new(move |args| {
        let (x, index, y) = (args.f32(0), args.u32(1), args.out(0));
        let lists = RowMap::new(rows, s, index).lists(r);
        let tasks: Vec<(usize, usize, &mut [f32])> = y
            .chunks_exact_mut(n)
            .enumerate()
            .flat_map(|(s, y)| y.chunks_mut(PIECE).enumerate().map(move |(p, y)| (s, p * PIECE, y)))
            .collect();
        tasks.into_par_iter().for_each(|(s, first, y)| {
            y.fill(0.0);
            for r in &lists[s] {
                for (sum, value) in y.iter_mut().zip(&x[r * n + first..]) {
                    *sum += value;
                }
            }
        });
    })
}
