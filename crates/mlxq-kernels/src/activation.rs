//! Activation functions, in f32.

use std::f32::consts::LOG2_E;

use crate::isa::multiversion;
use crate::power::exp2;

/// `e^x`, relative error below `(2 + |x|) 1e-7`; 0 below about -87, clamped above 88; NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x * LOG2_E;
    exp2(if x > 127.0 { 127.0 } else { x })
}

/// The part of the standard normal distribution beyond `x >= 0`, `erfc(x / sqrt 2) / 2`, by Abramowitz &
/// Stegun 7.1.26: absolute error below 0.8e-7 and rounding.
#[inline(always)]
fn normal_beyond(x: f32) -> f32 {
    const FACTOR: f32 = 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2;
    // Half of theirs.
    const TERMS: [f32; 4] = [-0.726_576, 0.710_706_9, -0.142_248_37, 0.127_414_8];
    let t = 1.0 / (1.0 + FACTOR * x);
    let mut series = 0.530_702_7;
    for term in TERMS {
        series = series * t + term;
    }
    series * t * exp2(x * x * (-0.5 * LOG2_E))
}

/// `x` times the part of the standard normal distribution below it.
#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    let (magnitude, positive) = (x.abs(), if x > 0.0 { x } else { 0.0 });
    // Beyond it nothing is left, of which infinity would make no number.
    let magnitude = if magnitude > 1e30 { 1e30 } else { magnitude };
    positive - magnitude * normal_beyond(magnitude)
}

multiversion! {
    /// `x := x / 2 * (1 + erf(x / sqrt 2))`: GELU as defined (Hendrycks & Gimpel 2016), absolute
    /// error below 3e-7 times `|x|`.
    pub fn gelu(x: &mut [f32]) {
        for x in x {
            *x = gelu_of(*x);
        }
    }
}

multiversion! {
    /// `x := x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`: GELU's tanh form, the
    /// `gelu_new` of transformers.
    pub fn gelu_tanh(x: &mut [f32]) {
        // (1 + tanh y) / 2 = sigmoid(2 y).
        const FACTOR: f32 = 2.0 * 0.797_884_6;
        for x in x {
            *x /= 1.0 + exp(*x * (-FACTOR - 0.044_715 * FACTOR * (*x * *x)));
        }
    }
}

/// `tanh x = (1 - e^-2|x|) / (1 + e^-2|x|)` with the sign of `x`; absolute error below 1e-7.
#[inline(always)]
fn tanh_of(x: f32) -> f32 {
    let decay = exp2(x.abs() * (-2.0 * LOG2_E));
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
            *x = gelu_of(*x).clamp(-10.0, 10.0);
        }
    }
}

multiversion! {
    /// `x := x sigmoid(1.702 x)`, a fast form of GELU.
    pub fn quick_gelu(x: &mut [f32]) {
        for x in x {
            *x /= 1.0 + exp(-1.702 * *x);
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

multiversion! {
    /// `x := 1 / (1 + e^-x)`.
    pub fn sigmoid(x: &mut [f32]) {
        for x in x {
            *x = 1.0 / (1.0 + exp(-*x));
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
        const SPREAD: f32 = 0.282_095;
        for x in x {
            let place = (*x - MEAN) / SPREAD;
            let beyond = normal_beyond(place.abs());
            *x = if place > 0.0 { 1.0 - beyond } else { beyond };
        }
    }
}

/// `ln(1 + e^x)`, without overflow.
#[inline(always)]
fn softplus(x: f32) -> f32 {
    let positive = if x < 0.0 { 0.0 } else { x };
    positive + exp2(-LOG2_E * x.abs()).ln_1p()
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
            let bound = 1e-7 * f64::from(2.0 + x.abs());
            assert!((got / want - 1.0).abs() < bound, "exp({x}) = {got}, not {want}");
        }
        assert_eq!(exp(-200.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(1e6).is_finite() && exp(f32::NAN).is_nan());
    }

    /// Values of erf to ten digits from Abramowitz & Stegun, table 7.1.
    #[test]
    fn the_normal_distribution_agrees_with_the_table_of_erf() {
        let table = [
            (0.0, 0.0),
            (0.1, 0.112_462_916_0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (1.5, 0.966_105_146_5),
            (2.0, 0.995_322_265_0),
        ];
        for (x, want) in table {
            let beyond = f64::from(normal_beyond((x * std::f64::consts::SQRT_2) as f32));
            assert!((1.0 - 2.0 * beyond - want).abs() < 3e-7, "erf({x})");
        }
    }

    /// The bound that the documentation gives; the oracle is Simpson's rule in f64 for the normal
    /// distribution, whose error at this step is below 1e-12.
    #[test]
    fn gelu_keeps_its_bound() {
        let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (step, mut below) = (1.0 / 128.0, 0.5);
        for place in 0..1024 {
            for (x, part) in [(1.0, below), (-1.0, 1.0 - below)] {
                let x = x * f64::from(place) * step;
                let mut got = [x as f32];
                gelu(&mut got);
                let error = (f64::from(got[0]) - x * part).abs();
                assert!(
                    error <= 3e-7 * x.abs() + 1e-12,
                    "gelu({x}) = {}, not {}",
                    got[0],
                    x * part
                );
            }
            let x = f64::from(place) * step;
            below += (density(x) + 4.0 * density(x + step / 2.0) + density(x + step)) * step / 6.0;
        }
        let mut ends = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        gelu(&mut ends);
        assert!(ends[0] == f32::INFINITY && ends[1] == 0.0 && ends[2].is_nan());
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
