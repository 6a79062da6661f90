//! The one logit of a query and a document, which should be high where the document is relevant.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::metric::Metric;

use super::regression::Regression;
use super::reranked::Reranked;
use super::{Answers, Material, Questions, References, Rules};
use crate::PipelineError;

/// Pairs of query and document, relevant where the score is above 0, all in one ranking.
pub(super) struct Reranking;

impl Rules for Reranking {
    fn names(&self) -> &'static [&'static str] {
        &["reranking", "text-ranking"]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric::AveragePrecision]
    }

    fn instead(&self, material: &Material) -> Option<&'static dyn Rules> {
        material.collection.is_some().then_some(&Reranked)
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        References::scores(&material.data, self.names()[0])
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
        Regression.answers(material, output, info)
    }
}
