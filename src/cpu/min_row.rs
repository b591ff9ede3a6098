//! Minimum of each row and where it first occurs.

use super::Kernel;

pub fn kernel(columns: usize) -> Kernel {
    Box::new(move |args| {
        let (d, minimum, position) = (args.f32(0), args.out(0), args.out_u32(1));
        for ((row, minimum), position) in d.chunks_exact(columns).zip(minimum).zip(position) {
            (*minimum, *position) = (row[0], 0);
            for (k, &value) in row.iter().enumerate().skip(1) {
                if value < *minimum {
                    (*minimum, *position) = (value, k as u32);
                }
            }
        }
    })
}
