//! Any number of labels of a text or a pair, each decided alone.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::labels::match_labels;
use mlxq_eval::metric::Metric;

use super::{Answers, Material, References, Rules, needs_head};
use crate::PipelineError;

/// Multi-label classification: the labels whose sigmoid is above 0.5, where their logit is above 0.
pub(super) struct MultiLabel;

impl Rules for MultiLabel {
    fn names(&self) -> &'static [&'static str] {
        &["multi-label-classification", "multi-label"]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric::MicroF1]
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        References::sets(&material.data, self.names()[0])
    }

    fn answers(
        &self,
        material: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError> {
        needs_head(info)?;
        let classes = match_labels(&material.data.labels, &info.labels, &material.label_map)?;
        let labels = |row| {
            let logits = output.row(row).iter().zip(&classes.of_model);
            let positive = logits.filter(|(logit, _)| **logit > 0.0);
            positive.filter_map(|(_, label)| *label).collect()
        };
        Ok(Answers::Sets((0..output.rows).map(labels).collect()))
    }
}
