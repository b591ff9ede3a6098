//! Affine grids and bilinear sampling.

use super::Case;
use super::rows::index;
use crate::common::builder::{Builder, Rng};
use proteus::tape::{Padding, Rows};

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for [r, h, w] in [[1, 1, 1], [3, 7, 7], [5, 13, 28], [1, 28, 28], [10, 5, 3]] {
        all.push(Case::new(format!("affine_grid {r} of {h}x{w}"), move |b| {
            let beta = b.draw([r, 6], |rng| 0.3 * rng.normal());
            b.wrt(beta);
            let grid = b.tape.affine_grid(beta, h, w);
            b.out("grid", grid);
        }));
    }
    all.push(Case::new("affine_grid of large parameters", |b| {
        let beta = b.draw([3, 6], |rng| 1e4 * rng.normal());
        let grid = b.tape.affine_grid(beta, 7, 9);
        b.out("grid", grid);
    }));
    for padding in [Padding::Border, Padding::Zeros] {
        for (rows, r, s) in [
            (Rows::Own, 3, 3),
            (Rows::Each, 1, 1),
            (Rows::Each, 5, 1),
            (Rows::Each, 6, 3),
            (Rows::Selected, 5, 4),
            (Rows::Selected, 1, 3),
        ] {
            for (c, [hs, ws], [h, w]) in [(1, [7, 7], [7, 7]), (3, [13, 5], [4, 9]), (1, [28, 28], [28, 28])] {
                all.push(sample(padding, rows, [r, s], c, [hs, ws], [h, w]));
            }
        }
        all.push(sample(padding, Rows::Own, [1, 1], 17, [1, 1], [3, 3]));
        all.push(sample(padding, Rows::Own, [2, 2], 5, [1, 6], [5, 1]));
        all.push(borders(padding));
        all.push(far(padding));
        all.push(Case::new(format!("affine warp of shared prototypes, {padding:?}"), move |b| {
            let image = b.normal([3, 2, 9, 7]);
            let rows: Vec<f32> = (0..12).flat_map(|_| smooth_affine(&mut b.rng, 9, 7)).collect();
            let beta = b.real([4, 3, 6], &rows);
            b.wrt(image);
            b.wrt(beta);
            let grid = b.tape.affine_grid(beta, 9, 7);
            let y = b.tape.grid_sample(image, grid, padding, Rows::Each, None);
            b.out("y", y);
        }));
    }
    all
}

/// Parameters of an affine map of which no pixel falls on the border of a cell, or within a finite difference of it.
fn smooth_affine(rng: &mut Rng, h: usize, w: usize) -> [f32; 6] {
    loop {
        let beta: [f32; 6] = std::array::from_fn(|_| 0.2 * rng.normal());
        let near = |i: usize, j: usize| {
            let (u, v) = ((2 * j + 1) as f32 / w as f32 - 1.0, (2 * i + 1) as f32 / h as f32 - 1.0);
            let x = (1.0 + beta[0]) * u + beta[1] * v + beta[2];
            let y = beta[3] * u + (1.0 + beta[4]) * v + beta[5];
            [(x, w), (y, h)].into_iter().any(|(g, size)| {
                let position = ((g + 1.0) * size as f32 - 1.0) / 2.0;
                (position - position.round()).abs() < 2e-3
            })
        };
        if !(0..h * w).any(|p| near(p / w, p % w)) {
            return beta;
        }
    }
}

/// Normalised coordinate of a position in pixels.
fn normalised(position: f32, size: usize) -> f32 {
    (2.0 * position + 1.0) / size as f32 - 1.0
}

/// Positions inside cells, some of them outside the image: no kinks nearby.
fn sample(
    padding: Padding,
    rows: Rows,
    [r, s]: [usize; 2],
    c: usize,
    [hs, ws]: [usize; 2],
    [h, w]: [usize; 2],
) -> Case {
    let name = format!("grid_sample {padding:?} {rows:?} R {r} S {s} [{c}, {hs}, {ws}] to {h}x{w}");
    Case::new(name, move |b| {
        let image = b.normal([s, c, hs, ws]);
        let mut axis = 0;
        let grid = b.draw([r, h, w, 2], |rng| {
            let size = [ws, hs][axis % 2];
            axis += 1;
            normalised(rng.below(size + 4) as f32 - 2.0 + rng.uniform(0.15, 0.85), size)
        });
        let index = index(b, rows, r, s);
        b.wrt(image);
        b.wrt(grid);
        let y = b.tape.grid_sample(image, grid, padding, rows, index);
        b.out("y", y);
    })
}

fn points(b: &mut Builder, padding: Padding, [hs, ws]: [usize; 2], coordinates: &[(f32, f32)]) {
    let image = b.normal([1, 2, hs, ws]);
    let values: Vec<f32> = coordinates.iter().flat_map(|&(x, y)| [x, y]).collect();
    let grid = b.real([1, 1, coordinates.len(), 2], &values);
    b.wrt(image);
    b.wrt(grid);
    let y = b.tape.grid_sample(image, grid, padding, Rows::Own, None);
    b.out("y", y);
}

/// Coordinates exactly on pixel centres, on the border's centres and on the edges. Extents are powers of two, for
/// which every engine finds the very same positions.
fn borders(padding: Padding) -> Case {
    let build = move |b: &mut Builder| {
        let [hs, ws] = [4, 8];
        let mut coordinates = Vec::new();
        for x in [-1.0, -0.5, 0.0, 1.0, 3.5, 6.0, 7.0, 7.5, 8.0] {
            for y in [-1.0, -0.5, 0.0, 0.25, 2.0, 3.0, 3.5, 4.0] {
                coordinates.push((normalised(x, ws), normalised(y, hs)));
            }
        }
        points(b, padding, [hs, ws], &coordinates);
    };
    Case::new(format!("grid_sample {padding:?} exactly on borders"), build).no_differences("kinks at cell borders")
}

/// Coordinates far outside the image, to where pixel numbers overflow 32-bit integers.
fn far(padding: Padding) -> Case {
    let build = move |b: &mut Builder| {
        let values = [-1e10, -1e4, -37.5, -1.9, 0.1, 2.1, 55.5, 1e4, 1e10];
        let coordinates: Vec<(f32, f32)> = values.iter().flat_map(|&x| values.map(|y| (x, y))).collect();
        points(b, padding, [7, 5], &coordinates);
    };
    Case::new(format!("grid_sample {padding:?} far outside"), build)
        .no_differences("steps in proportion to 1e10 leave the cells of the others")
}
