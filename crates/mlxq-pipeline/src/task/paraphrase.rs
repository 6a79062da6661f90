//! Whether two texts say the same, by the cosine of their embeddings.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::data::{Dataset, Row, Target};
use mlxq_eval::metric::{Metric, best_threshold};

use super::similarity::{both, cosines};
use super::{Answers, Material, Questions, References, Rules, needs_embeddings, pairs_of};
use crate::PipelineError;

/// Pair classification by similarity, as sentence-transformers' `BinaryClassificationEvaluator` measures
/// it: average precision of the cosines, and accuracy at a threshold. There the threshold is the best for
/// the rows judged; here it is the best for the rows of another split, with the same model's cosines, so
/// that nothing is judged by what it was fitted to. The second of the two labels is the one that says yes.
pub(super) struct Paraphrase;

impl Rules for Paraphrase {
    fn names(&self) -> &'static [&'static str] {
        &["pair-classification-by-similarity", "paraphrase", "paraphrase-identification"]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric::AveragePrecision, Metric::SimilarityAccuracy]
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        two_labels(&material.data)?;
        References::labels(&material.data, self.names()[0])
    }

    fn questions<'a>(&self, material: &'a Material) -> Result<Questions<'a>, PipelineError> {
        let name = self.names()[0];
        let extra = match &material.threshold_rows {
            Some(rows) => both(pairs_of(rows, name)?),
            None => Vec::new(),
        };
        Ok(Questions { extra, ..Questions::of(2, both(material.pairs(name)?)) })
    }

    fn answers(
        &self,
        material: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError> {
        needs_embeddings(info)?;
        let judged = 2 * material.data.rows.len();
        let threshold = match &material.threshold_rows {
            Some(rows) => {
                two_labels(rows)?;
                let label = |row: &Row| row.target == Target::Label(1);
                let relevant: Vec<bool> = rows.rows.iter().map(label).collect();
                best_threshold(&cosines(output, judged..output.rows), &relevant)
            }
            None => None,
        };
        let threshold = threshold.map(|best| best.score);
        Ok(Answers::Scores { scores: cosines(output, 0..judged), threshold })
    }
}

/// Refuses rows whose labels are not two.
fn two_labels(data: &Dataset) -> Result<(), PipelineError> {
    if data.labels.len() == 2 {
        return Ok(());
    }
    let count = data.labels.len();
    Err(PipelineError::Usage(format!("pairs are the same or not, but the data has {count} labels")))
}
