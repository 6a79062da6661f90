//! Powers of 2, under the softmax and the activations.

/// `2^x` for `x <= 127`, relative error below 2e-7; 0 below about -126; NaN stays NaN.
///
/// `x = n + r` with `|r| <= 1/2`; `2^r` by the polynomial `1 + ...` of degree 6 whose largest relative
/// error there is least, 2e-9 (weighted least squares, reweighted after Lawson). Nothing here may
/// overflow by the rules of integers, which would be checked number by number.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    // 1.5 * 2^23 + 127: adding it leaves the nearest integer in the lowest bits, biased as an exponent.
    const NEAREST: f32 = 12_583_039.0;
    const TERMS: [f32; 6] =
        [1.339_900_3e-3, 9.618_439e-3, 5.550_332_2e-2, 2.402_264_8e-1, 6.931_472e-1, 1.0];
    // There the exponent's bits are 0, and so is the product with them.
    let x = if x < -127.0 { -127.0 } else { x };
    let shifted = x + NEAREST;
    let r = x - (shifted - NEAREST);
    let mut series = 1.535_325_8e-4;
    for term in TERMS {
        series = series * r + term;
    }
    series * f32::from_bits(shifted.to_bits() << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The oracle is std's f64 power.
    #[test]
    fn powers_agree_with_f64() {
        for step in -12_599..=12_700 {
            let x = step as f32 * 0.01;
            let (got, want) = (f64::from(exp2(x)), f64::from(x).exp2());
            assert!((got / want - 1.0).abs() < 2e-7, "2^{x} = {got}, not {want}");
        }
        for (x, want) in [(0.0, 1.0), (-127.0, 0.0), (-1e30, 0.0), (f32::NEG_INFINITY, 0.0)] {
            assert_eq!(exp2(x), want);
        }
        assert!(exp2(f32::NAN).is_nan());
    }
}
