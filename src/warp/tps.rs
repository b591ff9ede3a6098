//! Thin-plate splines.

use super::{Constant, Source, Transformation};
use crate::tape::{Padding, Shape, Tape, Var};

/// y(u,v) = x(s(u,v)), s the thin-plate spline (Bookstein 1989) that takes each point p of a lattice of `grid_size` by
/// `grid_size` control points on `[-1,1]`^2 (x fastest) to p + beta; beta laid out `[grid_size^2, 2]` = (x,y); bilinear.
///
/// As in the published code (u,v) runs from corner to corner, linspace(-1,1), while sampling takes the result for pixel
/// centres: beta = 0 reads slightly outside.
#[derive(Clone, Copy, Debug)]
pub struct Tps {
    /// Control points along a side, at least 2.
    pub grid_size: usize,
}

impl Transformation for Tps {
    fn parameters(&self, _channels: usize) -> usize {
        2 * self.grid_size * self.grid_size
    }

    /// The spline is linear in where it takes the control points: s = M (p + beta). M `[G,H,W]` and M p `[H,W,2]`.
    fn constants(&self, height: usize, width: usize) -> Vec<Constant> {
        let controls = lattice(self.grid_size, self.grid_size);
        let pixels = lattice(height, width);
        let influence = influence(&controls);
        let side = controls.len() + 3;
        let mut matrix = Vec::with_capacity(controls.len() * pixels.len());
        let mut base = vec![[0.0f64; 2]; pixels.len()];
        let terms: Vec<Vec<f64>> = pixels.iter().map(|&p| basis(p, &controls)).collect();
        for (row, control) in influence.chunks_exact(side).zip(&controls) {
            for (base, terms) in base.iter_mut().zip(&terms) {
                let m: f64 = row.iter().zip(terms).map(|(a, t)| a * t).sum();
                base[0] += m * control[0];
                base[1] += m * control[1];
                matrix.push(m as f32);
            }
        }
        let base = base.as_flattened().iter().map(|&x| x as f32).collect();
        let (g, h, w) = (controls.len(), height, width);
        vec![
            Constant { name: "matrix", shape: Shape::from([g, h, w]), values: matrix },
            Constant { name: "base", shape: Shape::from([h, w, 2]), values: base },
        ]
    }

    fn apply(&self, tape: &mut Tape, source: Source, beta: Var, constants: &[Var], padding: Padding) -> Var {
        let grid = tape.control_grid(constants[0], constants[1], beta);
        tape.grid_sample(source.image, grid, padding, source.rows, source.index)
    }
}

/// Points (x, y) of linspace(-1,1,height) x linspace(-1,1,width), x fastest.
fn lattice(height: usize, width: usize) -> Vec<[f64; 2]> {
    let coordinate = |i: usize, n: usize| if n == 1 { -1.0 } else { 2.0 * i as f64 / (n - 1) as f64 - 1.0 };
    (0..height * width).map(|p| [coordinate(p % width, width), coordinate(p / width, height)]).collect()
}

/// phi(|p - c|) for every control point c, then 1, x, y; phi(r) = r^2 log r.
fn basis(p: [f64; 2], controls: &[[f64; 2]]) -> Vec<f64> {
    let phi = |c: &[f64; 2]| {
        let squared = (p[0] - c[0]).powi(2) + (p[1] - c[1]).powi(2);
        if squared == 0.0 { 0.0 } else { 0.5 * squared * squared.ln() }
    };
    controls.iter().map(phi).chain([1.0, p[0], p[1]]).collect()
}

/// The first G rows of the inverse of the spline's symmetric system `[Phi P; P^T 0]`, `[G, G + 3]`.
fn influence(controls: &[[f64; 2]]) -> Vec<f64> {
    let (g, side) = (controls.len(), controls.len() + 3);
    // Gauss-Jordan elimination with partial pivoting of [A | I].
    let width = 2 * side;
    let mut a = vec![0.0f64; side * width];
    for (i, &control) in controls.iter().enumerate() {
        for (j, term) in basis(control, controls).into_iter().enumerate() {
            a[i * width + j] = term;
            if j >= g {
                a[j * width + i] = term;
            }
        }
    }
    (0..side).for_each(|i| a[i * width + side + i] = 1.0);
    for column in 0..side {
        let size = |row: &usize| a[row * width + column].abs();
        let pivot = (column..side).max_by(|i, j| size(i).total_cmp(&size(j))).unwrap_or(column);
        (0..width).for_each(|k| a.swap(column * width + k, pivot * width + k));
        let scale = 1.0 / a[column * width + column];
        a[column * width..][..width].iter_mut().for_each(|x| *x *= scale);
        let line = a[column * width..][..width].to_vec();
        for (_, row) in a.chunks_exact_mut(width).enumerate().filter(|(i, _)| *i != column) {
            let factor = row[column];
            row.iter_mut().zip(&line).for_each(|(x, l)| *x -= factor * l);
        }
    }
    a.chunks_exact(width).take(g).flat_map(|row| &row[side..]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the spline takes the pixels of a lattice when `displaced` says where it takes control points.
    fn grid(tps: Tps, [h, w]: [usize; 2], displaced: impl Fn([f64; 2]) -> [f64; 2]) -> Vec<f64> {
        let constants = tps.constants(h, w);
        let controls = lattice(tps.grid_size, tps.grid_size);
        let mut grid: Vec<f64> = constants[1].values.iter().map(|&x| x.into()).collect();
        for (control, line) in controls.iter().zip(constants[0].values.chunks(h * w)) {
            let to = displaced(*control);
            for (point, m) in grid.chunks_mut(2).zip(line) {
                point[0] += f64::from(*m) * (to[0] - control[0]);
                point[1] += f64::from(*m) * (to[1] - control[1]);
            }
        }
        grid
    }

    fn assert_near(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    #[test]
    fn affine_displacements_give_affine_maps() {
        let map = |[x, y]: [f64; 2]| [0.3 + 1.2 * x - 0.4 * y, -0.1 + 0.2 * x + 0.9 * y];
        for grid_size in [2, 4, 5] {
            let expected: Vec<f64> = lattice(7, 9).into_iter().flat_map(map).collect();
            assert_near(&grid(Tps { grid_size }, [7, 9], map), &expected);
        }
    }

    #[test]
    fn the_spline_passes_through_its_control_points() {
        let map = |[x, y]: [f64; 2]| [x + 0.1 * (5.0 * y).sin(), y - 0.2 * x * x];
        let expected: Vec<f64> = lattice(4, 4).into_iter().flat_map(map).collect();
        assert_near(&grid(Tps { grid_size: 4 }, [4, 4], map), &expected);
    }
}
