//! What a query and the process may take.

use super::{Gate, Verdict, at_most};
use crate::metric::{fewest_for_quantile, quantile};
use crate::stats::one_sided_ranks;

/// The 99 % quantile of latencies in milliseconds must not exceed `limit_ms`.
///
/// Its one-sided 95 % bounds are latencies, whose ranks the binomial distribution gives; fewer than 299
/// have no upper one. That takes queries for independent, which those of one disturbed second are not.
pub fn p99(latencies_ms: Result<&[f64], &str>, limit_ms: Option<f64>) -> Gate {
    const NAME: &str = "p99";
    let Some(limit) = limit_ms else {
        return Gate::without_data(NAME, None, Verdict::NotSet, "no largest p99 is set");
    };
    let none = |why: &str| Gate::without_data(NAME, Some(limit), Verdict::NotMeasured, why);
    let latencies = match latencies_ms {
        Ok(latencies) if latencies.iter().any(|latency| latency.is_nan()) => {
            return none("a latency is no number");
        }
        Ok(latencies) => latencies,
        Err(why) => return none(why),
    };
    let count = latencies.len();
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) = one_sided_ranks(count, 0.99, 0.95) else {
        let needed = fewest_for_quantile(0.99);
        return none(&format!("{count} queries were timed; a p99 needs {needed}"));
    };
    let Some(value) = quantile(latencies, 0.99) else { return none("no query was timed") };
    let (low, high) = (sorted[low - 1], sorted[high - 1]);
    let description = format!(
        "p99 {value:.2} ms of {count} queries, 95 % bounds {low:.2} to {high:.2} ms, allowed {limit} ms"
    );
    Gate {
        name: NAME,
        verdict: at_most(limit, (low, high)),
        value: Some(value),
        threshold: Some(limit),
        point_passed: value <= limit,
        description,
    }
}

/// The process's largest resident memory in MiB must not exceed `limit_mb`. The kernel counts it, so
/// that there is no doubt to judge.
pub fn memory(peak_mb: Result<f64, &str>, limit_mb: Option<f64>) -> Gate {
    const NAME: &str = "memory";
    let Some(limit) = limit_mb else {
        let not_set = Gate::without_data(NAME, None, Verdict::NotSet, "no largest memory is set");
        return Gate { value: peak_mb.ok(), ..not_set };
    };
    let none = |why: &str| Gate::without_data(NAME, Some(limit), Verdict::NotMeasured, why);
    let peak = match peak_mb {
        Ok(peak) if peak.is_finite() && peak > 0.0 => peak,
        Ok(_) => return none("the system gave no figure"),
        Err(why) => return none(why),
    };
    Gate {
        name: NAME,
        verdict: at_most(limit, (peak, peak)),
        value: Some(peak),
        threshold: Some(limit),
        point_passed: peak <= limit,
        description: format!("peak {peak:.1} MB, allowed {limit} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17, `binom.ppf`: of 1000 values the bounds of p99 are those of the ranks 985 and 996.
    #[test]
    fn p99_is_judged_by_its_bounds() {
        let latencies: Vec<f64> = (1..=1000).map(f64::from).collect();
        let verdict = |limit| p99(Ok(&latencies), Some(limit)).verdict;
        assert_eq!(verdict(996.0), Verdict::Pass);
        assert_eq!(verdict(995.0), Verdict::Inconclusive);
        assert_eq!(verdict(985.0), Verdict::Inconclusive);
        assert_eq!(verdict(984.0), Verdict::Fail);
        let words = p99(Ok(&latencies), Some(995.0)).description;
        assert!(words.contains("p99 990.01 ms of 1000 queries"), "{words}");
    }

    #[test]
    fn p99_of_few_queries_is_none() {
        let few = p99(Ok(&[1.0; 298]), Some(5.0));
        assert_eq!((few.verdict, few.point_passed), (Verdict::NotMeasured, false));
        assert!(few.description.contains("a p99 needs 299"), "{}", few.description);
        assert_eq!(p99(Ok(&[1.0; 299]), Some(5.0)).verdict, Verdict::Pass);
        assert_eq!(p99(Ok(&[f64::NAN; 299]), Some(5.0)).verdict, Verdict::NotMeasured);
        assert_eq!(p99(Err("noise"), Some(5.0)).description, "noise");
        assert_eq!(p99(Err("noise"), None).verdict, Verdict::NotSet);
    }

    #[test]
    fn memory_is_counted() {
        let verdict = |peak, limit| memory(peak, limit).verdict;
        assert_eq!(verdict(Ok(99.5), Some(100.0)), Verdict::Pass);
        assert_eq!(verdict(Ok(100.5), Some(100.0)), Verdict::Fail);
        assert_eq!(verdict(Err("not Linux"), Some(100.0)), Verdict::NotMeasured);
        assert_eq!(verdict(Ok(f64::NAN), Some(100.0)), Verdict::NotMeasured);
        assert_eq!(verdict(Ok(1.0), None), Verdict::NotSet);
    }
}
