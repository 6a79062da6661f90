//! Natural language inference: whether a premise entails a hypothesis, by a head with three classes or two.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::labels::match_labels;
use mlxq_eval::metric::Metric;

use super::classification::Classification;
use super::{Answers, Material, Questions, References, Rules};
use crate::PipelineError;

/// Pairs of premise and hypothesis through the model's head. Where data and model tell different numbers
/// of classes, neutral and contradiction are put together.
pub(super) struct Nli;

impl Rules for Nli {
    fn names(&self) -> &'static [&'static str] {
        &["nli", "natural-language-inference", "nli-classification", "binary-nli"]
    }

    fn metrics(&self) -> &'static [Metric] {
        Classification.metrics()
    }

    fn also(&self) -> &'static [Metric] {
        Classification.also()
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        References::labels(&material.data, self.names()[0])
    }

    fn questions<'a>(&self, material: &'a Material) -> Result<Questions<'a>, PipelineError> {
        material.pairs(self.names()[0])?;
        Ok(material.rows())
    }

    fn answers(
        &self,
        material: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError> {
        Classification.answers(material, output, info)
    }
}

/// Whether these are pairs whose labels say what entails what.
pub(super) fn is_inference(material: &Material) -> bool {
    let three = ["entailment", "neutral", "contradiction"].map(str::to_owned);
    let labels: Vec<String> = material
        .data
        .labels
        .iter()
        .map(|label| material.label_map.get(label).unwrap_or(label).clone())
        .collect();
    !labels.is_empty()
        && material.data.rows.iter().all(|row| row.text_pair.is_some())
        && match_labels(&labels, &three, &Default::default()).is_ok()
}
