//! The natural logarithm in plain arithmetic, which the compiler vectorises: the library's is a call for each number.

/// ln x of a positive normal number, within 1e-7 of the value; infinity and NaN stay what they are.
/// Polynomial of the Cephes library (Moshier 1989).
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    /// Bits of sqrt(1/2).
    const SQRT_HALF: i32 = 0x3f35_04f3;
    // ln 2 in two parts, so that the product of the first with an exponent is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // x = 2^e (1 + f) with 1 + f from sqrt(1/2) to sqrt(2).
    let bits = x.to_bits() as i32;
    let e = bits.wrapping_sub(SQRT_HALF) >> 23;
    let f = f32::from_bits(bits.wrapping_sub(e << 23) as u32) - 1.0;
    let e = e as f32;
    let square = f * f;
    // Written out: a loop over coefficients would not be unrolled in time for vectorisation.
    let p = 7.037_683_6e-2 * f - 1.151_461e-1;
    let p = (p * f + 1.167_699_9e-1) * f - 1.242_014_1e-1;
    let p = (p * f + 1.424_932_3e-1) * f - 1.666_805_8e-1;
    let p = (p * f + 2.000_071_5e-1) * f - 2.499_999_4e-1;
    let p = p * f + 3.333_333e-1;
    let y = f + (p * f * square + e * LN_2[1] - 0.5 * square) + e * LN_2[0];
    if x < f32::INFINITY { y } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(x: f32) -> f64 {
        let expected = f64::from(x).ln();
        match f64::from(ln(x)) - expected {
            0.0 => 0.0,
            error => (error / expected).abs(),
        }
    }

    /// Every exponent with many fractions, and every number around 1, where the logarithm vanishes.
    #[test]
    fn logarithms_are_within_their_bound() {
        let normal = (f32::MIN_POSITIVE.to_bits()..f32::INFINITY.to_bits()).step_by(1009);
        let around_one = 0x3f7f_0000..0x3f81_0000;
        let worst = normal.chain(around_one).map(f32::from_bits).map(|x| (error(x), x));
        let (worst, at) = worst.max_by(|a, b| a.0.total_cmp(&b.0)).expect("numbers");
        assert!(worst < 1e-7, "ln {at:e} is {worst:e} off");
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(f32::INFINITY), f32::INFINITY);
        assert!(ln(f32::NAN).is_nan());
    }
}
