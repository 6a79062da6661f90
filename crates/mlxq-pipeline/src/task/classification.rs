//! The label of a text or a pair: the largest logit of a classification head.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::labels::match_labels;
use mlxq_eval::metric::Metric;

use super::{Answers, Labelled, Material, References, Rules, needs_head};
use crate::PipelineError;
use crate::predict::largest;

/// Classification of texts or pairs, one label each.
pub(super) struct Classification;

impl Rules for Classification {
    fn names(&self) -> &'static [&'static str] {
        &[
            "text-classification",
            "classification",
            "pair-classification",
            "sentiment-analysis",
            "sentiment",
        ]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric::Accuracy]
    }

    fn also(&self) -> &'static [Metric] {
        &[
            Metric::BalancedAccuracy,
            Metric::BinaryF1,
            Metric::MacroF1,
            Metric::MicroF1,
            Metric::Matthews,
        ]
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        References::labels(&material.data, self.names()[0])
    }

    fn answers(
        &self,
        material: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError> {
        needs_head(info)?;
        let classes = match_labels(&material.data.labels, &info.labels, &material.label_map)?;
        let said = (0..output.rows).map(|row| largest(output.row(row))).collect();
        Ok(Answers::Labels(Labelled {
            classes,
            names: info.labels.clone(),
            said,
            scores: Vec::new(),
        }))
    }
}
