//! Zero-shot classification through natural language inference (Yin et al. 2019).
//!
//! Each label makes a hypothesis; the text is the premise, and the logit of entailment says how well the
//! label fits. Follows `ZeroShotClassificationPipeline` of transformers 5.23; where that gives NaN, guesses
//! or feeds the model more than it takes, docs/predicting.md says what is done instead.

use mlxq_checkpoint::shown;
use mlxq_engine::{Encoding, EngineError, Output, Tokenizer};

use super::head::Head;
use super::lines::Request;
use super::numbers::{softmax, softmax_of_two};
use super::template::Template;
use super::{Answer, PredictError};

/// The labels to choose from and how they are asked about; any model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    labels: Vec<String>,
    /// One for each label.
    hypotheses: Vec<String>,
    multi_label: bool,
}

impl Candidates {
    /// The template that transformers uses.
    pub const TEMPLATE: &'static str = "This example is {}.";

    /// The `labels`, used as they are, each put into the `template`. With `multi_label` each is judged
    /// by itself, otherwise their scores share 1.
    ///
    /// # Errors
    /// When there is no label, or the template has no effect.
    pub fn new(
        labels: Vec<String>,
        template: &str,
        multi_label: bool,
    ) -> Result<Self, PredictError> {
        let Some(first) = labels.first() else {
            return Err(PredictError::Usage("there is no candidate label".to_owned()));
        };
        let filling = Template::parse(template).map_err(PredictError::Usage)?;
        if filling.fill(first) == template {
            let reason =
                format!("the hypothesis template `{template}` does not change with a label");
            return Err(PredictError::Usage(reason));
        }
        let hypotheses = labels.iter().map(|label| filling.fill(label)).collect();
        Ok(Self { labels, hypotheses, multi_label })
    }

    /// The labels in a text: what stands between commas, trimmed; empty ones are dropped.
    pub fn split(text: &str) -> Vec<String> {
        text.split(',')
            .map(str::trim)
            .filter(|label| !label.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// What the model is asked about each label.
    pub(crate) fn hypotheses(&self) -> &[String] {
        &self.hypotheses
    }

    /// The question that asks the model with this `head` about them. `entailment_id` is the logit of
    /// entailment, for a head whose names do not tell.
    ///
    /// # Errors
    /// When the logit of entailment is not known or not there, or there is none to compare it with.
    pub fn ask(self, head: &Head, entailment_id: Option<usize>) -> Result<ZeroShot, PredictError> {
        let names = head.names();
        let all = || shown(&names.join(", "));
        let entailment = match entailment_id.or_else(|| named_entailment(head)) {
            Some(id) if id < names.len() => id,
            Some(id) => {
                let (last, names) = (names.len().saturating_sub(1), all());
                let reason = format!("the entailment id {id} is not one of 0 to {last} ({names})");
                return Err(PredictError::Usage(reason));
            }
            None => {
                return Err(PredictError::Usage(format!(
                    "no label of the model begins with `entail` ({}); say which logit means entailment",
                    all()
                )));
            }
        };
        let by_itself = self.multi_label || self.labels.len() == 1;
        if by_itself && names.len() < 2 {
            let reason = format!("the model has no logit beside `{}` to compare with", all());
            return Err(PredictError::Usage(reason));
        }
        let opposite = if entailment == 0 { names.len() - 1 } else { 0 };
        Ok(ZeroShot { candidates: self, entailment, opposite: by_itself.then_some(opposite) })
    }
}

/// The id of the first entry of `label2id` whose name begins with "entail", in any case.
fn named_entailment(head: &Head) -> Option<usize> {
    let mut entries = head.label2id().iter();
    entries.find(|(name, _)| name.to_lowercase().starts_with("entail")).map(|(_, id)| *id)
}

/// Candidate labels for a model of natural language inference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZeroShot {
    candidates: Candidates,
    /// The logit of entailment.
    entailment: usize,
    /// The logit that it is compared with; `None` where labels are compared with each other.
    opposite: Option<usize>,
}

impl ZeroShot {
    /// What a user should know of the logit that entailment is compared with: as in transformers it is
    /// the first, or the last if entailment is the first, whatever it means.
    pub fn note(&self, head: &Head) -> Option<String> {
        let opposite = self.opposite?;
        let [entailment, name] = [self.entailment, opposite].map(|id| &head.names()[id]);
        (!is_opposite(name)).then(|| {
            let (entailment, name) = (shown(entailment), shown(name));
            format!(
                "a score is the logit of `{entailment}` against that of `{name}`, number {opposite}, \
                 whose name does not say contradiction"
            )
        })
    }

    /// Refuses hypotheses that leave a text no room, which transformers would give the model uncut.
    ///
    /// # Errors
    /// With the first label whose hypothesis is too long.
    pub fn check_lengths(&self, tokenizer: &Tokenizer) -> Result<(), PredictError> {
        let Candidates { labels, hypotheses, .. } = &self.candidates;
        for (label, hypothesis) in labels.iter().zip(hypotheses) {
            if tokenizer.room_beside(hypothesis)? == 0 {
                let (label, longest) = (shown(label), tokenizer.max_length());
                return Err(PredictError::Usage(format!(
                    "the hypothesis of the label `{label}` leaves no room for a text in {} tokens ({})",
                    longest.tokens, longest.decided_by
                )));
            }
        }
        Ok(())
    }

