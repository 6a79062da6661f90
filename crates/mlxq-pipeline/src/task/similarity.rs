//! The cosine of two texts' embeddings against a graded score.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::metric::{Metric, cosine};

use super::paraphrase::Paraphrase;
use super::retrieval::Retrieval;
use super::{Answers, Material, Questions, References, Rules, TextRow, needs_embeddings};
use crate::PipelineError;

/// Semantic textual similarity, as sentence-transformers' `EmbeddingSimilarityEvaluator` measures it.
pub(super) struct Similarity;

impl Rules for Similarity {
    fn names(&self) -> &'static [&'static str] {
        &[
            "semantic-similarity",
            "sentence-similarity",
            "sentence-embedding",
            "embedding",
            "feature-extraction",
        ]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric::Spearman, Metric::Pearson]
    }

    fn instead(&self, material: &Material) -> Option<&'static dyn Rules> {
        if material.collection.is_some() {
            return Some(&Retrieval);
        }
        (!material.data.labels.is_empty()).then_some(&Paraphrase)
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        References::scores(&material.data, self.names()[0])
    }

    fn questions<'a>(&self, material: &'a Material) -> Result<Questions<'a>, PipelineError> {
        let pairs = material.pairs(self.names()[0])?;
        Ok(Questions::of(2, both(pairs)))
    }

    fn answers(
        &self,
        _: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError> {
        needs_embeddings(info)?;
        Ok(Answers::scores(cosines(output, 0..output.rows)))
    }
}

/// The two texts of each pair, one row each.
pub(super) fn both(pairs: Vec<[&str; 2]>) -> Vec<TextRow<'_>> {
    pairs.into_iter().flatten().map(|text| (text.into(), None)).collect()
}

/// The cosine of every two rows of `rows`.
pub(super) fn cosines(output: &Output, rows: std::ops::Range<usize>) -> Vec<f64> {
    rows.step_by(2).map(|row| cosine(output.row(row), output.row(row + 1))).collect()
}
