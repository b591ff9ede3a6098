//! Transformations other than affine maps.

use super::Case;
use super::rows::index;
use crate::common::builder::Builder;
use proteus::tape::{Arena, Padding, Rows, Var};
use proteus::warp::{Tps, Transformation};

/// How rows find their image, with R and S.
const ROWS: [(Rows, usize, usize); 5] =
    [(Rows::Own, 3, 3), (Rows::Each, 5, 1), (Rows::Each, 6, 3), (Rows::Selected, 5, 4), (Rows::Selected, 1, 3)];

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    color(&mut all);
    projective(&mut all);
    control_grid(&mut all);
    morpho(&mut all);
    morpho_limit(&mut all);
    chains(&mut all);
    all
}

/// Distances to transformed prototypes, of which nothing on the way is wanted: engines may compute them as one kernel.
fn chains(all: &mut Vec<Case>) {
    for (sequence, padding, [c, h, w], weighted) in [
        ("affine", Padding::Border, [1, 28, 28], false),
        ("projective", Padding::Zeros, [3, 9, 13], true),
        ("color affine control", Padding::Zeros, [3, 28, 28], true),
        ("affine morpho control", Padding::Border, [1, 28, 28], false),
        ("color affine morpho control", Padding::Border, [2, 16, 11], false),
        ("affine color morpho control", Padding::Border, [2, 16, 11], true),
        ("morpho affine morpho affine color", Padding::Border, [1, 13, 7], false),
        ("morpho color", Padding::Border, [1, 1, 1], false),
        ("affine morpho", Padding::Border, [1, 64, 48], false),
    ] {
        let with = if weighted { ", weighted" } else { "" };
        let name = format!("squared_distance after {sequence} of 4 x 3, {padding:?} [{c}, {h}, {w}]{with}");
        all.push(Case::new(name, move |b| {
            let (images, prototypes) = (b.normal([4, c, h, w]), b.normal([3, c, h, w]));
            let mut image = prototypes;
            for (i, module) in sequence.split(' ').enumerate() {
                let rows = if i == 0 { Rows::Each } else { Rows::Own };
                image = transformed(b, module, image, rows, padding);
            }
            let weights = weighted.then(|| b.draw([c, h, w], |rng| rng.uniform(0.1, 2.0)));
            let d = b.tape.squared_distance(images, image, weights, Rows::Own, None);
            b.out("d", d);
        }));
    }
}

/// One transformation for 4 x 3 rows.
fn transformed(b: &mut Builder, module: &str, image: Var, rows: Rows, padding: Padding) -> Var {
    let [c, h, w] = b.tape.shape(image).tail();
    let near = |b: &mut Builder, width: usize| b.draw([4, 3, width], |rng| 0.2 * rng.normal());
    match module {
        "color" => {
            let beta = near(b, 2 * c);
            b.tape.color(image, beta, rows, None)
        }
        "morpho" => {
            let beta = near(b, 10);
            b.tape.morpho(image, beta, 3, rows, None)
        }
        _ => {
            let grid = match module {
                "affine" => {
                    let beta = near(b, 6);
                    b.tape.affine_grid(beta, h, w)
                }
                "projective" => {
                    let beta = near(b, 9);
                    b.tape.projective_grid(beta, h, w)
                }
                _ => {
                    let constants = Tps { grid_size: 4 }.constants(h, w).into_iter();
                    let constants: Vec<_> =
                        constants.map(|c| b.real_in(Arena::Constants, c.shape, &c.values)).collect();
                    let beta = near(b, 32);
                    b.tape.control_grid(constants[0], constants[1], beta)
                }
            };
            b.tape.grid_sample(image, grid, padding, rows, None)
        }
    }
}

