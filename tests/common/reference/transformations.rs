//! Transformations of the reference other than affine maps.

use super::warp::centre;
use super::{Args, Data};
use proteus::tape::Op;

pub fn evaluate(args: &Args) -> Option<Vec<Data>> {
    let one = |x: Vec<f64>| vec![Data::Real(x)];
    Some(match args.call.op {
        Op::Color(rows) => {
            let ([c, h, w], s) = (args.dims(0), args.call.inputs[0].shape.rows(3));
            let mut y = args.zeros(0);
            for (at, y) in y.iter_mut().enumerate() {
                let (r, rest, plane) = (at / (c * h * w), at % (c * h * w), at / (h * w));
                let x = args.real(0)[args.row(rows, r, s) * c * h * w + rest];
                *y = (1.0 + args.real(1)[2 * plane]) * x + args.real(1)[2 * plane + 1];
            }
            one(y)
        }
        Op::ColorGradImage => {
            let [h, w] = args.dims(1);
            let dy = args.real(1).iter().enumerate();
            one(dy.map(|(at, dy)| (1.0 + args.real(0)[2 * (at / (h * w))]) * dy).collect())
        }
        Op::ColorGradBeta(rows) => {
            let ([c, h, w], s) = (args.dims(0), args.call.inputs[0].shape.rows(3));
            let mut dbeta = args.zeros(0);
            for (at, dy) in args.real(1).iter().enumerate() {
                let (r, rest, plane) = (at / (c * h * w), at % (c * h * w), at / (h * w));
                dbeta[2 * plane] += dy * args.real(0)[args.row(rows, r, s) * c * h * w + rest];
                dbeta[2 * plane + 1] += dy;
            }
            one(dbeta)
        }
        Op::ProjectiveGrid => {
            let ([h, w, _], mut grid) = (args.out_dims(0), args.zeros(0));
            for (point, xy) in grid.chunks_mut(2).enumerate() {
                let (x, w) = homography(&args.real(0)[9 * (point / (h * w))..], centre(point % (h * w), h, w));
                xy.copy_from_slice(&x.map(|x| x / w.unwrap_or(1.0)));
            }
            one(grid)
        }
        Op::ProjectiveGridGrad => {
            let ([h, w, _], mut dbeta) = (args.dims(1), args.zeros(0));
            for (point, g) in args.real(1).chunks(2).enumerate() {
                let (r, at) = (point / (h * w), centre(point % (h * w), h, w));
                let (x, w) = homography(&args.real(0)[9 * r..], at);
                // d (x / w) = dx / w - x dw / w^2.
                let dw = w.map_or(0.0, |w| -(g[0] * x[0] + g[1] * x[1]) / (w * w));
                let w = w.unwrap_or(1.0);
                for (row, d) in [g[0] / w, g[1] / w, dw].into_iter().enumerate() {
                    for (column, factor) in [at.0, at.1, 1.0].into_iter().enumerate() {
                        dbeta[9 * r + 3 * row + column] += d * factor;
                    }
                }
            }
            one(dbeta)
        }
        Op::ControlGrid => {
            let ([g, h, w], mut grid) = (args.dims(0), args.zeros(0));
            for (at, out) in grid.iter_mut().enumerate() {
                let (r, pixel, axis) = (at / (h * w * 2), at / 2 % (h * w), at % 2);
                let term = |k: usize| args.real(0)[k * h * w + pixel] * args.real(2)[(r * g + k) * 2 + axis];
                *out = args.real(1)[2 * pixel + axis] + (0..g).map(term).sum::<f64>();
            }
            one(grid)
        }
        Op::ControlGridGrad => {
            let ([g, h, w], mut dbeta) = (args.dims(0), args.zeros(0));
            for (at, dgrid) in args.real(1).iter().enumerate() {
                let (r, pixel, axis) = (at / (h * w * 2), at / 2 % (h * w), at % 2);
                for k in 0..g {
                    dbeta[(r * g + k) * 2 + axis] += args.real(0)[k * h * w + pixel] * dgrid;
                }
            }
            one(dbeta)
        }
        _ => return None,
    })
}

/// (x, y) and w of (identity + beta) (u, v, 1); w is `None` where it counts as the constant 1.
fn homography(beta: &[f64], (u, v): (f64, f64)) -> ([f64; 2], Option<f64>) {
    let row = |k: usize| beta[3 * k] * u + beta[3 * k + 1] * v + beta[3 * k + 2] + [u, v, 1.0][k];
    ([row(0), row(1)], Some(row(2)).filter(|w| w.abs() > 1e-8))
}