    /// The candidate labels.
    pub fn labels(&self) -> &[String] {
        &self.candidates.labels
    }

    /// One row of tokens for each label: the text of `request`, then the hypothesis.
    pub(super) fn encode(
        &self,
        request: &Request,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Encoding>, PredictError> {
        if request.text.is_empty() {
            return Err(request.refuse("an empty text cannot be compared with candidate labels"));
        }
        if request.text_pair.is_some() {
            return Err(request.refuse("`text_pair` stands where the candidate labels go"));
        }
        let hypotheses = self.candidates.hypotheses.iter();
        let encode = |hypothesis: &String| tokenizer.encode(&request.text, Some(hypothesis));
        Ok(hypotheses.map(encode).collect::<Result<_, EngineError>>()?)
    }

    /// The labels, best first, with the scores that the logits of their rows give, the rows of `output`
    /// from `first` on.
    pub(super) fn answer<'a>(
        &'a self,
        request: &'a Request,
        output: &Output,
        first: usize,
    ) -> Answer<'a> {
        let rows: Vec<&[f32]> =
            (0..self.labels().len()).map(|label| output.row(first + label)).collect();
        let scores = self.scores(&rows);
        let order = best_first(&scores);
        Answer::Labels {
            sequence: &request.text,
            labels: order.iter().map(|place| self.labels()[*place].as_str()).collect(),
            scores: order.iter().map(|place| scores[*place]).collect(),
        }
    }

    /// The score of each label from the logits of its row.
    pub(crate) fn scores(&self, rows: &[&[f32]]) -> Vec<f32> {
        let entailment = rows.iter().map(|logits| logits[self.entailment]);
        match self.opposite {
            Some(opposite) => entailment
                .zip(rows)
                .map(|(entailment, logits)| softmax_of_two(logits[opposite], entailment))
                .collect(),
            None => softmax(&entailment.collect::<Vec<_>>()),
        }
    }
}

/// Places by descending score, the later of equals first: an ascending stable sort read backwards, as
/// transformers means it, whose sort is stable on some machines only.
pub(crate) fn best_first(scores: &[f32]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(b.cmp(a)));
    places
}

