//! What a number of rows can show, before anyone reads a verdict into it.
//!
//! Exact sums over the trinomial distribution of rows lost, rows gained and rows alike: given how many
//! rows differ, the lost ones among them are binomial.

use super::binomial::Binomial;
use super::{Drop, Z_95};

/// The usual power.
const POWER: f64 = 0.8;
/// Counts less likely than this do not matter to a power of three digits.
const NEGLIGIBLE: f64 = 1e-9;

/// The smallest true drop that `rows` rows show in 80 % of cases, when the models differ on the share
/// `flips` of rows: that the one-sided 95 % bound of the drop lies above 0. Where the drop needs more
/// flips than that, every flip is a loss. `None` where not even the loss of all rows would show.
pub fn smallest_drop(rows: usize, flips: f64) -> Option<f64> {
    let shows = |drop: f64| {
        let flips = flips.max(drop);
        let lost = if flips > 0.0 { (1.0 + drop / flips) / 2.0 } else { 0.5 };
        probability(rows, flips, |differing| {
            Binomial::new(differing, lost).at_least(fewest_lost(differing))
        }) >= POWER
    };
    smallest(shows, 1.0)
}

/// Of `differing` rows, the fewest losses that put the one-sided bound above 0. Tango's score of no drop
/// is `(lost - gained) / sqrt(lost + gained)`.
fn fewest_lost(differing: usize) -> usize {
    let m = differing as f64;
    let lost = ((m + Z_95 * m.sqrt()) / 2.0).floor() as usize;
    lost + 1
}

/// The smallest margin with which a model that is as good as its baseline, but differs on the share
/// `flips` of rows, passes in 80 % of cases: that the one-sided 95 % bound is within it. `None` where no
/// margin below 1 is enough.
pub fn smallest_margin(rows: usize, flips: f64) -> Option<f64> {
    let passes = |margin: f64| {
        probability(rows, flips, |differing| {
            most_lost(rows, differing, margin)
                .map_or(0.0, |lost| Binomial::new(differing, 0.5).at_most(lost))
        }) >= POWER
    };
    smallest(passes, 1.0 - 1e-9)
}

/// Of `differing` rows, the most losses whose upper bound is within `margin`: the bound rises with them.
fn most_lost(rows: usize, differing: usize, margin: f64) -> Option<usize> {
    let passes = |lost: usize| Drop { lost, gained: differing - lost, rows }.is_below(margin, Z_95);
    if !passes(0) {
        return None;
    }
    let (mut good, mut bad) = (0, differing + 1);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if passes(middle) { good = middle } else { bad = middle }
    }
    Some(good)
}

/// The mean of `of` over the number of rows that differ, each with the chance `flips`.
fn probability(rows: usize, flips: f64, of: impl Fn(usize) -> f64) -> f64 {
    let differing = Binomial::new(rows, flips);
    let mean = (rows as f64 * flips).round() as usize;
    let sum = |counts: &mut dyn Iterator<Item = usize>| {
        let mut sum = 0.0;
        for count in counts {
            let mass = differing.mass(count);
            if mass < NEGLIGIBLE {
                break;
            }
            sum += mass * of(count);
        }
        sum
    };
    let mean = mean.min(rows);
    sum(&mut (0..mean).rev()) + sum(&mut (mean..=rows))
}

/// The smallest value up to `last` for which `holds`, which stays true once it is.
fn smallest(holds: impl Fn(f64) -> bool, last: f64) -> Option<f64> {
    if !holds(last) {
        return None;
    }
    let (mut bad, mut good) = (0.0, last);
    // To a ten-thousandth of a percentage point.
    while good - bad > 1e-6 {
        let middle = f64::midpoint(bad, good);
        if holds(middle) { good = middle } else { bad = middle }
    }
    Some(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of exact trinomial sums, made in Python, in percentage points: rows, flips, smallest
    /// margin, smallest drop.
    #[test]
    fn power_of_some_data_sets() {
        let table = [
            (100, 0.05, 6.42, 4.72),
            (277, 0.02, 2.55, 1.83),
            (277, 0.05, 3.62, 3.16),
            (408, 0.02, 1.96, 1.60),
            (408, 0.10, 4.00, 3.83),
            (872, 0.01, 0.97, 0.78),
            (872, 0.02, 1.27, 1.14),
            (1500, 0.05, 1.46, 1.42),
            (9815, 0.01, 0.25, 0.25),
            (9815, 0.02, 0.36, 0.35),
        ];
        for (rows, flips, margin, drop) in table {
            let got = smallest_margin(rows, flips).expect("a margin") * 100.0;
            assert!((got - margin).abs() < 0.0051, "{rows} {flips}: margin {got}");
            let got = smallest_drop(rows, flips).expect("a drop") * 100.0;
            assert!((got - drop).abs() < 0.0051, "{rows} {flips}: drop {got}");
        }
    }

    /// Without any flip the bound is z^2 / (n + z^2); and three rows of three must be lost to show it.
    #[test]
    fn the_ends() {
        let margin = smallest_margin(277, 0.0).expect("a margin");
        assert!((margin - Z_95 * Z_95 / (277.0 + Z_95 * Z_95)).abs() < 2e-6, "{margin}");
        assert_eq!(smallest_drop(2, 0.0), None);
        let three = smallest_drop(3, 0.0).expect("a drop");
        assert!((three - 0.8f64.cbrt()).abs() < 2e-6, "{three}");
    }
}
