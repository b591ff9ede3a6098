//! Elementwise operations, convolution, normalisation, pooling.

use super::Case;
use crate::common::builder::{Builder, Rng};
use proteus::tape::ConvSpec;

/// Shapes with tails: odd sizes, channels beside multiples of 16, single elements.
const MAPS: [[usize; 4]; 6] = [[1, 1, 1, 1], [1, 3, 7, 7], [3, 16, 7, 7], [5, 17, 13, 5], [1, 1, 28, 28], [3, 5, 1, 9]];

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    elementwise(&mut all);
    convolutions(&mut all);
    norms(&mut all);
    pools(&mut all);
    for shape in MAPS {
        for rectified in [false, true] {
            let name = format!("global_avg_pool {shape:?}{}", if rectified { " of a rectified map" } else { "" });
            all.push(Case::new(name, move |b| {
                // Away from the kink of the rectifier.
                let x = b.draw(shape, |rng| {
                    let v = rng.normal();
                    v + 0.1f32.copysign(v)
                });
                b.wrt(x);
                let map = if rectified { b.tape.relu(x) } else { x };
                let y = b.tape.global_avg_pool(map);
                b.out("y", y);
            }));
        }
    }
    for (shape, channels, stride) in [
        ([1, 1, 1, 1], 3, 2),
        ([1, 16, 7, 7], 32, 2),
        ([3, 16, 28, 28], 32, 2),
        ([3, 3, 13, 7], 5, 2),
        ([1, 5, 7, 9], 5, 1),
        ([5, 17, 7, 7], 33, 1),
        ([3, 2, 8, 7], 6, 3),
    ] {
        let name = format!("shortcut {shape:?} to {channels} channels, stride {stride}");
        let build = move |b: &mut Builder| {
            let x = b.normal(shape);
            b.wrt(x);
            let y = b.tape.shortcut(x, channels, stride);
            b.out("y", y);
        };
        all.push(Case::new(name, build).exact());
    }
    all
}

fn away_from_zero(rng: &mut Rng) -> f32 {
    let x = rng.uniform(0.1, 2.0);
    if rng.below(2) == 0 { x } else { -x }
}

fn elementwise(all: &mut Vec<Case>) {
    for n in [1, 63, 257, 5000] {
        all.push(
            Case::new(format!("relu {n}"), move |b| {
                let x = b.draw([n], away_from_zero);
                b.wrt(x);
                let y = b.tape.relu(x);
                b.out("y", y);
            })
            .exact(),
        );
        all.push(
            Case::new(format!("add {n}"), move |b| {
                let (x, y) = (b.normal([n]), b.normal([n]));
                b.wrt(x);
                b.wrt(y);
                let z = b.tape.add(x, y);
                b.out("z", z);
            })
            .exact(),
        );
        all.push(Case::new(format!("multiply_add {n}"), move |b| {
            let x = b.normal([n]);
            let y = b.tape.multiply_add(x, 5);
            b.out("y", y);
        }));
        all.push(Case::new(format!("sum {n}"), move |b| {
            let x = b.normal([n]);
            b.wrt(x);
            let y = b.tape.sum(x, -0.75);
            b.out("y", y);
        }));
    }
    all.push(Case::new("sum of 70001, the mean", |b| {
        let x = b.draw([70001], |rng| rng.uniform(0.0, 1.0));
        b.wrt(x);
        let y = b.tape.mean(x);
        b.out("y", y);
    }));
    all.push(
        Case::new("relu with zeros and large values", |b| {
            let values = [0.0, -0.0, 1e4, -1e4, 1e-30, -1e-30, 3e38, -3e38, 1.0];
            let x = b.real([9], &values);
            let y = b.tape.relu(x);
            b.out("y", y);
        })
        .exact(),
    );
    all.push(
        Case::new("relu_grad at zero", |b| {
            let x = b.real([5], &[0.0, -0.0, 1.0, -1.0, 0.5]);
            b.wrt(x);
            let y = b.tape.relu(x);
            b.out("y", y);
        })
        .no_differences("a kink at zero"),
    );
    all.push(
        Case::new("add of a tensor to itself", |b| {
            let x = b.normal([37]);
            b.wrt(x);
            let y = b.tape.add(x, x);
            b.out("y", y);
        })
        .exact(),
    );
    all.push(
        Case::new("fill", |b| {
            for (i, shape) in [[1, 1], [3, 7], [17, 64]].into_iter().enumerate() {
                let y = b.tape.fill(shape, 0.1 - i as f32);
                b.out("y", y);
            }
        })
        .exact(),
    );
}

