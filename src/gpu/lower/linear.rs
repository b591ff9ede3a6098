//! Linear layers and their gradients.

use super::fuse::Besides;
use super::launch::Launch;
use super::variants::Variants;
use super::{Lowered, workgroups};
use crate::tape::{Call, Rows};

/// Outputs and rows of a workgroup of linear_tiled.
const TILE: [usize; 2] = [64, 8];
/// Elements of a workgroup of linear_grad_input and of linear_grad_weight.
const GRAD_INPUT_TILE: usize = 64;
const GRAD_WEIGHT_TILE: usize = 256;

/// y = w x + b, rectified perhaps.
pub(super) fn linear(lowered: &mut Lowered, rows: Rows, call: &Call, besides: &Besides, variants: &Variants) {
    let (x, w, y) = (&call.inputs[0], &call.inputs[1], &call.outputs[0]);
    let ([o, i], shared, n) = (w.shape.tail(), w.shape.rows(2), y.shape.len());
    let kernel = variants.kernel("linear", call);
    // The index comes last.
    let bind = |launch: Launch| {
        let launch = launch.rows(rows).constant("RECTIFY", besides.rectify);
        launch.read_all(&call.inputs[..3]).read_optional(call.inputs.get(3)).write_all(&call.outputs)
    };
    if kernel == "linear" {
        let launch = bind(Launch::new(kernel)).param("n", n).param("inputs", i).param("outputs", o);
        launch.param("shared_rows", shared).invocations(lowered, n, 64);
        return;
    }
    let count = x.shape.len() / i;
    // Row r belongs to partner r mod `shared`, and rows of their own are partners of one row each.
    let shared = if rows == Rows::Own { count } else { shared };
    let partner_tiles = if rows == Rows::Selected { 1 } else { (count / shared).div_ceil(TILE[1]) };
    let tiles = if rows == Rows::Selected { count } else { shared * partner_tiles };
    let launch = bind(Launch::new(kernel)).param("tiles", tiles).param("partner_tiles", partner_tiles);
    let launch = launch.param("inputs", i).param("outputs", o).param("rows", count).param("shared_rows", shared);
    let [gx, gy, _] = workgroups(tiles);
    launch.groups(lowered, [gx, gy, o.div_ceil(TILE[0]) as u32]);
}

/// dx = w^T dy, with a residual and masked perhaps.
pub(super) fn grad_input(lowered: &mut Lowered, rows: Rows, call: &Call, besides: &Besides) {
    let (w, n) = (&call.inputs[1].shape, call.outputs[0].shape.len());
    let [o, i] = w.tail();
    let launch = Launch::new(call.op.name()).rows(rows).param("n", n).param("inputs", i).param("outputs", o);
    let launch = launch.param("shared_rows", w.rows(2)).read_all(&call.inputs[..2]).read_optional(call.inputs.get(2));
    launch.added_and_masked(besides).write_all(&call.outputs).groups(lowered, workgroups(n.div_ceil(GRAD_INPUT_TILE)));
}

/// dw and db.
pub(super) fn grad_weight(lowered: &mut Lowered, rows: Rows, call: &Call) {
    let dw = &call.outputs[0].shape;
    let ([o, i], partners) = (dw.tail(), dw.rows(2));
    let tiles = (o * i).div_ceil(GRAD_WEIGHT_TILE);
    let launch = Launch::new(call.op.name()).rows(rows).param("partners", partners).param("tiles", tiles);
    let launch = launch.param("inputs", i).param("outputs", o).param("rows", call.inputs[0].shape.rows(1));
    let launch = launch.read_all(&call.inputs[..2]).read_optional(call.inputs.get(2)).write_all(&call.outputs);
    launch.groups(lowered, workgroups(partners * tiles));
}
