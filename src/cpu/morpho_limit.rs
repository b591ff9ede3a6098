//! y[r,c] = the largest (alpha > 0) or smallest (alpha < 0) x(i+q) over the window positions q with a_q > 1/2, over the
//! centre if there are none; with alpha = 0 the mean sum a_q x(i+q) / sum a_q.

use super::Map;
use super::rows::{Cut, RowKernel};
use super::window::Padded;
use crate::tape::Rows;

/// Images `image` [S,C,H,W], R rows, windows of `kernel` x `kernel` pixels.
pub fn kernel(r: usize, image: Map, kernel: usize, rows: Rows) -> RowKernel {
    let pixels = image.pixels();
    let inputs = vec![Cut::new(rows, image.image(), image.b), Cut::Own(1 + kernel * kernel), Cut::Index];
    RowKernel::new(r, inputs, vec![image.image()], move || {
        let mut padded = Padded::new(image, kernel, 0.0);
        move |i: &[&[f32]], [y, _]: [&mut [f32]; 2]| {
            let (alpha, weights) = (i[1][0], &i[1][1..]);
            let mut shape: Vec<usize> = (0..weights.len()).filter(|&q| weights[q] > 0.5).collect();
            if shape.is_empty() {
                shape.push(weights.len() / 2);
            }
            let total: f32 = weights.iter().sum();
            for (x, y) in i[0].chunks_exact(pixels).zip(y.chunks_exact_mut(pixels)) {
                padded.lines_mut().zip(x.chunks_exact(image.w)).for_each(|(to, x)| to.copy_from_slice(x));
                for (i, y) in y.chunks_exact_mut(image.w).enumerate() {
                    let line = |q: usize| padded.line(i + q / kernel, q % kernel);
                    if alpha == 0.0 {
                        y.fill(0.0);
                        for (q, a) in weights.iter().enumerate() {
                            y.iter_mut().zip(line(q)).for_each(|(y, x)| *y += a * x);
                        }
                        y.iter_mut().for_each(|y| *y /= total);
                        continue;
                    }
                    y.copy_from_slice(line(shape[0]));
                    for &q in &shape[1..] {
                        let pairs = y.iter_mut().zip(line(q));
                        if alpha > 0.0 {
                            pairs.for_each(|(y, &x)| *y = if x > *y { x } else { *y });
                        } else {
                            pairs.for_each(|(y, &x)| *y = if x < *y { x } else { *y });
                        }
                    }
                }
            }
        }
    })
}
