//! Activation functions and the exponential under them, in f32.

use crate::isa::multiversion;

/// `e^x`, relative error below 3e-7; 0 below about -87, clamped above 88; NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    exp_below_88(if x > 88.0 { 88.0 } else { x })
}

/// [`exp`] for `x <= 88`.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`; `e^r` by the polynomial `1 + r + ...` of degree 6 whose largest
/// relative error there is least, 4e-9 (weighted least squares, reweighted after Lawson). Nothing here may
/// overflow by the rules of integers, which would be checked number by number.
#[inline(always)]
fn exp_below_88(x: f32) -> f32 {
    // 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits.
    const NEAREST: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const TERMS: [f32; 6] = [8.368_781e-3, 4.166_839_4e-2, 0.166_665_2, 0.499_999_93, 1.0, 1.0];
    // There n = -127: the exponent's bits are 0, and so is the product with them.
    let x = if x < -87.8 { -87.8 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + NEAREST;
    let n = shifted - NEAREST;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut series = 1.381_446_7e-3;
    for term in TERMS {
        series = series * r + term;
    }
    let exponent = shifted.to_bits().wrapping_sub(NEAREST.to_bits()).wrapping_add(127) << 23;
    series * f32::from_bits(exponent)
}

/// The error function by Abramowitz & Stegun 7.1.26: absolute error below 1.5e-7 and rounding.
#[inline(always)]
fn erf(x: f32) -> f32 {
    const TERMS: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    let magnitude = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * magnitude);
    let series = TERMS.iter().fold(0.0, |sum, term| sum * t + term) * t;
    (1.0 - series * exp_below_88(-magnitude * magnitude)).copysign(x)
}

