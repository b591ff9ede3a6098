//! dd[b,k] = dm[b] where k is the minimum's position, else 0.

use super::Kernel;

pub fn kernel(columns: usize) -> Kernel {
    Box::new(move |args| {
        let (dm, position, dd) = (args.f32(0), args.u32(1), args.out(0));
        for ((row, dm), &position) in dd.chunks_exact_mut(columns).zip(dm).zip(position) {
            row.fill(0.0);
            if let Some(to) = row.get_mut(position as usize) {
                *to = *dm;
            }
        }
    })
}
