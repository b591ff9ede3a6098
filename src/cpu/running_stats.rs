//! r = (1 - momentum) r + momentum s; the variance is made unbiased first.

use super::Kernel;

pub fn kernel(momentum: f32, count: usize) -> Kernel {
    let unbiased = count as f32 / (count.max(2) - 1) as f32;
    Box::new(move |args| {
        for (i, scale) in [(0, 1.0), (1, unbiased)] {
            for (r, s) in args.out(i).iter_mut().zip(args.f32(i)) {
                *r += momentum * (s * scale - *r);
            }
        }
    })
}
