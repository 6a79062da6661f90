//! Probabilities of classes, before and after.

use super::{LARGEST_KL, LEAST_AGREEMENT};
use crate::metric::{percentile, quantile};
use crate::stats::wilson;

/// Softmax distributions P of the original and Q of the converted model, row by row, in f64.
#[derive(Debug, Clone, PartialEq)]
pub struct LogitFidelity {
    /// `KL(P || Q) = sum P (ln P - ln Q)` of each row in nats; infinite where Q says that what P holds
    /// possible is not.
    pub kl: Vec<f64>,
    /// Rows whose largest logit is in the same place, the first among equals.
    pub agreed: usize,
    /// The largest `|P - Q|` of any class.
    pub largest_probability_difference: f64,
    /// Mean of `Q - P` of the class that P prefers.
    pub top_probability_mean: f64,
    /// Root mean square of the same.
    pub top_probability_rms: f64,
    /// The largest difference of a logit.
    pub largest_logit_difference: f64,
}

impl LogitFidelity {
    /// Compares logits `[rows, classes]` with those of the same rows and classes. `None` for no rows,
    /// fewer than two classes, lengths that differ, or a logit that is NaN.
    pub fn of(base: &[f32], converted: &[f32], classes: usize) -> Option<Self> {
        let fits =
            classes >= 2 && base.len() == converted.len() && base.len().is_multiple_of(classes);
        if !fits || base.is_empty() || base.iter().chain(converted).any(|logit| logit.is_nan()) {
            return None;
        }
        let rows = base.chunks_exact(classes).zip(converted.chunks_exact(classes));
        let mut all = Self {
            kl: Vec::with_capacity(base.len() / classes),
            agreed: 0,
            largest_probability_difference: 0.0,
            top_probability_mean: 0.0,
            top_probability_rms: 0.0,
            largest_logit_difference: 0.0,
        };
        for (base, converted) in rows {
            all.add(base, converted);
        }
        let count = all.kl.len() as f64;
        all.top_probability_mean /= count;
        all.top_probability_rms = (all.top_probability_rms / count).sqrt();
        Some(all)
    }

    fn add(&mut self, base: &[f32], converted: &[f32]) {
        let (p, q) = (log_softmax(base), log_softmax(converted));
        let mut divergence = 0.0;
        for (ln_p, ln_q) in p.iter().zip(&q) {
            let probability = ln_p.exp();
            if probability > 0.0 {
                divergence += probability * (ln_p - ln_q);
            }
            let difference = (probability - ln_q.exp()).abs();
            self.largest_probability_difference =
                self.largest_probability_difference.max(difference);
        }
        // Rounding may put it a little below 0.
        self.kl.push(divergence.max(0.0));
        let top = largest(base);
        self.agreed += usize::from(top == largest(converted));
        let moved = q[top].exp() - p[top].exp();
        self.top_probability_mean += moved;
        self.top_probability_rms += moved * moved;
        for (a, b) in base.iter().zip(converted) {
            // Two equal infinite logits have no difference.
            let difference = if a == b { 0.0 } else { (f64::from(*a) - f64::from(*b)).abs() };
            self.largest_logit_difference = self.largest_logit_difference.max(difference);
        }
    }

    /// Rows compared.
    pub fn rows(&self) -> usize {
        self.kl.len()
    }

    /// Mean divergence in nats.
    pub fn kl_mean(&self) -> f64 {
        self.kl.iter().sum::<f64>() / self.kl.len() as f64
    }

    /// Median divergence.
    pub fn kl_median(&self) -> f64 {
        quantile(&self.kl, 0.5).unwrap_or(f64::NAN)
    }

    /// A quantile of the divergence; `None` where there are too few rows for it.
    pub fn kl_percentile(&self, p: f64) -> Option<f64> {
        percentile(&self.kl, p)
    }

    /// The largest divergence.
    pub fn kl_max(&self) -> f64 {
        self.kl.iter().copied().fold(0.0, f64::max)
    }

    /// Share of rows with the original's answer.
    pub fn agreement(&self) -> f64 {
        self.agreed as f64 / self.rows() as f64
    }

