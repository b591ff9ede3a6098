//! q[b] = sum over k of gamma[b] (d[b] - log_pi).

use super::Kernel;

pub fn kernel(columns: usize) -> Kernel {
    Box::new(move |args| {
        let (gamma, d, log_pi, q) = (args.f32(0), args.f32(1), args.f32(2), args.out(0));
        for (q, (gamma, d)) in q.iter_mut().zip(gamma.chunks_exact(columns).zip(d.chunks_exact(columns))) {
            let terms = gamma.iter().zip(d).zip(log_pi);
            let terms = terms.map(|((&g, &d), &p)| f64::from(g) * (f64::from(d) - f64::from(p)));
            *q = terms.sum::<f64>() as f32;
        }
    })
}