fn color(all: &mut Vec<Case>) {
    for (rows, r, s) in ROWS {
        for [c, h, w] in [[1, 1, 1], [3, 13, 5], [1, 28, 28]] {
            all.push(Case::new(format!("color {rows:?} R {r} S {s} [{c}, {h}, {w}]"), move |b| {
                let (image, beta) = (b.normal([s, c, h, w]), b.draw([r, 2 * c], |rng| 0.5 * rng.normal()));
                let index = index(b, rows, r, s);
                b.wrt(image);
                b.wrt(beta);
                let y = b.tape.color(image, beta, rows, index);
                b.out("y", y);
            }));
        }
    }
    all.push(Case::new("color Each over rows in two dimensions", |b| {
        let (image, beta) = (b.normal([3, 2, 7, 5]), b.normal([4, 3, 4]));
        b.wrt(image);
        b.wrt(beta);
        let y = b.tape.color(image, beta, Rows::Each, None);
        b.out("y", y);
    }));
}

fn projective(all: &mut Vec<Case>) {
    for [r, h, w] in [[1, 1, 1], [3, 7, 7], [5, 13, 28], [1, 28, 28], [10, 5, 3]] {
        all.push(Case::new(format!("projective_grid {r} of {h}x{w}"), move |b| {
            let beta = b.draw([r, 9], |rng| rng.uniform(-0.2, 0.2));
            b.wrt(beta);
            let grid = b.tape.projective_grid(beta, h, w);
            b.out("grid", grid);
        }));
    }
    // w = 1 + 8 u is zero in the fourth column, exactly.
    all.push(
        Case::new("projective_grid with a column on the horizon", |b| {
            let beta = b.real([1, 9], &[0.1, 0.2, -0.3, 0.2, -0.1, 0.4, 8.0, 0.0, 0.0]);
            b.wrt(beta);
            let grid = b.tape.projective_grid(beta, 4, 8);
            b.out("grid", grid);
        })
        .no_differences("a pole on the horizon"),
    );
}

fn control_grid(all: &mut Vec<Case>) {
    for ([r, g], [h, w]) in [([1, 1], [1, 1]), ([3, 4], [7, 7]), ([5, 25], [13, 28]), ([2, 9], [28, 28])] {
        all.push(Case::new(format!("control_grid {r} of {h}x{w}, {g} points"), move |b| {
            let [matrix, base] = [vec![g, h, w], vec![h, w, 2]].map(|shape| {
                let values: Vec<f32> = (0..shape.iter().product()).map(|_| b.rng.normal()).collect();
                b.real_in(Arena::Constants, &shape[..], &values)
            });
            let beta = b.normal([r, 2 * g]);
            b.wrt(beta);
            let grid = b.tape.control_grid(matrix, base, beta);
            b.out("grid", grid);
        }));
    }
    all.push(Case::new("control_grid of thin-plate splines over rows in two dimensions", |b| {
        let constants = Tps { grid_size: 4 }.constants(28, 20).into_iter();
        let constants: Vec<_> = constants.map(|c| b.real_in(Arena::Constants, c.shape, &c.values)).collect();
        let beta = b.draw([3, 2, 32], |rng| 0.2 * rng.normal());
        b.wrt(beta);
        let grid = b.tape.control_grid(constants[0], constants[1], beta);
        b.out("grid", grid);
    }));
}

