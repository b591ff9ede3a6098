//! Warps, distances and minima of the reference.

use super::{Args, Data};
use proteus::tape::{Op, Padding, Rows};

pub fn evaluate(args: &Args) -> Option<Vec<Data>> {
    let one = |x: Vec<f64>| vec![Data::Real(x)];
    Some(match args.call.op {
        Op::AffineGrid => {
            let [h, w, _] = args.out_dims(0);
            let mut grid = args.zeros(0);
            for (at, out) in grid.iter_mut().enumerate() {
                let (r, pixel, axis) = (at / (h * w * 2), at / 2 % (h * w), at % 2);
                let theta: Vec<f64> =
                    (0..3).map(|k| args.real(0)[r * 6 + axis * 3 + k] + if k == axis { 1.0 } else { 0.0 }).collect();
                let (u, v) = centre(pixel, h, w);
                *out = theta[0] * u + theta[1] * v + theta[2];
            }
            one(grid)
        }
        Op::AffineGridGrad => {
            let [h, w, _] = args.dims(0);
            let mut dbeta = args.zeros(0);
            for (at, dgrid) in args.real(0).iter().enumerate() {
                let (r, pixel, axis) = (at / (h * w * 2), at / 2 % (h * w), at % 2);
                let (u, v) = centre(pixel, h, w);
                for (k, factor) in [u, v, 1.0].into_iter().enumerate() {
                    dbeta[r * 6 + axis * 3 + k] += dgrid * factor;
                }
            }
            one(dbeta)
        }
        Op::GridSample(padding, rows) => {
            let (image, mut y) = (args.real(0), args.zeros(0));
            let s = args.call.inputs[0].shape.rows(3);
            let row = |r| args.row(rows, r, s);
            sample_terms(padding, args.real(1), args.dims(1), args.dims(0), row, |t| {
                y[t.y] += image[t.image] * t.weight
            });
            one(y)
        }
        Op::GridSampleGradImage(padding) => {
            let (dy, mut dimage) = (args.real(1), args.zeros(0));
            let source = args.out_dims(0);
            sample_terms(padding, args.real(0), args.dims(0), source, |r| r, |t| dimage[t.image] += dy[t.y] * t.weight);
            one(dimage)
        }
        Op::GridSampleGradGrid(padding, rows) => {
            let (image, dy, mut dgrid) = (args.real(0), args.real(2), args.zeros(0));
            let s = args.call.inputs[0].shape.rows(3);
            let row = |r| args.row(rows, r, s);
            sample_terms(padding, args.real(1), args.dims(1), args.dims(0), row, |t| {
                dgrid[t.grid] += dy[t.y] * image[t.image] * t.slope_x;
                dgrid[t.grid + 1] += dy[t.y] * image[t.image] * t.slope_y;
            });
            one(dgrid)
        }
        Op::SumRows(rows) => {
            let (x, mut y) = (args.real(0), args.zeros(0));
            let n = match rows {
                Rows::Own | Rows::Each => y.len(),
                Rows::Selected => x.len() / args.index(1).len(),
            };
            // Rows taken in turn repeat with the period of y, so that all of y counts as one row here.
            let s = y.len() / n;
            for (r, values) in x.chunks(n).enumerate() {
                let to = args.row(rows, r, s) * n;
                values.iter().enumerate().for_each(|(i, v)| y[to + i] += v);
            }
            one(y)
        }
        Op::SquaredDistance { rows, weighted } => {
            let (x, t, mut d) = (args.real(0), args.real(1), args.zeros(0));
            distance_terms(args, rows, weighted.then_some(2), args.out_dims(0), |term| {
                d[term.row] += term.factor * (x[term.x] - t[term.t]).powi(2);
            });
            one(d)
        }
        Op::SquaredDistanceGrad { rows, weighted } => {
            let (x, t, dd, mut dt) = (args.real(0), args.real(1), args.real(2), args.zeros(0));
            distance_terms(args, rows, weighted.then_some(3), args.dims(2), |term| {
                dt[term.out] = 2.0 * term.factor * (t[term.t] - x[term.x]) * dd[term.row];
            });
            one(dt)
        }
        Op::MinRow => {
            let [k] = args.dims(0);
            let rows = args.real(0).chunks(k);
            let first = |row: &[f64]| (1..k).fold(0, |best, j| if row[j] < row[best] { j } else { best });
            let at: Vec<usize> = rows.clone().map(first).collect();
            let min = rows.zip(&at).map(|(row, &j)| row[j]).collect();
            vec![Data::Real(min), Data::Index(at.into_iter().map(|j| j as u32).collect())]
        }
        Op::MinRowGrad => {
            let [k] = args.out_dims(0);
            let mut dd = args.zeros(0);
            for (b, (dm, &j)) in args.real(0).iter().zip(args.index(1)).enumerate() {
                dd[b * k + j as usize] = *dm;
            }
            one(dd)
        }
        _ => return None,
    })
}

