//! dbeta[r,0] = dp[r,0]; dbeta[r,i] = dp[r,i] a (1 - a), a = p[r,i].

use super::rows::{Cut, RowKernel};

/// Rows of `width` = 1 + K^2 elements.
pub fn kernel(rows: usize, width: usize) -> RowKernel {
    RowKernel::plain(rows, vec![Cut::Own(width); 2], vec![width], move |i, [dbeta, _]| {
        let (p, dp) = (i[0], i[1]);
        for (dbeta, (p, dp)) in dbeta.iter_mut().zip(p.iter().zip(dp)) {
            *dbeta = dp * (p * (1.0 - p));
        }
        dbeta[0] = dp[0];
    })
}
