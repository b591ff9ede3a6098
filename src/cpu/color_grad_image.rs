//! dimage[r,c] = (1 + w) dy with (w, o) = beta[r,c].

use super::Map;
use super::rows::{Cut, RowKernel};
use super::simd::{Isa, for_each_isa};

/// Images `image` [R,C,H,W].
pub fn kernel(isa: Isa, image: Map) -> RowKernel {
    let inputs = vec![Cut::Own(2 * image.c), Cut::Own(image.image())];
    RowKernel::plain(image.b, inputs, vec![image.image()], move |i, [dimage, _]| scale(isa, i[0], i[1], dimage))
}

for_each_isa! {
    fn scale<V: Vector>(beta: &[f32], dy: &[f32], dimage: &mut [f32]) {
        let pixels = 2 * dy.len() / beta.len();
        let planes = dimage.chunks_exact_mut(pixels).zip(dy.chunks_exact(pixels));
        for ((dimage, dy), b) in planes.zip(beta.chunks_exact(2)) {
            let scale = 1.0 + b[0];
            for (dx, dy) in dimage.iter_mut().zip(dy) {
                *dx = scale * dy;
            }
        }
    }
}
