//! y = x.

use super::Kernel;

pub fn kernel() -> Kernel {
    Box::new(|args| args.out_u32(0).copy_from_slice(args.u32(0)))
}
