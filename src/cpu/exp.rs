//! The exponential function of a row of numbers.

use super::simd::{Vector, for_each_isa};

/// e^x for |x| <= 87, within 2e-7 of the value: 2^n e^r, r = x - n log 2 in [-log 2 / 2, log 2 / 2], by the polynomial of
/// Cephes.
#[inline(always)]
pub fn exp<V: Vector>(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = V::scalar_mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = V::scalar_mul_add(n, -0.693_359_4, x);
    let r = V::scalar_mul_add(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5, 1.0, 1.0] {
        p = V::scalar_mul_add(p, r, c);
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    p * f32::from_bits(exponent)
}

for_each_isa! {
    /// y = e^(factor x), the exponent limited to +-`limit`.
    pub fn exp_scaled<V: Vector>(factor: f32, x: &[f32], limit: f32, y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = exp::<V>((factor * x).clamp(-limit, limit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Isa;
    use super::*;

    #[test]
    fn exponentials_are_accurate() {
        let x: Vec<f32> = (-8700..=8700).map(|i| i as f32 * 0.01).collect();
        for isa in Isa::available() {
            let mut y = vec![0.0; x.len()];
            exp_scaled(isa, 1.0, &x, 87.0, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let exact = f64::from(x).exp();
                assert!((f64::from(y) / exact - 1.0).abs() < 2e-7, "{isa:?}: e^{x} = {y}, not {exact}");
            }
            exp_scaled(isa, 2.0, &x, 60.0, &mut y);
            let (first, last) = (y[0], y[x.len() - 1]);
            assert!((f64::from(first) / (-60f64).exp() - 1.0).abs() < 2e-7, "{isa:?}: limited to {first}");
            assert!((f64::from(last) / 60f64.exp() - 1.0).abs() < 2e-7, "{isa:?}: limited to {last}");
        }
    }
}
