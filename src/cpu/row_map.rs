//! Which row of a shared operand a row of the batch uses.

use crate::tape::Rows;

/// Finds partners of rows among S.
#[derive(Clone, Copy)]
pub struct RowMap<'a> {
    rows: Rows,
    s: usize,
    index: &'a [u32],
}

impl<'a> RowMap<'a> {
    /// `index` is read with [`Rows::Selected`] only. An index out of range counts as the last row, so that a broken
    /// index cannot reach outside.
    pub fn new(rows: Rows, s: usize, index: &'a [u32]) -> Self {
        RowMap { rows, s, index }
    }

    /// The partner of row r.
    pub fn get(&self, r: usize) -> usize {
        match self.rows {
            Rows::Own => r,
            Rows::Each => r % self.s,
            Rows::Selected => (self.index[r] as usize).min(self.s - 1),
        }
    }

    /// For each of the S partners the rows of 0..r that use it, in ascending order.
    pub fn lists(&self, r: usize) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.s];
        for row in 0..r {
            lists[self.get(row)].push(row);
        }
        lists
    }
}