/// Why finite differences say nothing about large cases.
const MANY: &str = "the loss has so many terms that their rounding shows in its differences";

fn convolution([n, ci, h, w]: [usize; 4], [co, kh, kw]: [usize; 3], stride: usize, pad: usize) -> Case {
    let name = format!("conv2d [{n}, {ci}, {h}, {w}] to {co} channels, {kh}x{kw}, stride {stride}, pad {pad}");
    Case::new(name, move |b| {
        let (x, weights) = (b.normal([n, ci, h, w]), b.normal([co, ci, kh, kw]));
        b.wrt(x);
        b.wrt(weights);
        let y = b.tape.conv2d(x, weights, ConvSpec { stride, pad });
        b.out("y", y);
    })
}

fn convolutions(all: &mut Vec<Case>) {
    all.extend([
        // Shapes of ResNet-20 at a small batch: stem, the three stages, their entries.
        convolution([3, 1, 28, 28], [16, 3, 3], 1, 1),
        convolution([1, 3, 32, 32], [16, 3, 3], 1, 1),
        convolution([2, 16, 28, 28], [16, 3, 3], 1, 1),
        convolution([3, 16, 28, 28], [32, 3, 3], 2, 1),
        convolution([3, 32, 14, 14], [32, 3, 3], 1, 1),
        convolution([3, 32, 14, 14], [64, 3, 3], 2, 1),
        convolution([5, 64, 7, 7], [64, 3, 3], 1, 1),
        // Tails of channels, pixels and batch.
        convolution([1, 1, 1, 1], [1, 1, 1], 1, 0),
        convolution([1, 1, 7, 7], [1, 1, 1], 1, 0),
        convolution([5, 17, 7, 9], [5, 3, 3], 1, 1),
        convolution([3, 5, 13, 7], [17, 3, 3], 2, 1),
        convolution([1, 3, 13, 13], [33, 3, 3], 1, 1),
        convolution([5, 15, 5, 5], [31, 3, 3], 1, 1),
        // ResNet-18: stem, entries of the stages, their shortcuts, and its smallest maps.
        convolution([2, 3, 32, 32], [64, 7, 7], 2, 3),
        convolution([3, 1, 28, 28], [17, 7, 7], 2, 3),
        convolution([1, 3, 7, 10], [5, 7, 7], 2, 3),
        convolution([2, 64, 7, 7], [128, 3, 3], 2, 1),
        convolution([3, 64, 7, 7], [128, 1, 1], 2, 0),
        convolution([2, 20, 5, 8], [33, 1, 1], 2, 0),
        convolution([3, 128, 1, 1], [256, 1, 1], 2, 0),
        convolution([2, 96, 2, 2], [112, 3, 3], 1, 1),
        convolution([2, 16, 1, 9], [16, 3, 3], 1, 1),
        convolution([3, 16, 9, 1], [32, 3, 3], 1, 1),
        convolution([2, 32, 5, 6], [16, 3, 3], 1, 1),
        convolution([1, 16, 1, 1], [16, 3, 3], 1, 1),
        // Batches and weights beyond the bounds by which weight gradients are split.
        convolution([37, 3, 5, 4], [17, 3, 3], 2, 1),
        convolution([50, 4, 3, 3], [32, 3, 3], 1, 1),
        convolution([14, 130, 1, 1], [272, 3, 3], 1, 1),
        // Strips of tiles of several images in Winograd's algorithm, and weights too large for its gradient.
        convolution([20, 48, 6, 7], [32, 3, 3], 1, 1),
        convolution([2, 96, 4, 5], [112, 3, 3], 1, 1),
        // Rows longer than a workgroup takes.
        convolution([1, 5, 5, 130], [7, 3, 3], 1, 1),
        convolution([1, 5, 5, 126], [7, 3, 3], 2, 1),
        // Other borders where tiles and matrix units could take the map, and rows too long for tiles twice as wide.
        convolution([3, 12, 9, 11], [20, 3, 3], 1, 0),
        convolution([3, 12, 9, 11], [20, 3, 3], 1, 2),
        // Other windows, strides and pads, some of which leave the last pixels unread.
        convolution([3, 16, 14, 14], [32, 1, 1], 2, 0),
        convolution([1, 3, 9, 9], [5, 1, 1], 1, 1),
        convolution([1, 1, 5, 5], [1, 5, 5], 1, 0),
        convolution([3, 3, 13, 7], [17, 5, 5], 2, 2),
        convolution([1, 5, 28, 13], [3, 7, 7], 1, 3),
        convolution([1, 3, 20, 17], [16, 7, 7], 2, 3),
        convolution([3, 2, 8, 8], [3, 3, 3], 2, 0),
        convolution([1, 2, 11, 10], [3, 3, 3], 3, 2),
        convolution([1, 2, 6, 9], [3, 1, 3], 1, 0),
        convolution([1, 3, 8, 5], [2, 5, 3], 2, 2),
        convolution([1, 2, 3, 3], [2, 3, 3], 1, 3),
    ]);
    let large = [
        // Several strips of Winograd's algorithm, which begin and end within images.
        convolution([34, 16, 27, 29], [16, 3, 3], 1, 1),
        // So many blocks of pixels that an invocation takes twice the channels, with tails of channels, rows and columns.
        convolution([16, 9, 57, 54], [9, 3, 3], 1, 1),
        convolution([6, 1, 57, 54], [33, 3, 3], 1, 1),
        convolution([16, 1, 113, 107], [13, 3, 3], 2, 0),
    ];
    // Rows for which a matrix unit has room for half a tile, of channels and then of weights.
    let long = [convolution([1, 9, 3, 380], [17, 3, 3], 1, 1), convolution([1, 9, 3, 400], [17, 3, 3], 1, 1)];
    all.extend(large.into_iter().chain(long).map(|case| case.no_differences(MANY)));
    all.push(Case::new("conv2d of large and zero values", |b| {
        let x = b.draw([1, 3, 7, 7], |rng| if rng.below(3) == 0 { 0.0 } else { 1e4 * rng.normal() });
        let w = b.draw([4, 3, 3, 3], |rng| 1e-4 * rng.normal());
        b.wrt(x);
        b.wrt(w);
        let y = b.tape.conv2d(x, w, ConvSpec { stride: 1, pad: 1 });
        b.out("y", y);
    }));
}

