//! The parameter-free shortcut of He et al. (option A), pooling over windows and over the whole image.

use super::Incoming;
use crate::tape::op::{ConvSpec, Extreme, Op};
use crate::tape::record::{Node, Tape, Var};
use crate::tape::tensor::Shape;

impl Tape {
    /// Every `stride`-th pixel of x `[B,C,H,W]`, with zero channels added evenly on both sides up to `channels`.
    pub fn shortcut(&mut self, x: Var, channels: usize, stride: usize) -> Var {
        let [b, c, h, w] = self.shape(x).tail();
        assert!(channels >= c && (channels - c).is_multiple_of(2), "shortcut from {c} to {channels} channels");
        let shape = Shape::from([b, channels, h.div_ceil(stride), w.div_ceil(stride)]);
        self.push(Op::Shortcut { stride }, vec![x], shape)
    }

    /// Largest value of each window of x `[B,C,H,W]` -> `[B,C,H',W']`; padded positions never win.
    pub fn max_pool(&mut self, x: Var, window: usize, spec: ConvSpec) -> Var {
        self.pool(x, Extreme::Max, window, spec)
    }

    /// Smallest value of each window of x `[B,C,H,W]` -> `[B,C,H',W']`; padded positions never win.
    pub fn min_pool(&mut self, x: Var, window: usize, spec: ConvSpec) -> Var {
        self.pool(x, Extreme::Min, window, spec)
    }

    fn pool(&mut self, x: Var, kind: Extreme, window: usize, spec: ConvSpec) -> Var {
        let [b, c, h, w] = self.shape(x).tail();
        assert!(spec.pad < window, "pool: padded by {}, a window of {window} may see no pixel", spec.pad);
        let shape = Shape::from([b, c, spec.out(h, window), spec.out(w, window)]);
        self.push(Op::Pool { kind, window, spec }, vec![x], shape)
    }

    /// Mean over the pixels of x `[B,C,H,W]` -> `[B,C]`.
    pub fn global_avg_pool(&mut self, x: Var) -> Var {
        let [b, c, _, _] = self.shape(x).tail();
        self.push(Op::GlobalAvgPool, vec![x], Shape::from([b, c]))
    }
}

pub(super) fn adjoint(tape: &mut Tape, node: &Node, _input: usize, dy: Incoming) -> Option<Var> {
    let dy = dy[0]?;
    let shape = tape.shape(node.inputs[0]).clone();
    Some(match node.op {
        // The transpose: kept pixels get dy of their channel, the others zero.
        Op::Shortcut { stride } => tape.push(Op::ShortcutGrad { stride }, vec![dy], shape),
        // The value of a window is that of one pixel, which gets its dy.
        Op::Pool { window, spec, .. } => {
            let (x, y) = (node.inputs[0], node.outputs[0]);
            tape.push(Op::PoolGrad { window, spec }, vec![x, y, dy], shape)
        }
        // dx = dy / (H W) at every pixel.
        Op::GlobalAvgPool => tape.push(Op::GlobalAvgPoolGrad, vec![dy], shape),
        _ => return None,
    })
}
