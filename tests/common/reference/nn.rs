//! Convolution, normalisation, pooling and linear layers of the reference.

use super::{Args, Data};
use proteus::tape::{ConvSpec, Extreme, Op, Rows};

pub fn evaluate(args: &Args) -> Option<Vec<Data>> {
    let outputs = match args.call.op {
        Op::Conv2d(spec) => {
            let mut y = args.zeros(0);
            let (x, w) = (args.real(0), args.real(1));
            conv_terms(spec, args.dims(0), args.dims(1), args.out_dims(0), |xi, wi, yi| y[yi] += x[xi] * w[wi]);
            vec![y]
        }
        Op::Conv2dGradInput(spec) => {
            let mut dx = args.zeros(0);
            let (dy, w) = (args.real(0), args.real(1));
            conv_terms(spec, args.out_dims(0), args.dims(1), args.dims(0), |xi, wi, yi| dx[xi] += dy[yi] * w[wi]);
            vec![dx]
        }
        Op::Conv2dGradWeight(spec) => {
            let mut dw = args.zeros(0);
            let (x, dy) = (args.real(0), args.real(1));
            conv_terms(spec, args.dims(0), args.out_dims(0), args.dims(1), |xi, wi, yi| dw[wi] += dy[yi] * x[xi]);
            vec![dw]
        }
        Op::BatchNormStats => {
            let dims: [usize; 4] = args.dims(0);
            let n = per_channel(dims);
            let mut mean = args.zeros(0);
            each(dims, |at, c| mean[c] += args.real(0)[at] / n);
            let mut variance = args.zeros(1);
            each(dims, |at, c| variance[c] += (args.real(0)[at] - mean[c]).powi(2) / n);
            vec![mean, variance]
        }
        Op::RunningStats { momentum, count } => {
            let (m, n) = (f64::from(momentum), count as f64);
            let factors = [1.0, n / (n - 1.0)];
            let moved = |i: usize| {
                let pairs = args.old[i].real().iter().zip(args.real(i));
                pairs.map(|(r, s)| (1.0 - m) * r + m * s * factors[i]).collect()
            };
            vec![moved(0), moved(1)]
        }
        Op::BatchNorm { eps, .. } => {
            let [x, mean, variance, gamma, beta] = [0, 1, 2, 3, 4].map(|i| args.real(i));
            let mut y = args.zeros(0);
            each(args.dims(0), |at, c| {
                y[at] = gamma[c] * (x[at] - mean[c]) / (variance[c] + f64::from(eps)).sqrt() + beta[c];
            });
            vec![y]
        }
        Op::BatchNormGradParams { eps } => {
            let [x, dy, mean, variance] = [0, 1, 2, 3].map(|i| args.real(i));
            let (mut dgamma, mut dbeta) = (args.zeros(0), args.zeros(1));
            each(args.dims(0), |at, c| {
                dgamma[c] += dy[at] * (x[at] - mean[c]) / (variance[c] + f64::from(eps)).sqrt();
                dbeta[c] += dy[at];
            });
            vec![dgamma, dbeta]
        }
        Op::BatchNormGradInput { eps, batch_stats } => {
            let [x, dy, mean, variance, gamma, dgamma, dbeta] = [0, 1, 2, 3, 4, 5, 6].map(|i| args.real(i));
            let n = per_channel(args.dims(0));
            let mut dx = args.zeros(0);
            each(args.dims(0), |at, c| {
                let inv_std = 1.0 / (variance[c] + f64::from(eps)).sqrt();
                let xhat = (x[at] - mean[c]) * inv_std;
                let through_stats = if batch_stats { dbeta[c] / n + xhat * dgamma[c] / n } else { 0.0 };
                dx[at] = gamma[c] * inv_std * (dy[at] - through_stats);
            });
            vec![dx]
        }
        Op::Shortcut { stride } => {
            let mut y = args.zeros(0);
            shortcut_terms(stride, args.dims(0), args.out_dims(0), |xi, yi| y[yi] = args.real(0)[xi]);
            vec![y]
        }
        Op::ShortcutGrad { stride } => {
            let mut dx = args.zeros(0);
            shortcut_terms(stride, args.out_dims(0), args.dims(0), |xi, yi| dx[xi] = args.real(0)[yi]);
            vec![dx]
        }
        Op::Pool { kind, window, spec } => {
            let (x, sign) = (args.real(0), if kind == Extreme::Max { 1.0 } else { -1.0 });
            let mut y = vec![f64::NEG_INFINITY; args.out_len(0)];
            window_terms(spec, window, args.dims(0), args.out_dims(0), |xi, yi| y[yi] = y[yi].max(sign * x[xi]));
            vec![y.into_iter().map(|y| sign * y).collect()]
        }
        Op::PoolGrad { window, spec } => {
            let [x, y, dy] = [0, 1, 2].map(|i| args.real(i));
            let (mut dx, mut given) = (args.zeros(0), vec![false; dy.len()]);
            window_terms(spec, window, args.dims(0), args.dims(1), |xi, yi| {
                if x[xi] == y[yi] && !given[yi] {
                    dx[xi] += dy[yi];
                    given[yi] = true;
                }
            });
            vec![dx]
        }
        Op::GlobalAvgPool => {
            let [_, _, h, w] = args.dims(0);
            vec![args.real(0).chunks(h * w).map(|pixels| pixels.iter().sum::<f64>() / (h * w) as f64).collect()]
        }
        Op::GlobalAvgPoolGrad => {
            let [_, _, h, w] = args.out_dims(0);
            vec![args.real(0).iter().flat_map(|dy| vec![dy / (h * w) as f64; h * w]).collect()]
        }
        Op::Linear(rows) => {
            let (x, w, b) = (args.real(0), args.real(1), args.real(2));
            let mut y = args.zeros(0);
            linear_terms(args, rows, args.dims(1), args.out_len(0), |yi, bi, i, xi, wi| {
                y[yi] += x[xi] * w[wi] + if i == 0 { b[bi] } else { 0.0 };
            });
            vec![y]
        }
        Op::LinearGradInput(rows) => {
            let (dy, w) = (args.real(0), args.real(1));
            let mut dx = args.zeros(0);
            linear_terms(args, rows, args.dims(1), dy.len(), |yi, _, _, xi, wi| dx[xi] += dy[yi] * w[wi]);
            vec![dx]
        }
        Op::LinearGradWeight(rows) => {
            let (x, dy) = (args.real(0), args.real(1));
            let (mut dw, mut db) = (args.zeros(0), args.zeros(1));
            linear_terms(args, rows, args.out_dims(0), dy.len(), |yi, bi, i, xi, wi| {
                dw[wi] += dy[yi] * x[xi];
                db[bi] += if i == 0 { dy[yi] } else { 0.0 };
            });
            vec![dw, db]
        }
        _ => return None,
    };
    Some(outputs.into_iter().map(Data::Real).collect())
}

