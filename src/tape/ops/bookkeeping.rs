//! What a step does besides arithmetic: fetch images, update parameters, note losses and assignments.

use crate::tape::op::Op;
use crate::tape::record::{Tape, Var};
use crate::tape::tensor::{Dtype, Shape};

/// Constants of Adam (Kingma and Ba 2015).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamSpec {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f32,
    /// L2 weight decay, added to the gradient.
    pub weight_decay: f32,
}

impl Tape {
    /// The next `batch` images of data u8 `[N,C,H,W]` in the order u32 `[N]`, from `clock[0]` on, as f32 in `[0,1]`.
    pub fn gather_images(&mut self, data: Var, order: Var, clock: Var, batch: usize) -> Var {
        assert_eq!(self.dtype(data), Dtype::U8, "gather_images reads bytes");
        let item: [usize; 3] = self.shape(data).tail();
        let shape = Shape::from([batch, item[0], item[1], item[2]]);
        self.push(Op::GatherImages, vec![data, order, clock], shape)
    }

    /// One Adam step on `parameters` = (parameter, first moment, second moment), with column `group` of `schedule`
    /// `[T,G,2]`.
    pub fn adam(
        &mut self,
        parameters: (Var, Var, Var),
        gradient: Var,
        schedule: Var,
        clock: Var,
        group: usize,
        spec: AdamSpec,
    ) {
        let (p, m, v) = parameters;
        for other in [m, v, gradient] {
            assert_eq!(self.shape(p), self.shape(other), "adam: shapes differ");
        }
        let [groups, two] = self.shape(schedule).tail();
        assert!(group < groups && two == 2, "adam: group {group} of schedule {:?}", self.shape(schedule));
        let AdamSpec { beta1, beta2, eps, weight_decay } = spec;
        let op = Op::Adam { group, beta1, beta2, eps, weight_decay };
        self.push_update(op, vec![gradient, schedule, clock], vec![p, m, v]);
    }

    /// `history[clock[1]]` = x.
    pub fn record(&mut self, x: Var, clock: Var, history: Var) {
        assert_eq!(self.shape(x).len(), 1, "record notes one number a step");
        self.push_update(Op::Record, vec![x, clock], vec![history]);
    }

    /// `all[clock[0] + b]` = `x[b]` for the rows of x `[B,...]`.
    pub fn store_rows(&mut self, x: Var, clock: Var, all: Var) {
        assert_eq!(self.dtype(x), self.dtype(all), "store_rows: types differ");
        let width = |v: Var, t: &Tape| t.shape(v).len() / t.shape(v).0[0];
        assert_eq!(width(x, self), width(all, self), "store_rows: widths differ");
        self.push_update(Op::StoreRows, vec![x, clock], vec![all]);
    }

    /// `counts[index[b]]` += 1.
    pub fn count(&mut self, index: Var, counts: Var) {
        assert_eq!(self.dtype(index), Dtype::U32, "count counts indices");
        self.push_update(Op::Count, vec![index], vec![counts]);
    }

    /// Ends a step of `images` images: clock = (`clock[0]` + images, `clock[1]` + 1).
    pub fn advance(&mut self, clock: Var, images: usize) {
        self.push_update(Op::Advance { images }, vec![], vec![clock]);
    }
}
