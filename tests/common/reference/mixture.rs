//! Normal densities, mixing proportions and the expected cost of the reference.

use super::{Args, Data};
use proteus::tape::{Op, Rows};

pub fn evaluate(args: &Args) -> Option<Vec<Data>> {
    let one = |x: Vec<f64>| vec![Data::Real(x)];
    Some(match args.call.op {
        Op::NegLogNormal { mean, deviation, weighted, min_variance } => {
            let n = args.dims::<3>(0).iter().product::<usize>() as f64;
            let mut d = vec![n / 2.0 * std::f64::consts::TAU.ln(); args.out_len(0)];
            normal_terms(args, [mean, deviation], weighted.then_some(3), args.out_dims(0), |t| {
                let v = t.sigma * t.sigma + f64::from(min_variance);
                d[t.row] += t.weight * ((t.x - t.mu).powi(2) / v + v.ln()) / 2.0;
            });
            one(d)
        }
        Op::NegLogNormalGradMean { mean, deviation, weighted, min_variance } => {
            let (dd, mut dmu) = (args.real(3), args.zeros(0));
            normal_terms(args, [mean, deviation], weighted.then_some(4), args.dims(3), |t| {
                let v = t.sigma * t.sigma + f64::from(min_variance);
                dmu[t.out] = t.weight * (t.mu - t.x) / v * dd[t.row];
            });
            one(dmu)
        }
        Op::NegLogNormalGradDeviation { mean, deviation, weighted, min_variance } => {
            let (dd, mut dsigma) = (args.real(3), args.zeros(0));
            normal_terms(args, [mean, deviation], weighted.then_some(4), args.dims(3), |t| {
                let v = t.sigma * t.sigma + f64::from(min_variance);
                dsigma[t.out] = t.weight * t.sigma * (1.0 / v - (t.x - t.mu).powi(2) / v.powi(2)) * dd[t.row];
            });
            one(dsigma)
        }
        Op::LogSoftmax => {
            let [k] = args.dims(0);
            let log_sum = |x: &[f64]| {
                let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                largest + x.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
            };
            one(args.real(0).chunks(k).flat_map(|x| x.iter().map(move |v| v - log_sum(x))).collect())
        }
        Op::LogSoftmaxGrad => {
            let [k] = args.dims(0);
            let rows = args.real(0).chunks(k).zip(args.real(1).chunks(k));
            let row = |(y, dy): (&[f64], &[f64])| -> Vec<f64> {
                let sum: f64 = dy.iter().sum();
                y.iter().zip(dy).map(|(y, dy)| dy - y.exp() * sum).collect()
            };
            one(rows.flat_map(row).collect())
        }
        Op::Responsibilities => {
            let [k] = args.dims(1);
            let row = |d: &[f64]| -> Vec<f64> {
                let scores: Vec<f64> = args.real(1).iter().zip(d).map(|(log_pi, d)| log_pi - d).collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let parts: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
                parts.iter().map(|p| p / parts.iter().sum::<f64>()).collect()
            };
            one(args.real(0).chunks(k).flat_map(row).collect())
        }
        Op::ExpectedCost => {
            let ([k], mut q) = (args.dims(2), args.zeros(0));
            for (at, gamma) in args.real(0).iter().enumerate() {
                q[at / k] += gamma * (args.real(1)[at] - args.real(2)[at % k]);
            }
            one(q)
        }
        Op::ExpectedCostGradDistance => {
            let [k] = args.dims(0);
            one(args.real(0).iter().enumerate().map(|(at, gamma)| gamma * args.real(1)[at / k]).collect())
        }
        Op::ExpectedCostGradMixing => {
            let ([k], mut dlog_pi) = (args.dims(0), args.zeros(0));
            for (at, gamma) in args.real(0).iter().enumerate() {
                dlog_pi[at % k] -= gamma * args.real(1)[at / k];
            }
            one(dlog_pi)
        }
        _ => return None,
    })
}

/// One pixel of density number `row`; `out` is the position in [R,n].
struct NormalTerm {
    row: usize,
    out: usize,
    x: f64,
    mu: f64,
    sigma: f64,
    weight: f64,
}

fn normal_terms(
    args: &Args,
    [mean, deviation]: [Rows; 2],
    weights: Option<usize>,
    [b, per_image]: [usize; 2],
    mut term: impl FnMut(NormalTerm),
) {
    let [s, t] = [1, 2].map(|i| args.call.inputs[i].shape.rows(3));
    let n = args.real(0).len() / b;
    for row in 0..b * per_image {
        let (mean, deviation) = (args.row(mean, row, s), args.row(deviation, row, t));
        for i in 0..n {
            let (x, mu) = (args.real(0)[row / per_image * n + i], args.real(1)[mean * n + i]);
            let weight = weights.map_or(1.0, |w| args.real(w)[i]);
            term(NormalTerm { row, out: row * n + i, x, mu, sigma: args.real(2)[deviation * n + i], weight });
        }
    }
}
