//! all[clock[0] + b] = x[b], words of any type.

use super::Kernel;

/// Rows of `width` words.
pub fn kernel(width: usize) -> Kernel {
    Box::new(move |args| {
        let (x, first, all) = (args.u32(0), args.u32(1)[0] as usize * width, args.out_u32(0));
        let room = all.len().saturating_sub(first).min(x.len());
        if room > 0 {
            all[first..first + room].copy_from_slice(&x[..room]);
        }
    })
}
