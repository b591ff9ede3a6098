//! Bookkeeping, and whole programs: reuse of memory, aliases, training steps.

use super::Case;
use crate::common::builder::Builder;
use proteus::tape::{AdamSpec, Arena, ConvSpec, Padding, Rows, Var};

const ADAM: AdamSpec = AdamSpec { beta1: 0.9, beta2: 0.99, eps: 1e-6, weight_decay: 1e-2 };

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (item, n, batch, first) in
        [([1, 1, 1], 3, 1, 0), ([1, 7, 7], 9, 5, 2), ([3, 5, 9], 7, 3, 4), ([1, 28, 28], 6, 6, 0)]
    {
        all.push(Case::new(format!("gather_images {item:?}, {batch} of {n} from {first}"), move |b| {
            let data = b.images([n, item[0], item[1], item[2]]);
            let (order, clock) = (b.indices(n, n), b.clock(first, 3));
            let x = b.tape.gather_images(data, order, clock, batch);
            b.out("x", x);
        }));
    }
    for n in [1, 65, 1000] {
        all.push(
            Case::new(format!("copy {n}"), move |b| {
                let (x, at) = (b.normal([n]), b.indices(n, 1 << 31));
                let (y, labels) = (b.state([n]), b.results([n], &vec![5; n]));
                for (from, to) in [(x, y), (at, labels)] {
                    let id = b.id(to);
                    b.tape.store(from, &b.store, id);
                }
            })
            .exact(),
        );
        all.push(Case::new(format!("adam {n}"), move |b| {
            let p = b.normal([n]);
            let g = b.twin(p, Arena::Gradients, |rng| rng.normal());
            let m = b.twin(p, Arena::Moment1, |rng| 0.1 * rng.normal());
            let v = b.twin(p, Arena::Moment2, |rng| rng.uniform(0.0, 0.5));
            let schedule: Vec<f32> = (0..12).map(|_| b.rng.uniform(0.01, 1.5)).collect();
            let schedule = b.real_in(Arena::State, [3, 2, 2], &schedule);
            let clock = b.clock(7, 2);
            b.tape.adam((p, m, v), g, schedule, clock, 1, ADAM);
        }));
    }
    all.push(Case::new("adam of groups side by side", |b| {
        let schedule: Vec<f32> = (0..2 * 5 * 2).map(|_| b.rng.uniform(0.01, 1.5)).collect();
        let (schedule, clock) = (b.real_in(Arena::State, [2, 5, 2], &schedule), b.clock(7, 1));
        let groups: Vec<Var> = [300, 1, 77, 530].into_iter().map(|n| b.normal([n])).collect();
        let mut tensors = Vec::new();
        for &p in &groups {
            let g = b.twin(p, Arena::Gradients, |rng| rng.normal());
            let m = b.twin(p, Arena::Moment1, |rng| 0.1 * rng.normal());
            tensors.push((p, g, m, b.twin(p, Arena::Moment2, |rng| rng.uniform(0.0, 0.5))));
        }
        for (group, (p, g, m, v)) in tensors.into_iter().enumerate() {
            let weight_decay = if group % 2 == 0 { 0.0 } else { 0.5 };
            b.tape.adam((p, m, v), g, schedule, clock, 1 + group, AdamSpec { weight_decay, ..ADAM });
        }
    }));
    all.push(Case::new("adam without gradient, moments or decay", |b| {
        let p = b.normal([70]);
        let [g, m, v] = [Arena::Gradients, Arena::Moment1, Arena::Moment2].map(|a| b.twin(p, a, |_| 0.0));
        let (schedule, clock) = (b.real_in(Arena::State, [1, 1, 2], &[1e-3, 1.0]), b.clock(0, 0));
        b.tape.adam((p, m, v), g, schedule, clock, 0, AdamSpec { eps: 1e-8, weight_decay: 0.0, ..ADAM });
    }));
    all.push(
        Case::new("record, three steps", |b| {
            let (x, clock, history) = (b.normal([1]), b.clock(0, 2), b.state([7]));
            b.tape.record(x, clock, history);
            b.tape.advance(clock, 5);
        })
        .exact()
        .times(3),
    );
    for [batch, width, n] in [[1, 1, 4], [3, 10, 17], [5, 7, 15]] {
        all.push(
            Case::new(format!("store_rows {batch} of {n}, width {width}"), move |b| {
                let (x, at) = (b.normal([batch, width]), b.indices(batch, 10));
                // Rows are left before and behind.
                let clock = b.clock((n - 2 * batch) as u32 / 2, 0);
                let (distances, labels) = (b.state([n, width]), b.results([n], &vec![77; n]));
                b.tape.store_rows(x, clock, distances);
                b.tape.store_rows(at, clock, labels);
                b.tape.advance(clock, batch);
            })
            .exact()
            .times(2),
        );
    }
    for [n, k] in [[1, 1], [130, 10], [1000, 3], [5, 300]] {
        all.push(
            Case::new(format!("count {n} among {k}"), move |b| {
                let (index, start) = (b.indices(n, k), (0..k as u32).collect::<Vec<_>>());
                let counts = b.results([k], &start);
                b.tape.count(index, counts);
            })
            .exact()
            .times(2),
        );
    }
    all.push(Case::new("results stored in persistent tensors", |b| {
        let x = b.normal([5, 7]);
        let y = b.tape.relu(x);
        let (first, second) = (b.state([35]), b.state([7, 5]));
        let z = b.tape.add(y, x);
        for to in [first, second] {
            let id = b.id(to);
            b.tape.store(if to == first { y } else { z }, &b.store, id);
        }
        b.out("y", y);
    }));
    all.push(Case::new("reshape: one tensor under three shapes", aliases));
    all.push(Case::new("reshape: one result as two feature maps", |b| {
        let (x, y) = (b.normal([12, 6]), b.normal([12, 6]));
        b.wrt(x);
        let sum = b.tape.add(x, y);
        for map in [[3, 4, 2, 3], [3, 2, 4, 3]] {
            let map = b.tape.reshape(sum, map);
            let mean = b.tape.global_avg_pool(map);
            b.out("mean", mean);
        }
    }));
    all.push(Case::new("a chain that reuses memory", chain));
    all.push(
        Case::new("residual blocks and a head", encoder).no_differences("hundreds of ReLUs, some near their kinks"),
    );
    all.push(Case::new("residual block, small", |b| {
        let x = b.normal([2, 3, 5, 5]);
        b.wrt(x);
        let y = block(b, x, 3, 5, 2);
        let y = b.tape.global_avg_pool(y);
        b.out("y", y);
    }));
    all.push(Case::new("training, all prototypes", |b| step(b, Rows::Own)).times(3));
    all.push(Case::new("training, the winner only", |b| step(b, Rows::Selected)).times(3));
    all
}