multiversion! {
    /// `x := x / 2 * (1 + erf(x / sqrt 2))`: GELU as defined (Hendrycks & Gimpel 2016), absolute
    /// error below 2e-7 times `|x|`.
    pub fn gelu(x: &mut [f32]) {
        for x in x {
            *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

multiversion! {
    /// `x := x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`: GELU's tanh form, the
    /// `gelu_new` of transformers.
    pub fn gelu_tanh(x: &mut [f32]) {
        const FACTOR: f32 = 0.797_884_6;
        for x in x {
            *x = 0.5 * *x * (1.0 + tanh_of(FACTOR * (*x + 0.044_715 * *x * *x * *x)));
        }
    }
}

/// `tanh x = (1 - e^-2|x|) / (1 + e^-2|x|)` with the sign of `x`; absolute error below 1e-7.
#[inline(always)]
fn tanh_of(x: f32) -> f32 {
    let decay = exp_below_88(-2.0 * x.abs());
    ((1.0 - decay) / (1.0 + decay)).copysign(x)
}

multiversion! {
    /// `x := tanh x`, absolute error below 2e-7.
    pub fn tanh(x: &mut [f32]) {
        for x in x {
            *x = tanh_of(*x);
        }
    }
}

multiversion! {
    /// `x := clip(gelu(x), -10, 10)`.
    pub fn gelu_clipped(x: &mut [f32]) {
        for x in x {
            let gelu = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
            *x = gelu.clamp(-10.0, 10.0);
        }
    }
}

multiversion! {
    /// `x := x sigmoid(1.702 x)`, a fast form of GELU.
    pub fn quick_gelu(x: &mut [f32]) {
        for x in x {
            *x *= sigmoid_of(1.702 * *x);
        }
    }
}

multiversion! {
    /// `x := max(x, 0)`.
    pub fn relu(x: &mut [f32]) {
        for x in x {
            *x = x.max(0.0);
        }
    }
}

multiversion! {
    /// `x := max(x, 0)^2`.
    pub fn relu_squared(x: &mut [f32]) {
        for x in x {
            let positive = if *x < 0.0 { 0.0 } else { *x };
            *x = positive * positive;
        }
    }
}

multiversion! {
    /// `x := clip(x, 0, 6)`.
    pub fn relu6(x: &mut [f32]) {
        for x in x {
            *x = x.clamp(0.0, 6.0);
        }
    }
}

multiversion! {
    /// `x := x`, or `0.01 x` below 0.
    pub fn leaky_relu(x: &mut [f32]) {
        for x in x {
            *x = if *x < 0.0 { 0.01 * *x } else { *x };
        }
    }
}

multiversion! {
    /// `x := x clip(x + 3, 0, 6) / 6`.
    pub fn hard_swish(x: &mut [f32]) {
        for x in x {
            *x = *x * (*x + 3.0).clamp(0.0, 6.0) / 6.0;
        }
    }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid_of(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

multiversion! {
    /// `x := 1 / (1 + e^-x)`.
    pub fn sigmoid(x: &mut [f32]) {
        for x in x {
            *x = sigmoid_of(*x);
        }
    }
}

multiversion! {
    /// `x := x / (1 + e^-x)`, also called swish.
    pub fn silu(x: &mut [f32]) {
        for x in x {
            *x /= 1.0 + exp(-*x);
        }
    }
}

multiversion! {
    /// `x := (1 + erf((x - 0.707107) / (0.282095 sqrt 2))) / 2` (Ma et al. 2022, MEGA).
    pub fn laplace(x: &mut [f32]) {
        // Rounded to six places in the original too.
        #[expect(clippy::approx_constant)]
        const MEAN: f32 = 0.707_107;
        const SPREAD: f32 = 0.282_095 * std::f32::consts::SQRT_2;
        for x in x {
            *x = 0.5 * (1.0 + erf((*x - MEAN) / SPREAD));
        }
    }
}

/// `ln(1 + e^x)`, without overflow.
#[inline(always)]
fn softplus(x: f32) -> f32 {
    let positive = if x < 0.0 { 0.0 } else { x };
    positive + exp_below_88(-x.abs()).ln_1p()
}

multiversion! {
    /// `x := x tanh(ln(1 + e^x))` (Misra 2019).
    pub fn mish(x: &mut [f32]) {
        for x in x {
            *x *= tanh_of(softplus(*x));
        }
    }
}

multiversion! {
    /// `x := sqrt(ln(1 + e^x))`.
    pub fn sqrt_softplus(x: &mut [f32]) {
        for x in x {
            *x = softplus(*x).sqrt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The oracle is std's f64 exponential.
    #[test]
    fn exp_agrees_with_f64() {
        for step in -8600..8700 {
            let x = step as f32 * 0.01;
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got / want - 1.0).abs() < 3e-7, "exp({x}) = {got}, not {want}");
        }
        assert_eq!(exp(-200.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }

    /// Values of erf to ten digits from Abramowitz & Stegun, table 7.1.
    #[test]
    fn erf_agrees_with_the_table() {
        let table = [
            (0.0, 0.0),
            (0.1, 0.112_462_916_0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (1.5, 0.966_105_146_5),
            (2.0, 0.995_322_265_0),
        ];
        for (x, want) in table {
            assert!((f64::from(erf(x as f32)) - want).abs() < 3e-7, "erf({x})");
            assert!((f64::from(erf(-x as f32)) + want).abs() < 3e-7, "erf(-{x})");
        }
    }

    /// Values of `torch.nn.functional.gelu` in f64 (PyTorch 2.15).
    #[test]
    fn gelu_agrees_with_torch() {
        let mut x = [-3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0];
        let want: [f64; 7] = [
            -0.004_049_694_1,
            -0.158_655_253_9,
            -0.046_017_216_3,
            0.0,
            0.053_982_783_7,
            0.841_344_746_1,
            2.995_950_305_9,
        ];
        gelu(&mut x);
        for (got, want) in x.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{got} {want}");
        }
    }

    /// Values of transformers' `LaplaceActivation` and `ClippedGELUActivation` in f64 (5.23).
    #[test]
    fn laplace_and_clipped_gelu_agree_with_transformers() {
        let mut x = [-3.0, 0.0, 0.5, 0.25, 1.0, 3.0];
        laplace(&mut x);
        let want: [f64; 6] =
            [0.0, 0.006_094_459_6, 0.231_421_148_4, 0.052_573_090_3, 0.850_429_649_3, 1.0];
        for (got, want) in x.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{got} {want}");
        }
        let mut x = [-20.0, -1.0, 3.0, 20.0];
        gelu_clipped(&mut x);
        for (got, want) in x.iter().zip([0.0, -0.158_655_253_9, 2.995_950_305_9, 10.0]) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{got} {want}");
        }
    }

    /// The oracles are the definitions in f64.
    #[test]
    fn the_others_agree_with_their_definitions() {
        for step in -100..=100 {
            let x = step as f32 * 0.1;
            let wide = f64::from(x);
            let apply = |function: fn(&mut [f32])| {
                let mut value = [x];
                function(&mut value);
                f64::from(value[0])
            };
            assert!((apply(tanh) - wide.tanh()).abs() < 2e-7);
            assert!((apply(silu) - wide / (1.0 + (-wide).exp())).abs() < 2e-6);
            assert_eq!(apply(relu), wide.max(0.0));
            let sigmoid = 1.0 / (1.0 + (-wide).exp());
            assert!((apply(super::sigmoid) - sigmoid).abs() < 2e-7);
            let quick = wide / (1.0 + (-1.702 * wide).exp());
            assert!((apply(quick_gelu) - quick).abs() < 2e-6);
            assert_eq!(apply(relu6), wide.clamp(0.0, 6.0));
            assert_eq!(apply(relu_squared), f64::from(x.max(0.0) * x.max(0.0)));
            let leaky = if wide < 0.0 { 0.01 * wide } else { wide };
            assert!((apply(leaky_relu) - leaky).abs() < 1e-7);
            let swish = wide * (wide + 3.0).clamp(0.0, 6.0) / 6.0;
            assert!((apply(hard_swish) - swish).abs() < 2e-6);
            let softplus = wide.exp().ln_1p();
            assert!((apply(mish) - wide * softplus.tanh()).abs() < 2e-6);
            assert!((apply(sqrt_softplus) - softplus.sqrt()).abs() < 1e-6);
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3));
            assert!((apply(gelu_tanh) - 0.5 * wide * (1.0 + inner.tanh())).abs() < 2e-6);
        }
    }
}
