//! Documents that answer a query, found by the cosine of embeddings.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::data::Collection;
use mlxq_eval::metric::{Metric, cosine};

use super::{Answers, Material, Questions, Ranking, References, Rules, needs_embeddings};
use crate::PipelineError;

/// Documents of a ranking that are kept: as many as the deepest figure looks at.
const KEPT: usize = 100;

/// Retrieval over a whole collection. Gains are the grades, as trec_eval counts them; of equal cosines the
/// document that stands first comes first. Documents are embedded beforehand: what is timed is the queries.
pub(super) struct Retrieval;

impl Rules for Retrieval {
    fn names(&self) -> &'static [&'static str] {
        &["retrieval", "information-retrieval", "semantic-search"]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric::Ndcg10, Metric::Recall10, Metric::Recall100]
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        Ok(judged(material.collection(self.names()[0])?))
    }

    fn questions<'a>(&self, material: &'a Material) -> Result<Questions<'a>, PipelineError> {
        let Collection { documents, queries, .. } = material.collection(self.names()[0])?;
        let rows = queries.iter().map(|query| (query.text.as_str().into(), None)).collect();
        let extra = documents.iter().map(|found| (found.text.as_str().into(), None)).collect();
        Ok(Questions { extra, ..Questions::of(1, rows) })
    }

    fn answers(
        &self,
        material: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError> {
        needs_embeddings(info)?;
        let collection = material.collection(self.names()[0])?;
        let first = collection.queries.len();
        let rank = |query: usize| {
            let near = |document| cosine(output.row(query), output.row(first + document));
            let scored = (0..collection.documents.len()).map(|document| (document, near(document)));
            ranking(collection, query, scored.collect())
        };
        Ok(Answers::Rankings((0..first).map(rank).collect()))
    }
}

/// The gains of the documents that are relevant to each query.
pub(super) fn judged(collection: &Collection) -> References {
    let gains = collection.judgements.iter().map(|judgements| {
        judgements.iter().map(|judged| judged.grade).filter(|grade| *grade > 0.0).collect()
    });
    References::Judged(gains.collect())
}

/// The best of `scored` documents for a query; equal ones keep their order.
pub(super) fn ranking(
    collection: &Collection,
    query: usize,
    mut scored: Vec<(usize, f64)>,
) -> Ranking {
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    scored.truncate(KEPT);
    let gain = |document: usize| {
        let mut judgements = collection.judgements[query].iter();
        let judged = judgements.find(|judgement| judgement.document == document);
        judged.map_or(0.0, |judgement| judgement.grade.max(0.0))
    };
    let name = |document: usize| collection.documents[document].id.clone();
    Ranking {
        gains: scored.iter().map(|(document, _)| gain(*document)).collect(),
        first: scored.iter().take(10).map(|(document, _)| name(*document)).collect(),
    }
}
