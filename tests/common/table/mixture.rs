//! Normal densities, mixing proportions and the cost that EM minimises.

use super::Case;
use super::rows::index;
use proteus::tape::{Arena, Rows};

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    densities(&mut all);
    proportions(&mut all);
    all
}

fn densities(all: &mut Vec<Case>) {
    use Rows::{Each, Own, Selected};
    let modes = [(Own, Own), (Own, Each), (Own, Selected), (Each, Own), (Each, Each), (Selected, Own)];
    let modes = modes.into_iter().chain([(Selected, Selected)]);
    let items = [[1, 1, 1], [1, 7, 7], [3, 13, 5], [1, 28, 28], [2, 27, 23]];
    for (case, (mean, deviation)) in modes.enumerate() {
        for (i, [c, h, w]) in items.into_iter().enumerate() {
            for weighted in [false, true] {
                let b_count = [5, 3, 1, 3][(i + case) % 4];
                let k = [3, 1, 10, 5][(i + 2 * case) % 4];
                // A selection takes one row for each image.
                let selected = [mean, deviation].contains(&Selected);
                let r = if selected { b_count } else { b_count * k };
                let [s, t] = [mean, deviation].map(|rows| if rows == Own { r } else { k });
                let name = format!(
                    "neg_log_normal {mean:?} {deviation:?} B {b_count} S {s} T {t} [{c}, {h}, {w}] weighted {weighted}"
                );
                all.push(Case::new(name, move |b| {
                    let (x, mu) = (b.normal([b_count, c, h, w]), b.normal([s, c, h, w]));
                    let sigma = b.normal([t, c, h, w]);
                    let weights: Vec<f32> = (0..c * h * w).map(|_| b.rng.uniform(0.0, 2.0)).collect();
                    let weights = weighted.then(|| b.real_in(Arena::Constants, [c * h * w], &weights));
                    let rows = if selected { Selected } else { Own };
                    let index = index(b, rows, r, k);
                    b.wrt(mu);
                    b.wrt(sigma);
                    let d = b.tape.neg_log_normal(x, (mu, mean), (sigma, deviation), weights, index, 0.25);
                    b.out("d", d);
                }));
            }
        }
    }
    all.push(Case::new("neg_log_normal Selected Selected of two rows an image", |b| {
        let (x, mu, sigma) = (b.normal([3, 1, 7, 5]), b.normal([4, 1, 7, 5]), b.normal([5, 1, 7, 5]));
        let index = index(b, Selected, 6, 4);
        b.wrt(mu);
        b.wrt(sigma);
        let d = b.tape.neg_log_normal(x, (mu, Selected), (sigma, Selected), None, index, 0.25);
        b.out("d", d);
    }));
    all.push(Case::new("neg_log_normal Own Each of means in two dimensions", |b| {
        let (x, mu, sigma) = (b.normal([3, 1, 7, 5]), b.normal([3, 4, 1, 7, 5]), b.normal([4, 1, 7, 5]));
        b.wrt(mu);
        b.wrt(sigma);
        let d = b.tape.neg_log_normal(x, (mu, Own), (sigma, Each), None, None, 0.25);
        b.out("d", d);
    }));
    // One tensor as both: its gradient is the sum of the two.
    all.push(Case::new("neg_log_normal with means that are their own deviations", |b| {
        let (x, mu) = (b.normal([3, 2, 5, 3]), b.normal([4, 2, 5, 3]));
        b.wrt(mu);
        let d = b.tape.neg_log_normal(x, (mu, Each), (mu, Each), None, None, 0.25);
        b.out("d", d);
    }));
    // Images of thousands of pixels in [0, 1], as a mixture has them: sums must not lose digits.
    all.push(
        Case::new("neg_log_normal of large images", |b| {
            let [x, mu] = [3, 2].map(|n| b.draw([n, 3, 128, 127], |rng| rng.uniform(0.0, 1.0)));
            let sigma = b.draw([2, 3, 128, 127], |rng| rng.uniform(0.3, 0.7));
            let d = b.tape.neg_log_normal(x, (mu, Each), (sigma, Each), None, None, 1e-4);
            b.out("d", d);
        })
        .tolerance(1e-12, 1e-6, "reference vectors ask for 3e-6"),
    );
    all.push(
        Case::new("neg_log_normal of deviations from far below the floor to huge", |b| {
            let (x, mu) = (b.normal([2, 1, 7, 7]), b.normal([1, 1, 7, 7]));
            let sigma = b.draw([1, 1, 7, 7], |rng| (9.0 * rng.normal()).exp());
            b.wrt(mu);
            b.wrt(sigma);
            let d = b.tape.neg_log_normal(x, (mu, Each), (sigma, Each), None, None, 1e-2);
            b.out("d", d);
        })
        .no_differences("gradients of 1e-8 beside 1e2 leave no digits for a difference"),
    );
}

fn proportions(all: &mut Vec<Case>) {
    for [r, k] in [[1, 2], [5, 3], [1, 10], [3, 17], [130, 10], [2, 300]] {
        all.push(Case::new(format!("log_softmax [{r}, {k}]"), move |b| {
            let x = b.draw([r, k], |rng| 2.0 * rng.normal());
            b.wrt(x);
            let y = b.tape.log_softmax(x);
            b.out("y", y);
        }));
    }
    all.push(Case::new("log_softmax of one dimension", |b| {
        let x = b.normal([7]);
        b.wrt(x);
        let y = b.tape.log_softmax(x);
        b.out("y", y);
    }));
    all.push(Case::new("log_softmax of extreme values", |b| {
        let x = b.real([3, 3], &[1e4, 1e4, -1e4, 3e38, 0.0, 1.0, -300.0, -301.0, -302.0]);
        let y = b.tape.log_softmax(x);
        b.out("y", y);
    }));
    for [b_count, k] in [[1, 1], [5, 3], [1, 10], [3, 17], [130, 10], [2, 300]] {
        all.push(Case::new(format!("responsibilities [{b_count}, {k}]"), move |b| {
            let d = b.draw([b_count, k], |rng| 1e3 + 3.0 * rng.normal());
            let log_pi = b.normal([k]);
            let gamma = b.tape.responsibilities(d, log_pi);
            b.out("gamma", gamma);
        }));
        all.push(Case::new(format!("expected_cost [{b_count}, {k}]"), move |b| {
            let gamma = b.draw([b_count, k], |rng| rng.uniform(0.0, 1.0));
            let (d, log_pi) = (b.normal([b_count, k]), b.normal([k]));
            b.wrt(d);
            b.wrt(log_pi);
            let q = b.tape.expected_cost(gamma, d, log_pi);
            b.out("q", q);
        }));
    }
    all.push(Case::new("responsibilities of distances far apart and of equal ones", |b| {
        let d = b.real([4, 3], &[0.0, 1e4, 1e30, -1e5, -1e5, -1e5, 3e3, 3e3, 4e3, 1e3, 1.1e3, 1.2e3]);
        let log_pi = b.real([3], &[-0.7, -1.2, -90.0]);
        let gamma = b.tape.responsibilities(d, log_pi);
        b.out("gamma", gamma);
    }));
    all.push(
        Case::new("responsibilities in an expected cost", |b| {
            let (d, weights) = (b.normal([7, 5]), b.normal([5]));
            b.wrt(d);
            b.wrt(weights);
            let log_pi = b.tape.log_softmax(weights);
            let gamma = b.tape.responsibilities(d, log_pi);
            let q = b.tape.expected_cost(gamma, d, log_pi);
            b.out("q", q);
        })
        .no_differences("responsibilities count as constants"),
    );
}
