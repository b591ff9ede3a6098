//! dlog_pi[k] = - sum over b of gamma[b,k] dq[b], in double precision and in order.

use super::Kernel;

pub fn kernel(columns: usize) -> Kernel {
    Box::new(move |args| {
        let (gamma, dq, dlog_pi) = (args.f32(0), args.f32(1), args.out(0));
        let mut sums = vec![0.0f64; columns];
        for (gamma, &dq) in gamma.chunks_exact(columns).zip(dq) {
            for (sum, &gamma) in sums.iter_mut().zip(gamma) {
                *sum += f64::from(gamma) * f64::from(dq);
            }
        }
        for (dlog_pi, sum) in dlog_pi.iter_mut().zip(sums) {
            *dlog_pi = -sum as f32;
        }
    })
}
