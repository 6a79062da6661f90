//! The one logit of a text or a pair against a graded score.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::metric::Metric;

use super::{Answers, Material, References, Rules, single_logits};
use crate::PipelineError;

/// Regression: the raw logit, as GLUE's STS-B compares it.
pub(super) struct Regression;

impl Rules for Regression {
    fn names(&self) -> &'static [&'static str] {
        &["regression", "text-regression"]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric::Pearson, Metric::Spearman]
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        References::scores(&material.data, self.names()[0])
    }

    fn answers(
        &self,
        _: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError> {
        Ok(Answers::scores(single_logits(output, info)?))
    }
}
