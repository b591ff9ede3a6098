//! Warps: grids of source coordinates, bilinear sampling, and sums over the rows that share an image.

use super::Incoming;
use crate::tape::op::{Op, Padding, Rows};
use crate::tape::record::{Node, Tape, Var};
use crate::tape::tensor::Shape;

impl Tape {
    /// Source coordinates `[R,H,W,2]` of the affine maps identity + beta `[R,6]` at the pixel centres of `height` x `width`.
    pub fn affine_grid(&mut self, beta: Var, height: usize, width: usize) -> Var {
        let [p] = self.shape(beta).tail();
        assert_eq!(p, 6, "affine_grid: beta {:?}", self.shape(beta));
        let shape = self.shape(beta).with_tail(1, &[height, width, 2]);
        self.push(Op::AffineGrid, vec![beta], shape)
    }

    /// Source coordinates `[R,H,W,2]` of the projective maps identity + beta `[R,9]` at the pixel centres of `height` x
    /// `width`.
    pub fn projective_grid(&mut self, beta: Var, height: usize, width: usize) -> Var {
        let [p] = self.shape(beta).tail();
        assert_eq!(p, 9, "projective_grid: beta {:?}", self.shape(beta));
        let shape = self.shape(beta).with_tail(1, &[height, width, 2]);
        self.push(Op::ProjectiveGrid, vec![beta], shape)
    }

    /// Source coordinates `[R,H,W,2]` that are linear in the displacements beta `[R,2G]`, laid out `[G,2]` = (x, y), of G
    /// control points: base `[H,W,2]` + sum over g of matrix `[G,H,W]` times the displacement of g. No gradient for
    /// matrix and base, which are constants.
    pub fn control_grid(&mut self, matrix: Var, base: Var, beta: Var) -> Var {
        let [g, h, w] = self.shape(matrix).tail();
        let [p] = self.shape(beta).tail();
        assert_eq!(self.shape(base).0, [h, w, 2], "control_grid: matrix {:?}", self.shape(matrix));
        assert_eq!(p, 2 * g, "control_grid: beta {:?} for {g} control points", self.shape(beta));
        let shape = self.shape(beta).with_tail(1, &[h, w, 2]);
        self.push(Op::ControlGrid, vec![matrix, base, beta], shape)
    }

    /// Bilinear samples `[R,C,H,W]` of image `[S,C,Hs,Ws]` at grid `[R,H,W,2]`; the image of a row is found by `rows`.
    pub fn grid_sample(&mut self, image: Var, grid: Var, padding: Padding, rows: Rows, index: Option<Var>) -> Var {
        let [c, _, _] = self.shape(image).tail();
        let [h, w, two] = self.shape(grid).tail();
        assert_eq!(two, 2, "grid_sample: grid {:?}", self.shape(grid));
        self.check_rows("grid_sample", rows, self.shape(grid).rows(3), self.shape(image).rows(3), index);
        let shape = self.shape(grid).with_tail(3, &[c, h, w]);
        self.push(Op::GridSample(padding, rows), [image, grid].into_iter().chain(index).collect(), shape)
    }

    /// Sums the rows of x (one a row of `rows`) that share one of the rows of `like`, which gives the shape.
    pub(super) fn sum_rows(&mut self, x: Var, like: &Shape, rows: Rows, index: Option<Var>) -> Var {
        match rows {
            Rows::Own => x,
            _ => self.push(Op::SumRows(rows), [x].into_iter().chain(index).collect(), like.clone()),
        }
    }
}

pub(super) fn adjoint(tape: &mut Tape, node: &Node, input: usize, dy: Incoming) -> Option<Var> {
    let dy = dy[0]?;
    match node.op {
        // grid = theta (u,v,1): dtheta = sum over pixels of dgrid (u,v,1)^T.
        Op::AffineGrid => {
            let shape = tape.shape(node.inputs[0]).clone();
            Some(tape.push(Op::AffineGridGrad, vec![dy], shape))
        }
        // grid = (x,y)/w, (x,y,w) = H (u,v,1): d(x,y) = dgrid/w, dw = -dgrid . grid / w, dH = d(x,y,w) (u,v,1)^T summed.
        Op::ProjectiveGrid => {
            let beta = node.inputs[0];
            Some(tape.push(Op::ProjectiveGridGrad, vec![beta, dy], tape.shape(beta).clone()))
        }
        // grid = base + M beta: dbeta = M^T dgrid.
        Op::ControlGrid if input == 2 => {
            let (matrix, beta) = (node.inputs[0], node.inputs[2]);
            Some(tape.push(Op::ControlGridGrad, vec![matrix, dy], tape.shape(beta).clone()))
        }
        Op::GridSample(padding, rows) => {
            let (image, grid) = (node.inputs[0], node.inputs[1]);
            let index = node.inputs.get(2).copied();
            match input {
                // Each output pixel hands its gradient to its four source pixels by their weights; then the rows that
                // share an image are summed.
                0 => {
                    let source: [usize; 3] = tape.shape(image).tail();
                    let shape = tape.shape(grid).with_tail(3, &source);
                    let per_row = tape.push(Op::GridSampleGradImage(padding), vec![grid, dy], shape);
                    let like = tape.shape(image).clone();
                    Some(tape.sum_rows(per_row, &like, rows, index))
                }
                // d/dx = (right - left) weighted by the rows, times half the size; zero where clamped.
                1 => {
                    let inputs = [image, grid, dy].into_iter().chain(index).collect();
                    let shape = tape.shape(grid).clone();
                    Some(tape.push(Op::GridSampleGradGrid(padding, rows), inputs, shape))
                }
                _ => None,
            }
        }
        _ => None,
    }
}
