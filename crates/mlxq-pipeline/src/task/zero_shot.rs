//! Which of the data's labels fits a text, asked of a model of natural language inference.

use mlxq_engine::{EngineInfo, Output, Truncation};
use mlxq_eval::labels::Classes;
use mlxq_eval::metric::Metric;
use serde_json::{Map, Value};

use super::classification::Classification;
use super::nli::{Nli, is_inference};
use super::{Answers, Labelled, Material, Questions, References, Rules, TextRow, needs_head};
use crate::PipelineError;
use crate::predict::{Candidates, Head, PredictError};

/// Zero-shot classification through entailment (Yin et al. 2019), as transformers'
/// `ZeroShotClassificationPipeline` does it: one row for each label, in whose hypothesis it stands. On data
/// of inference the model's head is asked itself.
pub(super) struct ZeroShot;

impl Rules for ZeroShot {
    fn names(&self) -> &'static [&'static str] {
        &["zero-shot-classification", "zero-shot", "binary-zero-shot-classification"]
    }

    fn metrics(&self) -> &'static [Metric] {
        Classification.metrics()
    }

    fn also(&self) -> &'static [Metric] {
        Classification.also()
    }

    fn instead(&self, material: &Material) -> Option<&'static dyn Rules> {
        is_inference(material).then_some(&Nli)
    }

    fn references(&self, material: &Material) -> Result<References, PipelineError> {
        References::labels(&material.data, self.names()[0])
    }

    fn questions<'a>(&self, material: &'a Material) -> Result<Questions<'a>, PipelineError> {
        let candidates = candidates(material)?;
        let hypotheses = candidates.hypotheses();
        let labels = hypotheses.len();
        let row = |text: &'a str, hypothesis: &String| -> TextRow<'a> {
            (text.into(), Some(hypothesis.clone().into()))
        };
        let mut rows = Vec::with_capacity(material.data.rows.len() * labels);
        for text in &material.data.rows {
            rows.extend(hypotheses.iter().map(|hypothesis| row(&text.text, hypothesis)));
        }
        Ok(Questions { truncation: Truncation::OnlyFirst, ..Questions::of(labels, rows) })
    }

    fn answers(
        &self,
        material: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError> {
        needs_head(info)?;
        let head = Head::read(&material.model, &info.labels).map_err(refused)?;
        let asked = candidates(material)?.ask(&head, None).map_err(refused)?;
        let names = material.data.labels.clone();
        let logits: Vec<&[f32]> = (0..output.rows).map(|row| output.row(row)).collect();
        let scores: Vec<Vec<f32>> =
            logits.chunks(names.len()).map(|rows| asked.scores(rows)).collect();
        let said = scores.iter().map(|scores| crate::predict::best_first(scores)[0]).collect();
        let all = 0..names.len();
        let classes = Classes {
            of_data: all.clone().collect(),
            of_model: all.map(Some).collect(),
            fold: None,
        };
        Ok(Answers::Labels(Labelled { classes, names, said, scores }))
    }

    fn notes(&self, material: &Material) -> Result<Vec<(&'static str, Value)>, PipelineError> {
        let hypotheses = candidates(material)?.hypotheses().to_vec();
        let labels = material.data.labels.iter().cloned();
        let asked: Map<String, Value> =
            labels.zip(hypotheses.into_iter().map(Into::into)).collect();
        Ok(vec![("zero_shot_hypotheses", asked.into())])
    }
}

/// The data's labels in words, in its template.
fn candidates(material: &Material) -> Result<Candidates, PipelineError> {
    let word =
        |label: &String| material.candidates.get(label).cloned().unwrap_or_else(|| words(label));
    let labels = material.data.labels.iter().map(word).collect();
    let template = material.template.as_deref().unwrap_or(Candidates::TEMPLATE);
    Candidates::new(labels, template, false).map_err(refused)
}

fn refused(error: PredictError) -> PipelineError {
    PipelineError::Usage(error.to_string())
}

/// A label's name as words: split at `_`, `-` and before a capital after a small letter, lower case.
fn words(label: &str) -> String {
    let mut words = String::with_capacity(label.len() + 8);
    let mut before = ' ';
    for letter in label.chars() {
        let is_new = letter.is_uppercase() && before.is_lowercase();
        if matches!(letter, '_' | '-') || is_new {
            words.push(' ');
        }
        if !matches!(letter, '_' | '-') {
            words.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::words;

    /// By hand, from names of DBpedia, Banking77, AG News and TREC.
    #[test]
    fn labels_become_words() {
        for (label, expected) in [
            ("MeanOfTransportation", "mean of transportation"),
            ("card_payment_not_recognised", "card payment not recognised"),
            ("World", "world"),
            ("Sci/Tech", "sci/tech"),
            ("HUM", "hum"),
            ("not-entailed", "not entailed"),
        ] {
            assert_eq!(words(label), expected);
        }
    }
}
