//! Transformations of the reference other than affine maps.

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
        _ => return None,
    })
}
