//! dx = scale * dy for every element.

use super::Kernel;

pub fn kernel(scale: f32) -> Kernel {
    Box::new(move |args| args.out(0).fill(scale * args.f32(0)[0]))
}
