//! Documents that answer a query, ranked by a model that reads both.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::bm25::Bm25;
use mlxq_eval::data::Collection;
use mlxq_eval::metric::Metric;

use super::retrieval::{judged, ranking};
use super::{Answers, Material, Questions, References, Rules, single_logits};
use crate::PipelineError;

/// Candidates of each query.
const CANDIDATES: usize = 20;

/// Reranking of a collection: BM25 finds the 20 best documents of each query, the model orders them anew.
/// What BM25 misses stays missed: figures count all relevant documents. A timed query is a query with all
/// its candidates.
pub(super) struct Reranked;

impl Rules for Reranked {
    fn names(&self) -> &'static [&'static str] {
        &["retrieval-reranking"]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric::Ndcg10, Metric::Recall10]
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        Ok(judged(material.collection(self.names()[0])?))
    }

    fn questions<'a>(&self, material: &'a Material) -> Result<Questions<'a>, PipelineError> {
        let collection = material.collection(self.names()[0])?;
        let candidates = candidates(collection);
        let mut rows = Vec::new();
        for (query, found) in collection.queries.iter().zip(&candidates) {
            let text = |document: usize| collection.documents[document].text.as_str();
            let found = found.iter().map(|document| Some(text(*document).into()));
            rows.extend(found.map(|document| (query.text.as_str().into(), document)));
        }
        Ok(Questions::of(candidates.first().map_or(1, Vec::len), rows))
    }

    fn answers(
        &self,
        material: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError> {
        let collection = material.collection(self.names()[0])?;
        let candidates = candidates(collection);
        let logits = single_logits(output, info)?;
        let of_query = logits.chunks(candidates.first().map_or(1, Vec::len));
        let rankings =
            candidates.iter().zip(of_query).enumerate().map(|(query, (found, logits))| {
                ranking(
                    collection,
                    query,
                    found.iter().copied().zip(logits.iter().copied()).collect(),
                )
            });
        Ok(Answers::Rankings(rankings.collect()))
    }
}

/// The candidates of each query, as many of each, best first.
fn candidates(collection: &Collection) -> Vec<Vec<usize>> {
    let documents: Vec<&str> = collection.documents.iter().map(|it| it.text.as_str()).collect();
    let index = Bm25::new(&documents);
    collection.queries.iter().map(|query| index.best(&query.text, CANDIDATES)).collect()
}
