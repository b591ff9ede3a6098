//! history[clock[1]] = x.

use super::Kernel;

pub fn kernel() -> Kernel {
    Box::new(|args| {
        if let Some(slot) = args.out(0).get_mut(args.u32(1)[1] as usize) {
            *slot = args.f32(0)[0];
        }
    })
}