/// Normalised coordinates (u, v) of the centre of a pixel.
pub fn centre(pixel: usize, h: usize, w: usize) -> (f64, f64) {
    let (i, j) = (pixel / w, pixel % w);
    ((2 * j + 1) as f64 / w as f64 - 1.0, (2 * i + 1) as f64 / h as f64 - 1.0)
}

/// One source pixel of one output pixel along one axis.
struct Tap {
    /// Where, if inside the image.
    pixel: Option<usize>,
    /// Its bilinear weight.
    weight: f64,
    /// Derivative of the weight with respect to the normalised coordinate.
    slope: f64,
}

/// The two source pixels of coordinate `g`, as PyTorch's `grid_sample` with `align_corners=False`.
fn taps(padding: Padding, g: f64, size: usize) -> [Tap; 2] {
    let mut position = ((g + 1.0) * size as f64 - 1.0) / 2.0;
    let mut slope = size as f64 / 2.0;
    if padding == Padding::Border {
        let last = (size - 1) as f64;
        if position <= 0.0 || position >= last {
            slope = 0.0;
        }
        position = position.clamp(0.0, last);
    }
    let low = position.floor();
    let inside = |p: f64| (p >= 0.0 && p < size as f64).then_some(p as usize);
    [
        Tap { pixel: inside(low), weight: 1.0 - (position - low), slope: -slope },
        Tap { pixel: inside(low + 1.0), weight: position - low, slope },
    ]
}

/// A product image * weight that is a term of y, with the derivatives of the weight.
struct SampleTerm {
    image: usize,
    grid: usize,
    y: usize,
    weight: f64,
    slope_x: f64,
    slope_y: f64,
}

fn sample_terms(
    padding: Padding,
    grid: &[f64],
    [h, w, _]: [usize; 3],
    [c, hs, ws]: [usize; 3],
    row: impl Fn(usize) -> usize,
    mut term: impl FnMut(SampleTerm),
) {
    for (point, xy) in grid.chunks(2).enumerate() {
        let (r, pixel) = (point / (h * w), point % (h * w));
        for ty in taps(padding, xy[1], hs) {
            for tx in taps(padding, xy[0], ws) {
                let (Some(py), Some(px)) = (ty.pixel, tx.pixel) else { continue };
                for channel in 0..c {
                    term(SampleTerm {
                        image: ((row(r) * c + channel) * hs + py) * ws + px,
                        grid: 2 * point,
                        y: (r * c + channel) * h * w + pixel,
                        weight: ty.weight * tx.weight,
                        slope_x: ty.weight * tx.slope,
                        slope_y: ty.slope * tx.weight,
                    });
                }
            }
        }
    }
}

/// A term factor (x - t)^2 of distance number `row`; `out` is the position in [R,n].
struct DistanceTerm {
    row: usize,
    x: usize,
    t: usize,
    out: usize,
    factor: f64,
}

fn distance_terms(
    args: &Args,
    rows: Rows,
    weights: Option<usize>,
    [b, per_image]: [usize; 2],
    mut term: impl FnMut(DistanceTerm),
) {
    let s = args.call.inputs[1].shape.rows(3);
    let n = args.real(0).len() / b;
    for row in 0..b * per_image {
        let (image, partner) = (row / per_image, args.row(rows, row, s));
        for i in 0..n {
            let factor = weights.map_or(1.0, |w| args.real(w)[i]) / n as f64;
            term(DistanceTerm { row, x: image * n + i, t: partner * n + i, out: row * n + i, factor });
        }
    }
}