/// Calls `term(x, w, y)` with the positions of every product x w that is a term of y.
fn conv_terms(
    spec: ConvSpec,
    [b, ci, h, w]: [usize; 4],
    [co, _, kh, kw]: [usize; 4],
    [_, _, oh, ow]: [usize; 4],
    mut term: impl FnMut(usize, usize, usize),
) {
    for (n, o, i) in triples(b, co, ci) {
        for (oy, ox, ky) in triples(oh, ow, kh) {
            for kx in 0..kw {
                let (y, x) = (oy * spec.stride + ky, ox * spec.stride + kx);
                if y < spec.pad || x < spec.pad || y >= h + spec.pad || x >= w + spec.pad {
                    continue;
                }
                let xi = ((n * ci + i) * h + y - spec.pad) * w + x - spec.pad;
                term(xi, ((o * ci + i) * kh + ky) * kw + kx, ((n * co + o) * oh + oy) * ow + ox);
            }
        }
    }
}

/// Calls `term(y, b, i, x, w)` for every product, i being the position along the input.
fn linear_terms(
    args: &Args,
    rows: Rows,
    [s, o, i]: [usize; 3],
    y_len: usize,
    mut term: impl FnMut(usize, usize, usize, usize, usize),
) {
    for (r, out, inp) in triples(y_len / o, o, i) {
        let row = args.row(rows, r, s);
        term(r * o + out, row * o + out, inp, r * i + inp, (row * o + out) * i + inp);
    }
}

/// Calls `term(x, y)` with the positions of every element that the shortcut copies.
fn shortcut_terms(
    stride: usize,
    [b, c, h, w]: [usize; 4],
    [_, c2, oh, ow]: [usize; 4],
    mut term: impl FnMut(usize, usize),
) {
    for (n, ch, oy) in triples(b, c, oh) {
        for ox in 0..ow {
            let y = ((n * c2 + ch + (c2 - c) / 2) * oh + oy) * ow + ox;
            term(((n * c + ch) * h + oy * stride) * w + ox * stride, y);
        }
    }
}

/// Calls `term(x, y)` with the positions of every pixel x of every window y, each window line by line.
fn window_terms(
    spec: ConvSpec,
    window: usize,
    [b, c, h, w]: [usize; 4],
    [_, _, oh, ow]: [usize; 4],
    mut term: impl FnMut(usize, usize),
) {
    for (plane, oy, ox) in triples(b * c, oh, ow) {
        for (ky, kx) in (0..window).flat_map(|ky| (0..window).map(move |kx| (ky, kx))) {
            let (y, x) = (oy * spec.stride + ky, ox * spec.stride + kx);
            if y >= spec.pad && x >= spec.pad && y < h + spec.pad && x < w + spec.pad {
                term((plane * h + y - spec.pad) * w + x - spec.pad, (plane * oh + oy) * ow + ox);
            }
        }
    }
}

/// Calls `f(position, channel)` for every element.
fn each([b, c, h, w]: [usize; 4], mut f: impl FnMut(usize, usize)) {
    for (n, ch, p) in triples(b, c, h * w) {
        f((n * c + ch) * h * w + p, ch);
    }
}

fn per_channel([b, _, h, w]: [usize; 4]) -> f64 {
    (b * h * w) as f64
}

fn triples(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}
