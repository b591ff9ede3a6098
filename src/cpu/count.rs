//! counts[index[b]] += 1.

use super::Kernel;

pub fn kernel() -> Kernel {
    Box::new(|args| {
        let counts = args.out_u32(0);
        for &index in args.u32(0) {
            if let Some(count) = counts.get_mut(index as usize) {
                *count += 1;
            }
        }
    })
}