/// Whether a label's name says that the hypothesis does not follow.
fn is_opposite(name: &str) -> bool {
    let words = name.to_lowercase();
    let words: Vec<&str> = words.split([' ', '-', '_', '.']).filter(|x| !x.is_empty()).collect();
    match words[..] {
        [word] => ["contradiction", "contradictory", "contradicts", "refutes"].contains(&word),
        [not, word] => {
            ["not", "non", "no"].contains(&not) && ["entailment", "entailed"].contains(&word)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The logits of the labels a, b, c, of a head with three classes and of one with two.
    const THREE: [&[f32]; 3] = [&[1.5, -0.5, 0.25], &[0.2, 0.1, 2.0], &[-1.0, 0.0, 0.75]];
    const TWO: [&[f32]; 3] = [&[1.5, -0.5], &[0.2, 0.1], &[-1.0, 0.75]];

    fn head(names: &[&str]) -> Head {
        let ids = names.iter().enumerate();
        let names: Value = ids
            .map(|(id, name)| (id.to_string(), json!(name)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        Head::of(&json!({"id2label": names}))
    }

    fn candidates(labels: &str, multi_label: bool) -> Candidates {
        let labels = Candidates::split(labels);
        Candidates::new(labels, Candidates::TEMPLATE, multi_label).expect("labels")
    }

    fn ranked(names: &[&str], multi_label: bool) -> Vec<(char, f32)> {
        let asked = candidates("a,b,c", multi_label).ask(&head(names), None).expect("a question");
        let scores = asked.scores(if names.len() == 2 { &TWO } else { &THREE });
        best_first(&scores)
            .into_iter()
            .map(|place| (['a', 'b', 'c'][place], scores[place]))
            .collect()
    }

    /// What `ZeroShotClassificationPipeline.postprocess` of transformers 5.23 gives for these logits.
    #[test]
    fn scores_are_those_of_transformers() {
        const CNE: &[&str] = &["contradiction", "neutral", "entailment"];
        const ENC: &[&str] = &["entailment", "neutral", "contradiction"];
        const CEN: &[&str] = &["contradiction", "entailment", "neutral"];
        const NEC: &[&str] = &["neutral", "entailment", "contradiction"];
        const EN: &[&str] = &["entailment", "not_entailment"];
        const NE: &[&str] = &["NOT_ENTAILMENT", "ENTAILMENT"];
        for (names, multi_label, expected) in [
            (CNE, false, [('b', 0.684_800_744_1), ('c', 0.196_198_716_8), ('a', 0.119_000_546_6)]),
            (CNE, true, [('b', 0.858_148_932_5), ('c', 0.851_952_850_8), ('a', 0.222_700_148_8)]),
            (ENC, false, [('a', 0.738_216_161_7), ('b', 0.201_187_387_1), ('c', 0.060_596_469_8)]),
            (ENC, true, [('a', 0.777_299_821_4), ('c', 0.148_047_193_9), ('b', 0.141_851_067_5)]),
            (CEN, false, [('b', 0.407_556_265_6), ('c', 0.368_772_149_1), ('a', 0.223_671_615_1)]),
            (CEN, true, [('c', 0.731_058_597_6), ('b', 0.475_020_796_1), ('a', 0.119_202_926_8)]),
            (NEC, true, [('c', 0.731_058_597_6), ('b', 0.475_020_796_1), ('a', 0.119_202_926_8)]),
            (EN, true, [('a', 0.880_797_088_1), ('b', 0.524_979_174_1), ('c', 0.148_047_193_9)]),
            (NE, false, [('c', 0.552_928_984_2), ('b', 0.288_654_238_0), ('a', 0.158_416_792_8)]),
        ] {
            let found = ranked(names, multi_label);
            for ((label, score), (expected_label, expected)) in found.iter().zip(expected) {
                assert_eq!(*label, expected_label, "{names:?} {found:?}");
                let error = f64::from(*score) - expected;
                assert!(error.abs() < 1e-7, "{names:?} {label} {score} {expected}");
            }
        }
    }

    #[test]
    fn of_equal_scores_the_later_comes_first() {
        assert_eq!(best_first(&[0.25, 0.25, 0.25]), [2, 1, 0]);
        assert_eq!(best_first(&[0.2, 0.3, 0.2, 0.3]), [3, 1, 2, 0]);
    }

    /// transformers' softmax is not stable: e^89 is infinite in float32.
    #[test]
    fn large_logits_give_no_nan() {
        let names = head(&["entailment", "contradiction"]);
        let rows: [&[f32]; 2] = [&[89.0, 0.0], &[100.0, -500.0]];
        let asked = |multi| candidates("a,b", multi).ask(&names, None).expect("a question");
        let single = asked(false).scores(&rows);
        // By hand: e^-11 against 1.
        assert!((single[0] - 1.670_142e-5).abs() < 1e-10, "{single:?}");
        assert_eq!(asked(true).scores(&rows), [1.0, 1.0]);
    }

    #[test]
    fn one_label_is_judged_by_itself() {
        let asked = candidates("a", false).ask(&head(&["contradiction", "entailment"]), None);
        let scores = asked.expect("a question").scores(&[&[0.0, 3f32.ln()]]);
        assert!((scores[0] - 0.75).abs() < 1e-6, "{scores:?}");
    }

    #[test]
    fn labels_are_split_at_commas() {
        assert_eq!(Candidates::split(" a b , ,c,c,"), ["a b", "c", "c"]);
        assert!(Candidates::split(" , ").is_empty());
        assert!(Candidates::new(Vec::new(), Candidates::TEMPLATE, false).is_err());
        // As transformers: filled with this label the template stays what it is.
        assert!(Candidates::new(vec!["{}".to_owned()], "{}", false).is_err());
    }

    #[test]
    fn the_logit_of_entailment_must_be_known() {
        let ask = |names: &[&str], id, multi| {
            let asked = candidates("a,b", multi).ask(&head(names), id);
            asked.map(|asked| (asked.entailment, asked.opposite)).map_err(|error| error.to_string())
        };
        assert_eq!(ask(&["no", "ENTAILED", "entails"], None, false), Ok((1, None)));
        assert_eq!(ask(&["LABEL_0", "LABEL_1", "x"], Some(0), true), Ok((0, Some(2))));
        assert_eq!(ask(&["entailment", "x"], Some(1), true), Ok((1, Some(0))));
        // The order of the file decides, not that of the ids.
        let config = json!({"id2label": {"0": "entails", "1": "entailed"},
            "label2id": {"entailed": 1, "entails": 0}});
        let asked = candidates("a,b", false).ask(&Head::of(&config), None).expect("a question");
        assert_eq!(asked.entailment, 1);
        for (names, id, multi, word) in [
            (&["LABEL_0", "not_entailment"][..], None, false, "begins with `entail`"),
            (&["entailment", "x"], Some(2), false, "0 to 1"),
            (&["entailment"], None, true, "compare"),
        ] {
            let error = ask(names, id, multi).expect_err("refused");
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_note_tells_of_a_neutral_opposite() {
        let note = |names: &[&str], multi| {
            let head = head(names);
            candidates("a,b", multi).ask(&head, None).expect("a question").note(&head)
        };
        let neutral = note(&["neutral", "entailment", "contradiction"], true);
        assert!(neutral.is_some_and(|note| note.contains("`neutral`, number 0")));
        assert_eq!(note(&["neutral", "entailment", "contradiction"], false), None);
        assert_eq!(note(&["Contradiction", "entailment"], true), None);
        assert_eq!(note(&["entailment", "NOT ENTAILMENT"], true), None);
    }
}
