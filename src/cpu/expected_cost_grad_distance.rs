//! dd[b,k] = gamma[b,k] dq[b].

use super::Kernel;

pub fn kernel(columns: usize) -> Kernel {
    Box::new(move |args| {
        let (gamma, dq, dd) = (args.f32(0), args.f32(1), args.out(0));
        let rows = dd.chunks_exact_mut(columns).zip(gamma.chunks_exact(columns)).zip(dq);
        for ((dd, gamma), dq) in rows {
            for (dd, gamma) in dd.iter_mut().zip(gamma) {
                *dd = gamma * dq;
            }
        }
    })
}