    /// Its 95 % interval, Wilson's.
    pub fn agreement_interval(&self) -> (f64, f64) {
        wilson(self.agreed, self.rows())
    }

    /// What is worth a warning, in words.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let share = self.agreement();
        if share < LEAST_AGREEMENT {
            doubts.push(format!(
                "{:.2} % of the answers are the original's, fewer than {} %",
                share * 100.0,
                LEAST_AGREEMENT * 100.0
            ));
        }
        let mean = self.kl_mean();
        if mean > LARGEST_KL {
            doubts.push(format!(
                "the mean divergence from the original is {mean:.4} nats, more than {LARGEST_KL}"
            ));
        }
        doubts
    }
}

/// Logarithms of the softmax. Infinite logits share all probability.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let relative = |logit: &f32| {
        if *logit == most { 0.0 } else { f64::from(*logit) - f64::from(most) }
    };
    let total = logits.iter().map(|logit| relative(logit).exp()).sum::<f64>().ln();
    logits.iter().map(|logit| relative(logit) - total).collect()
}

fn largest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (place, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = place;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: [f32; 9] = [2.0, 0.5, -1.0, 0.1, 0.0, 0.2, -1.0, 3.0, 0.5];
    const CONVERTED: [f32; 9] = [1.9, 0.6, -1.1, 0.1, 0.3, 0.2, -0.8, 2.7, 0.4];

    /// scipy 1.17 (`softmax`, `rel_entr`) on the same numbers in f64; those of f32 differ by 1e-8.
    #[test]
    fn three_rows_agree_with_scipy() {
        let found = LogitFidelity::of(&BASE, &CONVERTED, 3).expect("rows");
        let close = |got: f64, want: f64| assert!((got - want).abs() < 5e-8, "{got} {want}");
        let rows = [0.003_017_533_480, 0.009_817_118_393, 0.003_705_591_934];
        for (got, want) in found.kl.iter().zip(rows) {
            close(*got, want);
        }
        close(found.kl_mean(), 0.005_513_414_603);
        close(found.kl_median(), 0.003_705_591_934);
        close(found.kl_max(), 0.009_817_118_393);
        close(found.largest_probability_difference, 0.066_555_795_755);
        close(found.largest_logit_difference, 0.3);
        assert_eq!((found.agreed, found.rows()), (2, 3));
        assert_eq!(found.kl_percentile(0.95), None);
        assert_eq!(found.doubts().len(), 1, "{:?}", found.doubts());
    }

    #[test]
    fn a_model_is_faithful_to_itself() {
        let found = LogitFidelity::of(&BASE, &BASE, 3).expect("rows");
        assert_eq!((found.kl_max(), found.agreed), (0.0, 3));
        assert_eq!(found.largest_probability_difference, 0.0);
        assert_eq!((found.top_probability_mean, found.top_probability_rms), (0.0, 0.0));
        assert!(found.doubts().is_empty());
    }

    /// By hand: P = (1/2, 1/2), Q = (1, 0), so that ln P - ln Q has no bound.
    #[test]
    fn what_is_ruled_out_wrongly_is_infinite() {
        let found = LogitFidelity::of(&[0.0, 0.0], &[0.0, f32::NEG_INFINITY], 2).expect("a row");
        assert_eq!(found.kl, [f64::INFINITY]);
        assert_eq!(found.largest_probability_difference, 0.5);
        assert_eq!(found.top_probability_mean, 0.5);
        let back = LogitFidelity::of(&[0.0, f32::NEG_INFINITY], &[0.0, 0.0], 2).expect("a row");
        assert!((back.kl[0] - 2f64.ln()).abs() < 1e-15, "{back:?}");
    }

    #[test]
    fn what_cannot_be_compared_is_not() {
        assert_eq!(LogitFidelity::of(&[1.0, 2.0], &[1.0, 2.0], 1), None);
        assert_eq!(LogitFidelity::of(&[], &[], 3), None);
        assert_eq!(LogitFidelity::of(&[1.0, 2.0], &[1.0, 2.0, 3.0], 2), None);
        assert_eq!(LogitFidelity::of(&[1.0, f32::NAN], &[1.0, 2.0], 2), None);
    }
}
