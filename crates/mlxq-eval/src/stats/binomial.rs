//! Tails of the binomial distribution, which tests, ranks and power are made of.

use statrs::function::gamma::ln_gamma;

/// The number of successes of `trials` with probability `chance` each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binomial {
    trials: usize,
    chance: f64,
}

impl Binomial {
    pub(crate) fn new(trials: usize, chance: f64) -> Self {
        Self { trials, chance: chance.clamp(0.0, 1.0) }
    }

    /// The probability of exactly `count`, by logarithms, so that it is there for millions of trials.
    pub(crate) fn mass(&self, count: usize) -> f64 {
        let (n, k) = (self.trials as f64, count as f64);
        if count > self.trials {
            return 0.0;
        }
        if self.chance == 0.0 || self.chance == 1.0 {
            let certain = if self.chance == 0.0 { 0 } else { self.trials };
            return f64::from(u8::from(count == certain));
        }
        let ways = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
        (ways + k * self.chance.ln() + (n - k) * (-self.chance).ln_1p()).exp()
    }

    /// The probability of `count` or fewer, summed from its largest term on.
    pub(crate) fn at_most(&self, count: usize) -> f64 {
        if count >= self.trials {
            return 1.0;
        }
        if (count as f64) < self.trials as f64 * self.chance {
            self.falling_sum(count)
        } else {
            1.0 - self.rising_sum(count + 1)
        }
    }

    /// The probability of `count` or more.
    pub(crate) fn at_least(&self, count: usize) -> f64 {
        if count == 0 {
            return 1.0;
        }
        if count as f64 > self.trials as f64 * self.chance {
            self.rising_sum(count)
        } else {
            1.0 - self.falling_sum(count - 1)
        }
    }

    /// Terms from `first`, which lies below the mean, downward: each is smaller than the one before.
    fn falling_sum(&self, first: usize) -> f64 {
        let odds = (1.0 - self.chance) / self.chance;
        let mut term = self.mass(first);
        let mut sum = 0.0;
        for count in (0..=first).rev() {
            sum += term;
            if term <= sum * f64::EPSILON / 4.0 {
                break;
            }
            term *= odds * count as f64 / (self.trials - count + 1) as f64;
        }
        sum.min(1.0)
    }

    /// Terms from `first`, which lies above the mean, upward.
    fn rising_sum(&self, first: usize) -> f64 {
        if first > self.trials {
            return 0.0;
        }
        let mirrored = Self { trials: self.trials, chance: 1.0 - self.chance };
        mirrored.falling_sum(self.trials - first)
    }
}

/// The ranks, from 1, of the order statistics of `count` values between which their `p`-quantile lies
/// with 95 % confidence: `F^-1(0.025)` and `F^-1(0.975) + 1` of the binomial distribution. Where there
/// are too few values for a side it has none.
pub(crate) fn quantile_ranks(count: usize, p: f64) -> (Option<usize>, Option<usize>) {
    one_sided_ranks(count, p, 0.975)
}

/// As [`quantile_ranks`] with each side by itself of that confidence.
pub(crate) fn one_sided_ranks(
    count: usize,
    p: f64,
    confidence: f64,
) -> (Option<usize>, Option<usize>) {
    let below = Binomial::new(count, p);
    // The value of rank r exceeds the quantile when fewer than r values lie below it.
    let upper = (1..=count).find(|rank| below.at_most(rank - 1) >= confidence);
    let lower = (1..=count).rev().find(|rank| below.at_least(*rank) >= confidence);
    (lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17, `binom.cdf` and `binom.sf`.
    #[test]
    fn tails_agree_with_scipy() {
        let close = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-10, "{got} {want}");
        close(Binomial::new(20, 0.5).at_most(5), 0.020_694_732_666_015_625);
        close(Binomial::new(95, 0.5).at_least(60), 0.006_689_351_513_001_97);
        close(Binomial::new(9815, 0.003).at_most(20), 0.043_223_162_516_676_2);
        close(Binomial::new(9815, 0.003).at_least(41), 0.025_077_963_039_860_5);
        close(Binomial::new(9815, 0.003).mass(30), 0.072_367_497_598_803_2);
        assert_eq!(Binomial::new(3, 0.5).at_most(3), 1.0);
        assert_eq!(Binomial::new(3, 0.5).at_least(4), 0.0);
        assert_eq!(Binomial::new(3, 0.0).at_most(0), 1.0);
        assert_eq!(Binomial::new(3, 1.0).at_least(3), 1.0);
    }

    /// scipy 1.17, `binom.ppf`: ranks of the percentiles of 1000, 500 and 200 values.
    #[test]
    fn ranks_of_quantiles() {
        assert_eq!(quantile_ranks(1000, 0.95), (Some(936), Some(964)));
        assert_eq!(quantile_ranks(1000, 0.99), (Some(983), Some(997)));
        assert_eq!(quantile_ranks(500, 0.99), (Some(490), Some(500)));
        assert_eq!(quantile_ranks(200, 0.95), (Some(184), Some(197)));
        assert_eq!(quantile_ranks(200, 0.99).1, None);
        // 0.99^298 is above 5 %, 0.99^299 is not.
        assert_eq!(one_sided_ranks(298, 0.99, 0.95).1, None);
        assert_eq!(one_sided_ranks(299, 0.99, 0.95).1, Some(299));
    }
}
