//! dbeta[r,0] = dp[r,0]; dbeta[r,i] = dp[r,i] a (1 - a), a = p[r,i].

use super::Kernel;

/// Rows of `width` = 1 + K^2 elements.
pub fn kernel(width: usize) -> Kernel {
    Box::new(move |args| {
        let (p, dp, dbeta) = (args.f32(0), args.f32(1), args.out(0));
        for (i, (dbeta, (p, dp))) in dbeta.iter_mut().zip(p.iter().zip(dp)).enumerate() {
            *dbeta = if i % width == 0 { *dp } else { dp * (p * (1.0 - p)) };
        }
    })
}
