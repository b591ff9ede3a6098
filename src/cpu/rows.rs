//! Operations that compute every row of their results from rows of their operands. They run row by row, one operation
//! after the other while a row is in cache: what only the next one reads never leaves it.

use super::{Kernel, OUTPUTS};
use crate::tape::Rows;
use rayon::prelude::*;

/// Which elements of an operand a row needs.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Row r has n elements of its own.
    Own(usize),
    /// `by` rows in a row share n elements.
    Shared { n: usize, by: usize },
    /// Row r uses row r mod s of n elements.
    Each { n: usize, s: usize },
    /// Row r uses row index[r] of s, of n elements each.
    Selected { n: usize, s: usize },
    /// All of it.
    Whole,
    /// The index of `Selected`; the operation itself does not see it.
    Index,
}

impl Cut {
    /// How rows of n elements of an operand with `s` of them are found.
    pub fn new(rows: Rows, n: usize, s: usize) -> Self {
        match rows {
            Rows::Own => Cut::Own(n),
            Rows::Each => Cut::Each { n, s },
            Rows::Selected => Cut::Selected { n, s },
        }
    }

    /// The elements for row r. An index out of range counts as the last row, so that a broken index cannot reach outside.
    fn of<'a>(self, r: usize, operand: &'a [f32], index: &[u32]) -> &'a [f32] {
        let (row, n) = match self {
            Cut::Own(n) => (r, n),
            Cut::Shared { n, by } => (r / by, n),
            Cut::Each { n, s } => (r % s, n),
            Cut::Selected { n, s } => ((index[r] as usize).min(s - 1), n),
            Cut::Whole | Cut::Index => return operand,
        };
        &operand[row * n..][..n]
    }
}

/// Computes a row: operands as cut, and the results (a second one for some operations).
pub type Worker = Box<dyn FnMut(&[&[f32]], [&mut [f32]; 2]) + Send>;

/// An operation on rows.
pub struct RowKernel {
    /// Number of rows.
    pub rows: usize,
    /// How operands are cut, in the order of the operation's inputs.
    pub inputs: Vec<Cut>,
    /// Elements of a row of each result.
    pub outputs: Vec<usize>,
    /// Makes what a thread needs to compute rows.
    worker: Box<dyn Fn() -> Worker + Send + Sync>,
}

impl RowKernel {
    /// An operation whose threads need memory of their own.
    pub fn new<W>(
        rows: usize,
        inputs: Vec<Cut>,
        outputs: Vec<usize>,
        worker: impl Fn() -> W + Send + Sync + 'static,
    ) -> Self
    where
        W: FnMut(&[&[f32]], [&mut [f32]; 2]) + Send + 'static,
    {
        RowKernel { rows, inputs, outputs, worker: Box::new(move || Box::new(worker())) }
    }

    /// An operation that needs nothing but its operands.
    pub fn plain(
        rows: usize,
        inputs: Vec<Cut>,
        outputs: Vec<usize>,
        compute: impl Fn(&[&[f32]], [&mut [f32]; 2]) + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::new(rows, inputs, outputs, move || compute.clone())
    }
}

/// Where an operand of a link comes from.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// An input of the whole chain.
    Argument(usize),
    /// A result of an earlier link.
    Local(usize),
}

/// An operation of a chain.
pub struct Link {
    pub kernel: RowKernel,
    pub inputs: Vec<From>,
    /// The locals that hold its results.
    pub outputs: Vec<usize>,
}

/// Operations that run one after the other on every row.
pub struct Chain {
    pub rows: usize,
    pub links: Vec<Link>,
    /// Elements of each local.
    pub locals: Vec<usize>,
    /// The locals that are results of the whole chain, in the order of its outputs.
    pub stored: Vec<usize>,
}

/// Tasks for each thread: more than one, so that a thread that is held up does not hold up all.
const TASKS: usize = 4;

impl Chain {
    /// The chain as one kernel.
    pub fn kernel(self) -> Kernel {
        Box::new(move |args| {
            let block = self.rows.div_ceil(TASKS * rayon::current_num_threads());
            let sizes: Vec<usize> = self.stored.iter().map(|&local| self.locals[local]).collect();
            let mut outputs: Vec<_> = (0..sizes.len()).map(|k| args.out(k).chunks_mut(block * sizes[k])).collect();
            let part = |_| outputs.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>();
            let tasks: Vec<Vec<&mut [f32]>> = (0..self.rows.div_ceil(block)).map(part).collect();
            let state = || {
                let workers: Vec<Worker> = self.links.iter().map(|link| (link.kernel.worker)()).collect();
                // Those that are results of the chain are written in their place.
                let inside = |(local, &n): (usize, &usize)| if self.stored.contains(&local) { 0 } else { n };
                let locals: Vec<Vec<f32>> = self.locals.iter().enumerate().map(inside).map(|n| vec![0.0; n]).collect();
                (workers, locals)
            };
            tasks.into_par_iter().enumerate().for_each_init(state, |(workers, locals), (t, mut results)| {
                let first = t * block;
                for r in first..self.rows.min(first + block) {
                    let mut row: [&mut [f32]; OUTPUTS] = Default::default();
                    for (to, local) in row.iter_mut().zip(locals.iter_mut()) {
                        *to = local;
                    }
                    for ((result, &n), &local) in results.iter_mut().zip(&sizes).zip(&self.stored) {
                        row[local] = &mut result[(r - first) * n..][..n];
                    }
                    for (link, worker) in self.links.iter().zip(workers.iter_mut()) {
                        self.link(link, worker, r, &mut row, |argument| args.inputs[argument]);
                    }
                }
            });
        })
    }

    /// Computes row r of one link.
    fn link<'a>(
        &self,
        link: &Link,
        worker: &mut Worker,
        r: usize,
        locals: &mut [&mut [f32]],
        argument: impl Fn(usize) -> &'a [u32],
    ) {
        // Taken out, so that the results of earlier links can be read meanwhile.
        let mut results: [&mut [f32]; 2] = Default::default();
        for (result, &local) in results.iter_mut().zip(&link.outputs) {
            *result = std::mem::take(&mut locals[local]);
        }
        let index = link.inputs.iter().zip(&link.kernel.inputs).find_map(|(from, cut)| match (from, cut) {
            (From::Argument(a), Cut::Index) => Some(argument(*a)),
            _ => None,
        });
        let mut operands: [&[f32]; 8] = [&[]; 8];
        for ((operand, &from), cut) in operands.iter_mut().zip(&link.inputs).zip(&link.kernel.inputs) {
            *operand = match from {
                From::Local(local) => &*locals[local],
                From::Argument(a) => cut.of(r, bytemuck::cast_slice(argument(a)), index.unwrap_or_default()),
            };
        }
        let [one, two] = &mut results;
        worker(&operands, [one, two]);
        for (result, &local) in results.iter_mut().zip(&link.outputs) {
            locals[local] = std::mem::take(result);
        }
    }
}