/// Every operation reads an alias of what another wrote, and the original is read afterwards.
fn aliases(b: &mut Builder) {
    let (x, w) = (b.normal([3, 4, 6]), b.normal([1, 5, 6]));
    let bias = b.normal([1, 5]);
    for v in [x, w, bias] {
        b.wrt(v);
    }
    let map = b.tape.reshape(x, [3, 4, 2, 3]);
    let pooled = b.tape.global_avg_pool(map);
    let flat = b.tape.reshape(x, [12, 6]);
    let y = b.tape.linear(flat, w, bias, Rows::Each, None);
    let wide = b.tape.reshape(y, [3, 20]);
    let sum = b.tape.sum(wide, 0.5);
    let back = b.tape.reshape(wide, [12, 5]);
    let doubled = b.tape.add(y, back);
    for (name, v) in [("pooled", pooled), ("sum", sum), ("doubled", doubled), ("wide", wide)] {
        b.out(name, v);
    }
}

/// Tensors of changing sizes with short lives beside one that lives to the end.
fn chain(b: &mut Builder) {
    let x = b.normal([2, 3, 8, 8]);
    b.wrt(x);
    let early = b.tape.sum(x, 0.01);
    let mut y = x;
    for (channels, stride) in [(7, 1), (9, 2), (11, 1), (13, 2), (17, 1)] {
        y = b.tape.shortcut(y, channels, stride);
        y = b.tape.add(y, y);
    }
    let pooled = b.tape.global_avg_pool(y);
    b.out("y", y);
    b.out("pooled", pooled);
    b.out("early", early);
}

/// conv - norm - relu - conv - norm, plus the shortcut, relu.
fn block(b: &mut Builder, x: Var, from: usize, to: usize, stride: usize) -> Var {
    let mut y = x;
    for (i, (ci, stride)) in [(from, stride), (to, 1)].into_iter().enumerate() {
        let w = b.draw([to, ci, 3, 3], |rng| 0.3 * rng.normal());
        let (gamma, beta) = (b.draw([to], |rng| rng.uniform(0.5, 1.5)), b.normal([to]));
        for v in [w, gamma, beta] {
            b.wrt(v);
        }
        y = b.tape.conv2d(y, w, ConvSpec { stride, pad: 1 });
        let stats = b.tape.batch_norm_stats(y);
        let count = b.tape.shape(y).len() / to;
        let running = (b.state([to]), b.state([to]));
        b.tape.running_stats(stats, running, 0.1, count);
        y = b.tape.batch_norm(y, stats, gamma, beta, 1e-5, true);
        if i == 0 {
            y = b.tape.relu(y);
        }
    }
    let short = b.tape.shortcut(x, to, stride);
    let sum = b.tape.add(y, short);
    b.tape.relu(sum)
}

