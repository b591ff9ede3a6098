//! Transformations of the reference other than affine maps.

use super::warp::centre;
use super::{Args, Data};
use proteus::tape::{Op, Rows};

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
        Op::MorphoWeights => {
            let [width] = args.dims(0);
            let weight = |(i, b): (usize, &f64)| match i % width {
                0 => *b,
                q => 1.0 / (1.0 + (-(b + if q - 1 == (width - 1) / 2 { 5.0 } else { -5.0 })).exp()),
            };
            one(args.real(0).iter().enumerate().map(weight).collect())
        }
        Op::MorphoWeightsGrad => {
            let [width] = args.dims(0);
            let pairs = args.real(0).iter().zip(args.real(1)).enumerate();
            one(pairs.map(|(i, (a, da))| if i % width == 0 { *da } else { da * a * (1.0 - a) }).collect())
        }
        Op::MorphoExp(rows) => {
            let ([c, h, w], s, [width]) = (args.dims(0), args.call.inputs[0].shape.rows(3), args.dims(1));
            let mut e = args.zeros(0);
            for (at, e) in e.iter_mut().enumerate() {
                let (r, rest) = (at / (c * h * w), at % (c * h * w));
                let x = args.real(0)[args.row(rows, r, s) * c * h * w + rest];
                *e = (args.real(1)[r * width] * x).clamp(-60.0, 60.0).exp();
            }
            one(e)
        }
        Op::Morpho { kernel, rows } => {
            let [mut numerator, mut denominator] = [args.zeros(0), args.zeros(1)];
            window_terms(args, kernel, rows, |t| {
                numerator[t.y] += t.a * t.e * t.x;
                denominator[t.y] += t.a * t.e;
            });
            let y = numerator.iter().zip(&denominator).map(|(n, d)| n / d).collect();
            vec![Data::Real(y), Data::Real(denominator.iter().map(|d| 1.0 / d).collect())]
        }
        Op::MorphoGradImage { kernel, rows } => {
            let (y, inverse, dy, mut dimage) = (args.real(3), args.real(4), args.real(5), args.zeros(0));
            window_terms(args, kernel, rows, |t| {
                if let Some(source) = t.source {
                    let slope = t.e * (1.0 + t.alpha * (t.x - y[t.y]));
                    dimage[source] += dy[t.y] * inverse[t.y] * t.a * slope;
                }
            });
            one(dimage)
        }
        Op::MorphoGradWeights { kernel, rows } => {
            let (y, inverse, dy, mut dp) = (args.real(3), args.real(4), args.real(5), args.zeros(0));
            window_terms(args, kernel, rows, |t| {
                let term = dy[t.y] * inverse[t.y] * t.e * (t.x - y[t.y]);
                dp[t.p] += term;
                if t.free {
                    dp[t.first] += t.a * term * t.x;
                }
            });
            one(dp)
        }
        Op::MorphoLimit { kernel, rows } => {
            let ([c, h, w], s) = (args.dims(0), args.call.inputs[0].shape.rows(3));
            let mut y = args.zeros(0);
            for (at, y) in y.iter_mut().enumerate() {
                let (r, channel, i, j) = (at / (c * h * w), at / (h * w) % c, at / w % h, at % w);
                let plane = args.row(rows, r, s) * c + channel;
                let p = &args.real(1)[r * (1 + kernel * kernel)..][..1 + kernel * kernel];
                let terms: Vec<(f64, f64)> = (0..kernel * kernel)
                    .map(|q| {
                        let (row, column) = (i + q / kernel, j + q % kernel);
                        let inside = |at: usize, size: usize| at.checked_sub(kernel / 2).filter(|&at| at < size);
                        let source = inside(row, h).zip(inside(column, w));
                        (p[1 + q], source.map_or(0.0, |(i, j)| args.real(0)[(plane * h + i) * w + j]))
                    })
                    .collect();
                let mut shape: Vec<f64> = terms.iter().filter(|t| t.0 > 0.5).map(|t| t.1).collect();
                if shape.is_empty() {
                    shape.push(terms[terms.len() / 2].1);
                }
                *y = if p[0] == 0.0 {
                    terms.iter().map(|(a, x)| a * x).sum::<f64>() / terms.iter().map(|t| t.0).sum::<f64>()
                } else if p[0] > 0.0 {
                    shape.into_iter().fold(f64::NEG_INFINITY, f64::max)
                } else {
                    shape.into_iter().fold(f64::INFINITY, f64::min)
                };
            }
            one(y)
        }
        _ => return None,
    })
}

/// (x, y) and w of (identity + beta) (u, v, 1); w is `None` where it counts as the constant 1.
fn homography(beta: &[f64], (u, v): (f64, f64)) -> ([f64; 2], Option<f64>) {
    let row = |k: usize| beta[3 * k] * u + beta[3 * k + 1] * v + beta[3 * k + 2] + [u, v, 1.0][k];
    ([row(0), row(1)], Some(row(2)).filter(|w| w.abs() > 1e-8))
}

/// A term a e (x) of the window around output `y`.
struct WindowTerm {
    y: usize,
    /// Position of alpha and of the weight among the weights.
    first: usize,
    p: usize,
    a: f64,
    x: f64,
    e: f64,
    /// Where x comes from, among images of one a row, if inside.
    source: Option<usize>,
    /// Whether the exponent is not limited; alpha is d log e / dx.
    free: bool,
    alpha: f64,
}

fn window_terms(args: &Args, kernel: usize, rows: Rows, mut term: impl FnMut(WindowTerm)) {
    let ([c, h, w], s) = (args.dims(0), args.call.inputs[0].shape.rows(3));
    let (image, p, e) = (args.real(0), args.real(1), args.real(2));
    for y in 0..e.len() {
        let (r, channel, i, j) = (y / (c * h * w), y / (h * w) % c, y / w % h, y % w);
        let first = r * (1 + kernel * kernel);
        for q in 0..kernel * kernel {
            let (row, column) = (i + q / kernel, j + q % kernel);
            let inside = |at: usize, size: usize| at.checked_sub(kernel / 2).filter(|&at| at < size);
            let at = inside(row, h).zip(inside(column, w));
            let source = at.map(|(i, j)| ((r * c + channel) * h + i) * w + j);
            let x = at.map_or(0.0, |(i, j)| image[((args.row(rows, r, s) * c + channel) * h + i) * w + j]);
            let free = (p[first] * x).abs() < 60.0;
            let (a, e) = (p[first + 1 + q], source.map_or(1.0, |at| e[at]));
            let alpha = if free { p[first] } else { 0.0 };
            term(WindowTerm { y, first, p: first + 1 + q, a, x, e, source, free, alpha });
        }
    }
}
