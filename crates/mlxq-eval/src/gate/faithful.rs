//! Whether the converted model still says what its original says.

use super::{Gate, Verdict, at_least, at_most};
use crate::stats::{resample, wilson_bounds};

/// Resamples of the bootstrap, and its seed.
const RESAMPLES: usize = 10_000;
const SEED: u64 = 42;
/// Rows below which a bootstrap's interval of a mean is too narrow to decide by.
const FEWEST_ROWS: usize = 50;

/// At least the share `least` of rows must keep the original's answer: `(kept, rows)`, judged by
/// Wilson's one-sided 95 % bounds.
pub fn agreement(counts: Result<(usize, usize), &str>, least: Option<f64>) -> Gate {
    const NAME: &str = "agreement";
    let Some(least) = least else {
        return Gate::without_data(NAME, None, Verdict::NotSet, "no smallest agreement is set");
    };
    let none = |why: &str| Gate::without_data(NAME, Some(least), Verdict::NotMeasured, why);
    let (kept, rows) = match counts {
        Ok((_, 0)) => return none("there are no rows"),
        Ok(counts) => counts,
        Err(why) => return none(why),
    };
    let value = kept as f64 / rows as f64;
    let (low, high) = wilson_bounds(kept, rows);
    let description = format!(
        "{:.2} % of answers are the original's ({kept} of {rows}), 95 % bounds {:.2} to {:.2} %, \
         wanted {} %",
        value * 100.0,
        low * 100.0,
        high * 100.0,
        least * 100.0
    );
    Gate {
        name: NAME,
        verdict: at_least(least, (low, high)),
        value: Some(value),
        threshold: Some(least),
        point_passed: value >= least,
        description,
    }
}

/// The mean divergence of the rows, in nats, must not exceed `limit`.
///
/// It is judged by a bootstrap of the rows, because divergences are far from normal: many are almost 0,
/// a few are large. Fewer than 50 rows decide nothing. One that is infinite makes the mean so.
pub fn kl(divergences: Result<&[f64], &str>, limit: Option<f64>) -> Gate {
    const NAME: &str = "kl";
    let Some(limit) = limit else {
        return Gate::without_data(NAME, None, Verdict::NotSet, "no largest divergence is set");
    };
    let none = |why: &str| Gate::without_data(NAME, Some(limit), Verdict::NotMeasured, why);
    let divergences = match divergences {
        Ok([]) => return none("there are no rows"),
        Ok(rows) if rows.iter().any(|row| row.is_nan()) => {
            return none("a divergence is no number");
        }
        Ok(rows) => rows,
        Err(why) => return none(why),
    };
    let rows = divergences.len();
    let value = divergences.iter().sum::<f64>() / rows as f64;
    let mean = |sample: &[usize]| {
        Some(sample.iter().map(|row| divergences[*row]).sum::<f64>() / rows as f64)
    };
    let (low, high) = if value.is_infinite() {
        (value, value)
    } else {
        resample(rows, RESAMPLES, SEED, mean).map_or((f64::NAN, f64::NAN), |drawn| drawn.bounds)
    };
    let is_short = rows < FEWEST_ROWS && value.is_finite();
    let verdict = if is_short { Verdict::Inconclusive } else { at_most(limit, (low, high)) };
    let mut description = format!(
        "mean divergence {value:.5} nats ({rows} rows, {RESAMPLES} resamples), 95 % bounds {low:.5} to \
         {high:.5}, allowed {limit}"
    );
    if is_short {
        description.push_str(&format!("; too few rows to decide: {FEWEST_ROWS} are needed"));
    }
    Gate {
        name: NAME,
        verdict,
        value: Some(value),
        threshold: Some(limit),
        point_passed: value <= limit,
        description,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, z = 1.645: where all of n rows agree the bound is n / (n + z^2), 0.98 with 133 rows.
    #[test]
    fn agreement_needs_its_bound() {
        let verdict = |kept, rows| agreement(Ok((kept, rows)), Some(0.98)).verdict;
        assert_eq!(verdict(133, 133), Verdict::Pass);
        assert_eq!(verdict(132, 132), Verdict::Inconclusive);
        assert_eq!(verdict(900, 1000), Verdict::Fail);
        assert_eq!(verdict(0, 0), Verdict::NotMeasured);
        assert_eq!(agreement(Err("embeddings"), Some(0.98)).verdict, Verdict::NotMeasured);
        assert_eq!(agreement(Err("embeddings"), None).verdict, Verdict::NotSet);
    }

    /// The normal interval of 400 rows that are 0 or 0.02: 0.01 +- 1.645 * 0.01 / 20.
    #[test]
    fn divergence_needs_its_bound() {
        let rows: Vec<f64> = (0..400).map(|row| if row % 2 == 0 { 0.0 } else { 0.02 }).collect();
        let verdict = |limit| kl(Ok(&rows), Some(limit)).verdict;
        assert_eq!(verdict(0.0110), Verdict::Pass);
        assert_eq!(verdict(0.0100), Verdict::Inconclusive);
        assert_eq!(verdict(0.0090), Verdict::Fail);
        assert_eq!(kl(Ok(&rows[..49]), Some(1.0)).verdict, Verdict::Inconclusive);
        assert_eq!(kl(Ok(&[f64::INFINITY]), Some(1.0)).verdict, Verdict::Fail);
        assert_eq!(kl(Ok(&[f64::NAN]), Some(1.0)).verdict, Verdict::NotMeasured);
        assert_eq!(kl(Ok(&[]), Some(1.0)).verdict, Verdict::NotMeasured);
        assert_eq!(kl(Err("embeddings"), Some(1.0)).verdict, Verdict::NotMeasured);
        assert_eq!(kl(Ok(&[0.0; 60]), Some(0.01)).verdict, Verdict::Pass);
    }
}