fn encoder(b: &mut Builder) {
    let x = b.normal([3, 4, 12, 12]);
    let mut y = x;
    for (from, to, stride) in [(4, 4, 1), (4, 8, 2), (8, 16, 2)] {
        y = block(b, y, from, to, stride);
    }
    let features = b.tape.global_avg_pool(y);
    let (w, bias) = (b.draw([1, 6, 16], |rng| 0.1 * rng.normal()), b.normal([1, 6]));
    b.wrt(w);
    b.wrt(bias);
    let heads = b.tape.linear(features, w, bias, Rows::Each, None);
    b.out("heads", heads);
}

/// A whole training step of prototypes with affine heads. `Rows::Own` warps all prototypes for every image,
/// `Rows::Selected` finds the nearest first and warps that one alone.
fn step(b: &mut Builder, rows: Rows) {
    let (n, batch, k, item) = (13, 4, 3, [2, 6, 5]);
    let [c, h, w] = item;
    let data = b.images([n, c, h, w]);
    let order: Vec<u32> = (0..n as u32).map(|i| i * 5 % 13).collect();
    let (order, clock) = (b.index([n], &order), b.clock(0, 0));
    let prototypes = b.draw([k, c, h, w], |rng| rng.uniform(0.2, 0.8));
    let weight = b.draw([k, 6, c], |rng| 0.1 * rng.normal());
    let bias = b.draw([k, 6], |rng| 0.1 * rng.normal());

    let x = b.tape.gather_images(data, order, clock, batch);
    let features = b.tape.global_avg_pool(x);
    let loss = if rows == Rows::Own {
        // Heads of all prototypes: the weights seen as one layer of 6 k outputs.
        let (all_w, all_b) = (b.tape.reshape(weight, [1, k * 6, c]), b.tape.reshape(bias, [1, k * 6]));
        let betas = b.tape.linear(features, all_w, all_b, Rows::Each, None);
        let betas = b.tape.reshape(betas, [batch, k, 6]);
        let grid = b.tape.affine_grid(betas, h, w);
        let warped = b.tape.grid_sample(prototypes, grid, Padding::Border, Rows::Each, None);
        let d = b.tape.squared_distance(x, warped, None, Rows::Own, None);
        let (m, at) = b.tape.min_row(d);
        let distances = b.state([n, k]);
        b.tape.store_rows(d, clock, distances);
        finish(b, at, clock, n, k);
        b.tape.mean(m)
    } else {
        let d = b.tape.squared_distance(x, prototypes, None, Rows::Each, None);
        let (_, at) = b.tape.min_row(d);
        let betas = b.tape.linear(features, weight, bias, Rows::Selected, Some(at));
        let grid = b.tape.affine_grid(betas, h, w);
        let warped = b.tape.grid_sample(prototypes, grid, Padding::Zeros, Rows::Selected, Some(at));
        let d = b.tape.squared_distance(x, warped, None, Rows::Own, None);
        finish(b, at, clock, n, k);
        b.tape.mean(d)
    };
    let parameters = [prototypes, weight, bias];
    let gradients = b.tape.gradients(loss, &parameters).expect("a training step is differentiable");
    let schedule: Vec<f32> = (1..=4).flat_map(|t| [1e-2 / (1.0 - 0.9f32.powi(t)), 1.0]).collect();
    let (schedule, history) = (b.real_in(Arena::State, [4, 1, 2], &schedule), b.state([5]));
    for (p, gradient) in parameters.into_iter().zip(gradients) {
        let g = b.twin(p, Arena::Gradients, |rng| rng.normal());
        let id = b.twin_id(p, Arena::Gradients);
        b.tape.store(gradient.expect("the loss depends on all"), &b.store, id);
        let [m, v] = [Arena::Moment1, Arena::Moment2].map(|a| b.twin(p, a, |_| 0.0));
        b.tape.adam((p, m, v), g, schedule, clock, 0, ADAM);
    }
    b.tape.record(loss, clock, history);
    b.tape.advance(clock, batch);
    b.out("loss", loss);
}

/// Notes the assignments of a step.
fn finish(b: &mut Builder, at: Var, clock: Var, n: usize, k: usize) {
    let (labels, counts) = (b.results([n], &vec![99; n]), b.results([k], &vec![0; k]));
    b.tape.store_rows(at, clock, labels);
    b.tape.count(at, counts);
}