fn morpho(all: &mut Vec<Case>) {
    for (kernel, (rows, r, s)) in [3, 5, 1, 7, 3].into_iter().zip(ROWS) {
        for [c, h, w] in [[1, 1, 1], [3, 9, 5], [1, 28, 28]] {
            all.push(Case::new(format!("morpho {kernel} {rows:?} R {r} S {s} [{c}, {h}, {w}]"), move |b| {
                let image = b.draw([s, c, h, w], |rng| rng.uniform(0.0, 1.0));
                let beta = b.draw([r, 1 + kernel * kernel], |rng| 2.0 * rng.normal());
                let index = index(b, rows, r, s);
                b.wrt(image);
                // A window of one pixel changes nothing, whatever its parameters.
                if kernel > 1 {
                    b.wrt(beta);
                }
                let y = b.tape.morpho(image, beta, kernel, rows, index);
                b.out("y", y);
            }));
        }
    }
    // More places than a workgroup has invocations, the largest window, and images that are brought in several tiles.
    for (kernel, [c, h, w]) in [(17, [1, 12, 19]), (31, [1, 9, 11]), (7, [2, 40, 130]), (5, [1, 3, 300])] {
        all.push(Case::new(format!("morpho {kernel} Own [{c}, {h}, {w}]"), move |b| {
            let image = b.draw([2, c, h, w], |rng| rng.uniform(0.0, 1.0));
            let beta = b.draw([2, 1 + kernel * kernel], |rng| 2.0 * rng.normal());
            b.wrt(image);
            b.wrt(beta);
            let y = b.tape.morpho(image, beta, kernel, Rows::Own, None);
            b.out("y", y);
        }));
    }
    all.push(Case::new("morpho Each over rows in two dimensions", |b| {
        let image = b.normal([3, 2, 7, 5]);
        let beta = b.normal([4, 3, 10]);
        b.wrt(image);
        b.wrt(beta);
        let y = b.tape.morpho(image, beta, 3, Rows::Each, None);
        b.out("y", y);
    }));
    // From erosion to dilation, at 700 with limited exponents.
    all.push(
        Case::new("morpho of extreme exponents", |b| {
            let image = b.draw([1, 2, 9, 8], |rng| rng.uniform(0.0, 1.0));
            let mut beta = vec![0.3f32; 6 * 26];
            for (row, alpha) in beta.chunks_mut(26).zip([-700.0, -60.0, -20.0, 20.0, 60.0, 700.0]) {
                row[0] = alpha;
            }
            let beta = b.real([6, 26], &beta);
            b.wrt(image);
            b.wrt(beta);
            let y = b.tape.morpho(image, beta, 5, Rows::Each, None);
            b.out("y", y);
        })
        .tolerance(1e-8, 1e-3, "exponents of 60 have an error of 4e-6, and gradients multiply it by 60")
        .no_differences("kinks where exponents are limited"),
    );
}

fn morpho_limit(all: &mut Vec<Case>) {
    for (kernel, (rows, r, s)) in [3, 5, 1, 7, 3].into_iter().zip(ROWS) {
        for [c, h, w] in [[1, 1, 1], [3, 9, 5], [1, 28, 28]] {
            let build = move |b: &mut Builder| {
                // Of both signs: zeros outside sometimes win and sometimes do not.
                let image = b.normal([s, c, h, w]);
                // The centre, and some pixels around it.
                let beta = b.draw([r, 1 + kernel * kernel], |rng| 5.0 * rng.normal());
                let index = index(b, rows, r, s);
                let y = b.tape.morpho_limit(image, beta, kernel, rows, index);
                b.out("y", y);
            };
            let name = format!("morpho_limit {kernel} {rows:?} R {r} S {s} [{c}, {h}, {w}]");
            all.push(Case::new(name, build).exact());
        }
    }
    // Dilation and erosion by all pixels, by none (the centre), by one beside the centre.
    all.push(
        Case::new("morpho_limit of shapes that can be counted", |b| {
            let image = b.normal([1, 2, 7, 6]);
            let mut beta = vec![0.0f32; 6 * 26];
            for (row, beta) in beta.chunks_mut(26).enumerate() {
                beta.fill([9.0, -9.0, -9.0][row / 2]);
                beta[0] = if row % 2 == 0 { 1e-3 } else { -1e-3 };
                if row / 2 == 2 {
                    beta[1 + 3] = 9.0;
                }
            }
            let beta = b.real([6, 26], &beta);
            let y = b.tape.morpho_limit(image, beta, 5, Rows::Each, None);
            b.out("y", y);
        })
        .exact(),
    );
    all.push(Case::new("morpho_limit between dilation and erosion, a mean", |b| {
        let image = b.normal([3, 2, 7, 5]);
        let mut beta: Vec<f32> = (0..6 * 10).map(|_| b.rng.normal()).collect();
        beta.chunks_mut(10).enumerate().for_each(|(row, beta)| beta[0] = [0.0, -0.0, 0.5][row / 2]);
        let beta = b.real([2, 3, 10], &beta);
        let y = b.tape.morpho_limit(image, beta, 3, Rows::Each, None);
        b.out("y", y);
    }));
}