/// Both extremes of windows of one map.
fn pool(shape: [usize; 4], window: usize, stride: usize, pad: usize, draw: impl Fn(&mut Rng) -> f32 + 'static) -> Case {
    let name = format!("pool {shape:?}, {window}x{window}, stride {stride}, pad {pad}");
    let build = move |b: &mut Builder| {
        let x = b.draw(shape, &draw);
        b.wrt(x);
        let spec = ConvSpec { stride, pad };
        let (most, least) = (b.tape.max_pool(x, window, spec), b.tape.min_pool(x, window, spec));
        b.out("max", most);
        b.out("min", least);
    };
    Case::new(name, build).exact()
}

fn pools(all: &mut Vec<Case>) {
    for (shape, window, stride, pad) in [
        // Of ResNet-18.
        ([3, 64, 14, 14], 3, 2, 1),
        ([2, 5, 16, 13], 3, 2, 1),
        // Windows that overlap, touch and leave pixels out, and padding as wide as it may be.
        ([1, 1, 1, 1], 1, 1, 0),
        ([1, 1, 1, 1], 3, 2, 1),
        ([3, 3, 7, 7], 2, 2, 0),
        ([1, 17, 7, 9], 2, 1, 1),
        ([2, 5, 9, 8], 2, 3, 1),
        ([5, 3, 13, 5], 3, 1, 0),
        ([1, 16, 11, 10], 3, 3, 1),
        ([1, 33, 9, 5], 5, 2, 1),
        ([2, 2, 10, 7], 5, 3, 0),
        ([1, 3, 6, 7], 5, 1, 4),
    ] {
        all.push(pool(shape, window, stride, pad, Rng::normal));
        // Three values only, zero and negative ones among them: most windows have ties.
        let ties = pool(shape, window, stride, pad, |rng| rng.below(3) as f32 - 1.0);
        let name = format!("{}, ties", ties.name);
        all.push(Case { name, ..ties }.no_differences("kinks where values are equal"));
    }
    for (sign, what) in [(-1.0, "negative"), (1.0, "positive")] {
        let case = pool([2, 3, 7, 8], 3, 2, 1, move |rng| sign * rng.uniform(1.0, 2.0));
        all.push(Case { name: format!("pool of {what} values, which padding does not beat"), ..case });
    }
}

