//! The outputs of a classification head, and what they say.
//!
//! Scores follow `TextClassificationPipeline` of transformers 5.23.

use std::path::Path;

use mlxq_checkpoint::json;
use mlxq_models::problem::{self, ProblemType};
use mlxq_models::{Config, ModelError};
use serde_json::Value;

use super::numbers::{largest, sigmoid, softmax};
use super::{Answer, PredictError};

/// A classification head.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Names of the logits in id order.
    names: Vec<String>,
    /// The names and ids of `label2id` in the file's order.
    label2id: Vec<(String, usize)>,
    scoring: Scoring,
}

/// What makes scores of logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scoring {
    /// Nothing: a quantity is its own score.
    None,
    /// Each by itself.
    Sigmoid,
    /// One against the others.
    Softmax,
}

impl Head {
    /// The head of the model folder `dir`, whose logits have the names `names`.
    ///
    /// # Errors
    /// When `config.json` cannot be read, or its `problem_type` does not go with the labels.
    pub fn read(dir: &Path, names: &[String]) -> Result<Self, PredictError> {
        let map = json::read_config(&dir.join("config.json")).map_err(ModelError::from)?;
        Ok(Self::new(Config::new(&map), names)?)
    }

    /// The head that `config` describes.
    fn new(config: Config, names: &[String]) -> Result<Self, ModelError> {
        let scoring = match (problem::read(config, names.len())?, names.len()) {
            (Some(ProblemType::Regression), _) => Scoring::None,
            (Some(ProblemType::MultiLabel), _) | (None, 1) => Scoring::Sigmoid,
            (Some(ProblemType::SingleLabel) | None, _) => Scoring::Softmax,
        };
        Ok(Self { names: names.to_vec(), label2id: label2id(config, names), scoring })
    }

    /// Names of the logits in id order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names and ids of `label2id`, in the order of the file.
    pub fn label2id(&self) -> &[(String, usize)] {
        &self.label2id
    }

    /// What the logits of a row say.
    pub(super) fn answer<'a>(&'a self, logits: &'a [f32]) -> Answer<'a> {
        let name = |place: usize| self.names.get(place).map(String::as_str);
        let (scores, label, labels) = match self.scoring {
            Scoring::None => (None, None, None),
            Scoring::Softmax => (Some(softmax(logits)), name(largest(logits)), None),
            Scoring::Sigmoid => {
                let scores: Vec<f32> = logits.iter().map(|x| sigmoid(*x)).collect();
                let holds = |place: &usize| scores[*place] > 0.5;
                // One logit is a score, whose label has no opposite.
                let labels = (logits.len() > 1)
                    .then(|| (0..scores.len()).filter(holds).filter_map(name).collect());
                (Some(scores), None, labels)
            }
        };
        Answer::Logits { logits, label, labels, scores }
    }
}

/// The entries of `label2id` that agree with `names`; ids in order where the configuration has none.
fn label2id(config: Config, names: &[String]) -> Vec<(String, usize)> {
    let entries = config.get("label2id").and_then(Value::as_object).into_iter().flatten();
    let found: Vec<(String, usize)> = entries
        .filter_map(|(name, id)| Some((name.clone(), usize::try_from(id.as_u64()?).ok()?)))
        .filter(|(name, id)| names.get(*id) == Some(name))
        .collect();
    if found.len() == names.len() {
        return found;
    }
    names.iter().cloned().zip(0..).collect()
}

#[cfg(test)]
impl Head {
    /// The head of a configuration given as JSON.
    pub(super) fn of(config: &Value) -> Self {
        let config = Config::new(config.as_object().expect("an object"));
        let names = mlxq_models::labels::read(config, 2).expect("labels");
        Self::new(config, &names).expect("a head")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(config: &Value, logits: &[f32]) -> Value {
        serde_json::to_value(Head::of(config).answer(logits)).expect("JSON")
    }

    fn scores(answer: &Value) -> Vec<f64> {
        let scores = answer["scores"].as_array().expect("scores");
        scores.iter().filter_map(Value::as_f64).collect()
    }

    /// By hand: logits ln 1, ln 2, ln 5 are shares of 1/8, 2/8, 5/8, and odds of 1:1, 2:1, 5:1.
    #[test]
    fn scores_go_by_the_problem_type() {
        let logits = [0.0, 2f32.ln(), 5f32.ln()];
        let close = |found: Vec<f64>, expected: [f64; 3]| {
            assert_eq!(found.len(), 3);
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        };
        for config in [
            json!({"num_labels": 3}),
            json!({"num_labels": 3, "problem_type": "single_label_classification"}),
        ] {
            let single = answer(&config, &logits);
            close(scores(&single), [0.125, 0.25, 0.625]);
            assert_eq!((&single["label"], single.get("labels")), (&json!("LABEL_2"), None));
        }
        let multi = json!({"num_labels": 3, "problem_type": "multi_label_classification"});
        let multi = answer(&multi, &logits);
        close(scores(&multi), [0.5, 2.0 / 3.0, 5.0 / 6.0]);
        // 0.5 is not more than 0.5.
        assert_eq!(multi["labels"], json!(["LABEL_1", "LABEL_2"]));
        assert_eq!(multi.get("label"), None);
        let regression = json!({"num_labels": 3, "problem_type": "regression"});
        assert_eq!(answer(&regression, &[1.0, 2.0, 3.0]), json!({"logits": [1.0, 2.0, 3.0]}));
    }

    #[test]
    fn one_logit_is_a_score_without_a_label() {
        let one = answer(&json!({"num_labels": 1}), &[0.0]);
        assert_eq!(one, json!({"logits": [0.0], "scores": [0.5]}));
        let regression = json!({"num_labels": 1, "problem_type": "regression"});
        assert_eq!(answer(&regression, &[0.25]), json!({"logits": [0.25]}));
    }

    #[test]
    fn label2id_keeps_the_order_of_the_file() {
        let mut config = json!({"id2label": {"0": "a", "1": "b"}});
        let order = |config: &Value| Head::of(config).label2id().to_vec();
        let (a, b) = (("a".to_owned(), 0), ("b".to_owned(), 1));
        assert_eq!(order(&config), [a.clone(), b.clone()]);
        config["label2id"] = json!({"b": 1, "a": 0});
        assert_eq!(order(&config), [b, a]);
    }
}
