//! What a converted model must meet: a model's own gates over those for all models over the built-in ones.

use mlxq_eval::gate::SizeRule;
use serde::Deserialize;

use super::file::Quantization;

/// What a converted model must meet; `None`: not judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Gates {
    /// The largest drop of the primary figure, as a share.
    pub max_accuracy_drop: Option<f64>,
    /// How many times as fast as PyTorch at least.
    pub min_speedup: f64,
    /// The folder's size in MiB.
    pub target_size_mb: Option<f64>,
    /// How far from it the size may be, as a share of it.
    pub size_tolerance: f64,
    /// In which directions.
    pub size_rule: SizeRule,
    /// The largest 99 % quantile of a query's milliseconds.
    pub max_p99_ms: Option<f64>,
    /// The largest peak of the process's memory in MiB.
    pub max_memory_mb: Option<f64>,
    /// The smallest share of rows with the original's answer.
    pub min_agreement: Option<f64>,
    /// The largest mean KL divergence from the original's distributions, in nats.
    pub max_kl: Option<f64>,
}

/// Gates as they are written, of one model or of all.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GateKeys {
    max_accuracy_drop: Option<f64>,
    min_speedup: Option<f64>,
    size_tolerance: Option<f64>,
    max_p99_ms: Option<f64>,
    max_memory_mb: Option<f64>,
    min_agreement: Option<f64>,
    max_kl: Option<f64>,
}

/// Milliseconds, MiB and nats beyond these are mistakes.
const LARGEST: f64 = 1e9;

impl GateKeys {
    /// Refuses numbers that no gate can mean.
    pub(super) fn check(&self) -> Result<(), String> {
        in_range("max_accuracy_drop", self.max_accuracy_drop, 1.0)?;
        in_range("min_speedup", self.min_speedup, 1e6)?;
        in_range("size_tolerance", self.size_tolerance, 1.0)?;
        positive("max_p99_ms", self.max_p99_ms)?;
        positive("max_memory_mb", self.max_memory_mb)?;
        in_range("min_agreement", self.min_agreement, 1.0)?;
        in_range("max_kl", self.max_kl, LARGEST)
    }

    /// These, and `others` where there is nothing here.
    pub(super) fn over(&self, others: &Self) -> Self {
        Self {
            max_accuracy_drop: self.max_accuracy_drop.or(others.max_accuracy_drop),
            min_speedup: self.min_speedup.or(others.min_speedup),
            size_tolerance: self.size_tolerance.or(others.size_tolerance),
            max_p99_ms: self.max_p99_ms.or(others.max_p99_ms),
            max_memory_mb: self.max_memory_mb.or(others.max_memory_mb),
            min_agreement: self.min_agreement.or(others.min_agreement),
            max_kl: self.max_kl.or(others.max_kl),
        }
    }

    /// These and the keys that the original pipeline has in `quantization`.
    ///
    /// # Errors
    /// When one is given in both places.
    fn with(&self, quantization: &Quantization) -> Result<Self, String> {
        let [drop, speed] = [quantization.max_accuracy_drop, quantization.min_speedup];
        for (key, twice) in [
            ("max_accuracy_drop", drop.is_some() && self.max_accuracy_drop.is_some()),
            ("min_speedup", speed.is_some() && self.min_speedup.is_some()),
        ] {
            if twice {
                return Err(format!("`{key}` is given in `quantization` and in `gates`"));
            }
        }
        let keys = Self { max_accuracy_drop: drop, min_speedup: speed, ..Self::default() };
        keys.check()?;
        Ok(self.over(&keys))
    }
}

/// The gates of a model: its own `keys`, those of its `quantization`, then those for all models.
///
/// # Errors
/// When a number is out of its range or given twice.
pub(super) fn gates(
    keys: &GateKeys,
    quantization: &Quantization,
    all: &GateKeys,
) -> Result<Gates, String> {
    keys.check()?;
    let keys = keys.with(quantization)?.over(all);
    let size_rule = match quantization.size_gate.as_deref() {
        None | Some("within") => SizeRule::Within,
        Some("max") => SizeRule::Max,
        Some(other) => return Err(format!("`size_gate` is `{other}`, expected within or max")),
    };
    positive("target_size_mb", quantization.target_size_mb)?;
    Ok(Gates {
        max_accuracy_drop: keys.max_accuracy_drop,
        min_speedup: keys.min_speedup.unwrap_or(1.2),
        target_size_mb: quantization.target_size_mb,
        size_tolerance: keys.size_tolerance.unwrap_or(0.1),
        size_rule,
        max_p99_ms: keys.max_p99_ms,
        max_memory_mb: keys.max_memory_mb,
        min_agreement: keys.min_agreement,
        max_kl: keys.max_kl,
    })
}

fn in_range(key: &str, value: Option<f64>, largest: f64) -> Result<(), String> {
    match value {
        Some(value) if !(0.0..=largest).contains(&value) => {
            Err(format!("`{key}` is {value}, expected 0 to {largest}"))
        }
        _ => Ok(()),
    }
}

fn positive(key: &str, value: Option<f64>) -> Result<(), String> {
    match value {
        Some(value) if !(value > 0.0 && value <= LARGEST) => {
            Err(format!("`{key}` is {value}, expected more than 0 and at most {LARGEST}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> GateKeys {
        serde_saphyr::from_str(text).expect("gates")
    }

    #[test]
    fn a_models_gates_go_before_those_of_all_models() {
        let quantization: Quantization =
            serde_saphyr::from_str("{max_accuracy_drop: 0.02}").expect("quantization");
        let all = keys("{max_accuracy_drop: 0.01, min_agreement: 0.98, max_kl: 0.01}");
        let own = keys("{max_kl: 0.5, max_p99_ms: 20}");
        let gates = gates(&own, &quantization, &all).expect("gates");
        assert_eq!((gates.max_accuracy_drop, gates.max_kl), (Some(0.02), Some(0.5)));
        assert_eq!((gates.min_agreement, gates.max_p99_ms), (Some(0.98), Some(20.0)));
        assert_eq!((gates.min_speedup, gates.size_tolerance), (1.2, 0.1));
        assert_eq!((gates.max_memory_mb, gates.target_size_mb), (None, None));
    }

    #[test]
    fn numbers_that_no_gate_can_mean_are_refused() {
        for (text, word) in [
            ("{max_accuracy_drop: 1.5}", "expected 0 to 1"),
            ("{max_accuracy_drop: -0.01}", "expected 0 to 1"),
            ("{min_speedup: .inf}", "min_speedup"),
            ("{size_tolerance: 10}", "size_tolerance"),
            ("{max_p99_ms: 0}", "more than 0"),
            ("{max_memory_mb: -5}", "more than 0"),
            ("{min_agreement: 98}", "expected 0 to 1"),
            ("{max_kl: .nan}", "max_kl"),
        ] {
            let error = keys(text).check().expect_err(text);
            assert!(error.contains(word), "{error}");
        }
        let twice: Quantization = serde_saphyr::from_str("{min_speedup: 1}").expect("quantization");
        let error = gates(&keys("{min_speedup: 1.2}"), &twice, &GateKeys::default());
        assert!(error.expect_err("twice").contains("`min_speedup` is given"));
    }
}