/// Batch normalisation in training: statistics of the batch, normalisation, running statistics.
fn training(b: &mut Builder, shape: [usize; 4], draw: impl FnMut(&mut Rng) -> f32) {
    let c = shape[1];
    let x = b.draw(shape, draw);
    let (gamma, beta) = (b.draw([c], |rng| rng.uniform(0.5, 1.5)), b.normal([c]));
    for v in [x, gamma, beta] {
        b.wrt(v);
    }
    let stats = b.tape.batch_norm_stats(x);
    let y = b.tape.batch_norm(x, stats, gamma, beta, 1e-5, true);
    b.out("y", y);
}

/// A rectified map between two convolutions, normalised; `shared` with a residual and read by more than the second
/// convolution. All but that one is exact in 16-bit floats, so that no rectified pixel changes sides there.
fn normalised_map(b: &mut Builder, [batch, sources, h, w]: [usize; 4], channels: usize, shared: bool) {
    let coarse = |rng: &mut Rng| (64.0 * rng.normal()).round() / 64.0;
    let shape = [batch, channels, h, w];
    let (x, weights) = (b.draw([batch, sources, h, w], coarse), b.draw([channels, sources, 3, 3], coarse));
    let (gamma, beta) = (b.draw([channels], |rng| rng.uniform(0.5, 1.5)), b.normal([channels]));
    let next = b.draw([channels, channels, 3, 3], |rng| rng.normal() / 8.0);
    for wanted in [weights, gamma, beta, next] {
        b.wrt(wanted);
    }
    let spec = ConvSpec { stride: 1, pad: 1 };
    let z = b.tape.conv2d(x, weights, spec);
    let stats = b.tape.batch_norm_stats(z);
    let mut y = b.tape.batch_norm(z, stats, gamma, beta, 1e-5, true);
    if shared {
        let half = b.normal(shape);
        b.wrt(half);
        let residual = b.tape.add(half, half);
        y = b.tape.add(y, residual);
    }
    y = b.tape.relu(y);
    let mut z = b.tape.conv2d(y, next, spec);
    if shared {
        z = b.tape.add(z, y);
        b.out("y", y);
    }
    b.out("z", z);
}

