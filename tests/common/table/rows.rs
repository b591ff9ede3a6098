//! Operations whose rows find their partners in a shared operand: linear layers, distances, minima.

use super::Case;
use crate::common::builder::Builder;
use proteus::tape::{Rows, Var};

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    linear(&mut all);
    distances(&mut all);
    minima(&mut all);
    all
}

/// An index for `rows` where there is one. Some partners are used by several rows and, where s > 2, some by none.
pub fn index(b: &mut Builder, rows: Rows, r: usize, s: usize) -> Option<Var> {
    let values: Vec<u32> = (0..r).map(|_| b.rng.below(s) / 2 * 2).collect();
    (rows == Rows::Selected).then(|| b.index([r], &values))
}

fn linear(all: &mut Vec<Case>) {
    for (rows, r, s, i, o) in [
        (Rows::Each, 1, 1, 1, 1),
        (Rows::Each, 5, 1, 64, 6),
        (Rows::Each, 3, 1, 17, 33),
        (Rows::Each, 130, 1, 16, 5),
        (Rows::Each, 15, 5, 7, 6),
        (Rows::Each, 12, 3, 64, 16),
        (Rows::Own, 1, 1, 5, 3),
        (Rows::Own, 5, 5, 17, 6),
        (Rows::Own, 3, 3, 64, 32),
        (Rows::Selected, 1, 3, 16, 2),
        (Rows::Selected, 5, 4, 64, 6),
        (Rows::Selected, 33, 10, 17, 5),
        (Rows::Selected, 3, 1, 3, 1),
    ] {
        all.push(Case::new(format!("linear {rows:?} R {r} S {s} I {i} O {o}"), move |b| {
            let (x, w, bias) = (b.normal([r, i]), b.normal([s, o, i]), b.normal([s, o]));
            let index = index(b, rows, r, s);
            for v in [x, w, bias] {
                b.wrt(v);
            }
            let y = b.tape.linear(x, w, bias, rows, index);
            b.out("y", y);
        }));
    }
    all.push(Case::new("linear Each over rows in two dimensions", |b| {
        let (x, w, bias) = (b.normal([4, 3, 7]), b.normal([3, 5, 7]), b.normal([3, 5]));
        for v in [x, w, bias] {
            b.wrt(v);
        }
        let y = b.tape.linear(x, w, bias, Rows::Each, None);
        b.out("y", y);
    }));
    all.push(Case::new("linear layers of different groups on one input, added", |b| {
        let x = b.normal([6, 5]);
        let mut terms = Vec::new();
        for s in [1, 3, 6] {
            let (w, bias) = (b.normal([s, 4, 5]), b.normal([s, 4]));
            b.wrt(w);
            b.wrt(bias);
            terms.push(b.tape.linear(x, w, bias, Rows::Each, None));
        }
        let y = terms.into_iter().reduce(|a, c| b.tape.add(a, c)).expect("three terms");
        b.out("y", y);
    }));
}

fn distances(all: &mut Vec<Case>) {
    let items = [[1, 1, 1], [1, 7, 7], [3, 13, 5], [1, 28, 28]];
    for (case, rows) in [Rows::Own, Rows::Each, Rows::Selected].into_iter().enumerate() {
        for (i, [c, h, w]) in items.into_iter().enumerate() {
            for weighted in [false, true] {
                let b_count = [5, 3, 1, 3][(i + case) % 4];
                let k = [3, 1, 10, 5][(i + 2 * case) % 4];
                let s = if rows == Rows::Own { b_count * k } else { k };
                let name = format!("squared_distance {rows:?} B {b_count} S {s} [{c}, {h}, {w}] weighted {weighted}");
                all.push(Case::new(name, move |b| {
                    let (x, t) = (b.normal([b_count, c, h, w]), b.normal([s, c, h, w]));
                    let weights: Vec<f32> = (0..c * h * w).map(|_| b.rng.uniform(0.0, 2.0)).collect();
                    let weights = weighted.then(|| b.real_in(proteus::tape::Arena::Constants, [c * h * w], &weights));
                    let index = index(b, rows, b_count, s);
                    b.wrt(t);
                    let d = b.tape.squared_distance(x, t, weights, rows, index);
                    b.out("d", d);
                }));
            }
        }
    }
    all.push(Case::new("squared_distance Own of prototypes in two dimensions", |b| {
        let (x, t) = (b.normal([3, 1, 7, 5]), b.normal([3, 4, 1, 7, 5]));
        b.wrt(t);
        let d = b.tape.squared_distance(x, t, None, Rows::Own, None);
        b.out("d", d);
    }));
    all.push(
        Case::new("squared_distance of equal and of far tensors", |b| {
            let values: Vec<f32> = (0..49).map(|_| b.rng.normal()).collect();
            let far: Vec<f32> = values.iter().map(|v| v + 1e4).collect();
            let x = b.real([1, 1, 7, 7], &values);
            let t = b.real([2, 1, 7, 7], &[values, far].concat());
            b.wrt(t);
            let d = b.tape.squared_distance(x, t, None, Rows::Each, None);
            b.out("d", d);
        })
        .no_differences("distances of 1e8 beside 0 leave no digits for a difference"),
    );
}

fn minima(all: &mut Vec<Case>) {
    for [b_count, k] in [[1, 1], [5, 3], [1, 10], [3, 17], [130, 10], [3, 100], [2, 300]] {
        all.push(
            Case::new(format!("min_row [{b_count}, {k}]"), move |b| {
                let d = b.normal([b_count, k]);
                b.wrt(d);
                let (m, at) = b.tape.min_row(d);
                b.out("minimum", m);
                b.out("argmin", at);
            })
            .exact(),
        );
    }
    for k in [2, 10, 65] {
        all.push(
            Case::new(format!("min_row with ties in rows of {k}"), move |b| {
                // Every value occurs several times, in the last row at all places.
                let mut values: Vec<f32> = (0..7 * k).map(|_| b.rng.below(3) as f32 - 1.0).collect();
                values.extend(vec![2.5; k]);
                let d = b.real([8, k], &values);
                b.wrt(d);
                let (m, at) = b.tape.min_row(d);
                b.out("minimum", m);
                b.out("argmin", at);
            })
            .exact()
            .no_differences("the minimum has a kink at a tie"),
        );
    }
    all.push(
        Case::new("min_row of extreme values", |b| {
            let d = b.real([3, 3], &[3e38, 1e30, 2e38, 0.0, -0.0, 1.0, -1e4, -3e38, 1e4]);
            let (m, at) = b.tape.min_row(d);
            b.out("minimum", m);
            b.out("argmin", at);
        })
        .exact(),
    );
}