fn norms(all: &mut Vec<Case>) {
    // More values of a channel than a workgroup takes.
    let large = Case::new("batch_norm in training [11, 2, 28, 28]", |b| {
        training(b, [11, 2, 28, 28], |rng| 2.0 * rng.normal() + 0.5);
    });
    all.push(large.no_differences(MANY));
    let shapes = [[3, 1, 7, 7], [5, 16, 7, 7], [1, 3, 28, 28], [3, 17, 13, 5], [2, 33, 4, 4], [16, 5, 14, 14]];
    for shape in shapes {
        all.push(Case::new(format!("batch_norm in training {shape:?}"), move |b| {
            training(b, shape, |rng| 2.0 * rng.normal() + 0.5);
        }));
        all.push(Case::new(format!("batch_norm in evaluation {shape:?}"), move |b| {
            let c = shape[1];
            let (x, mean) = (b.normal(shape), b.normal([c]));
            let variance = b.draw([c], |rng| rng.uniform(0.2, 3.0));
            let (gamma, beta) = (b.normal([c]), b.normal([c]));
            for v in [x, gamma, beta] {
                b.wrt(v);
            }
            let y = b.tape.batch_norm(x, (mean, variance), gamma, beta, 1e-5, false);
            b.out("y", y);
        }));
        all.push(Case::new(format!("batch_norm_stats {shape:?}"), move |b| {
            let x = b.normal(shape);
            let (mean, variance) = b.tape.batch_norm_stats(x);
            b.out("mean", mean);
            b.out("variance", variance);
        }));
        all.push(Case::new(format!("running_stats {shape:?}"), move |b| {
            let c = shape[1];
            let x = b.normal(shape);
            let stats = b.tape.batch_norm_stats(x);
            let running = (b.state([c]), b.state([c]));
            b.tape.running_stats(stats, running, 0.1, shape[0] * shape[2] * shape[3]);
        }));
    }
    all.push(
        Case::new("batch_norm in training, far from zero", |b| {
            training(b, [3, 5, 7, 7], |rng| 1e3 + rng.normal());
        })
        .tolerance(
            1e-7,
            1e-3,
            "the mean of values at 1000 is rounded by 6e-5 of their deviation, in f32 whatever the order",
        )
        .no_differences("steps in proportion to 1000 are not small beside a deviation of 1"),
    );
    // The statistics come from the tiles of the convolution where its kernel writes them: several tiles, rows that no block of
    // pixels divides, and a mean hundreds of times the deviation, which sums of squares would not survive.
    let summed = Case::new("batch_norm of a convolution, far from zero", |b| {
        // Exact in 16-bit floats.
        let x = b.draw([5, 4, 9, 11], |rng| 100.0 + (16.0 * rng.normal()).round() / 16.0);
        let w = b.draw([6, 4, 3, 3], |rng| (64.0 * rng.uniform(-0.1, 1.0)).round() / 64.0);
        let y = b.tape.conv2d(x, w, ConvSpec { stride: 1, pad: 0 });
        let stats = b.tape.batch_norm_stats(y);
        let running = (b.state([6]), b.state([6]));
        b.tape.running_stats(stats, running, 0.1, 5 * 7 * 9);
        let (gamma, beta) = (b.draw([6], |rng| rng.uniform(0.5, 1.5)), b.normal([6]));
        let y = b.tape.batch_norm(y, stats, gamma, beta, 1e-5, true);
        let y = b.tape.relu(y);
        let v = b.normal([8, 6, 3, 3]);
        let y = b.tape.conv2d(y, v, ConvSpec { stride: 1, pad: 1 });
        for wanted in [gamma, beta, v] {
            b.wrt(wanted);
        }
        b.out("y", y);
    });
    let why = "sums near 1600 are rounded by 4e-5 of their deviation; squares would leave 1e-2 of the variance";
    all.push(summed.tolerance(1e-7, 1e-3, why));
    // Small; many groups of channels; eight channels at a time on a GPU, the last of them alone, in rows that end in a block of
    // two pixels.
    for ([batch, sources, h, w], channels) in [([5, 4, 9, 11], 6), ([5, 4, 9, 11], 40), ([16, 9, 57, 54], 9)] {
        for shared in [false, true] {
            let what = if shared { "and a residual, read three times" } else { "between convolutions" };
            let name = format!("batch_norm {what} {:?}, {channels} channels", [batch, sources, h, w]);
            let case = Case::new(name, move |b| normalised_map(b, [batch, sources, h, w], channels, shared));
            all.push(if channels == 6 { case } else { case.no_differences(MANY) });
        }
    }
    // Other channels than the convolution had, whose tiles are then of no use.
    all.push(Case::new("batch_norm of a convolution, image by image", |b| {
        let (x, w) = (b.normal([2, 4, 8, 8]), b.normal([4, 4, 3, 3]));
        let (gamma, beta) = (b.draw([8], |rng| rng.uniform(0.5, 1.5)), b.normal([8]));
        for wanted in [x, w, gamma, beta] {
            b.wrt(wanted);
        }
        let y = b.tape.conv2d(x, w, ConvSpec { stride: 1, pad: 0 });
        let y = b.tape.reshape(y, [1, 8, 6, 6]);
        let stats = b.tape.batch_norm_stats(y);
        let y = b.tape.batch_norm(y, stats, gamma, beta, 1e-5, true);
        b.out("y", y);
    }));
    all.push(
        Case::new("batch_norm in training, dead channels", |b| {
            let mut i = 0;
            training(b, [3, 3, 5, 5], |rng| {
                i += 1;
                if (i - 1) / 25 % 3 == 1 { 0.0 } else { rng.normal() }
            });
        })
        .no_differences("curved at the scale of eps where the variance is zero"),
    );
    all.push(Case::new("batch_norm in training, large scale", |b| {
        training(b, [3, 5, 7, 7], |rng| 1e4 * rng.normal());
    }));
}
