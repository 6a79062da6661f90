//! Rows with what every side answered, for `samples.jsonl`.

use mlxq_engine::{Output, OutputKind};
use mlxq_eval::data::Dataset;
use serde_json::{Value, json};

use super::answers::{Answers, References, right};
use crate::record::{Sample, SampleId, SideAnswer};

/// Every row with the answers of PyTorch, if it ran, of the original and of the converted model, and with
/// the logits that they come of.
pub(in crate::exec) fn samples(
    dataset: &Dataset,
    references: &References,
    sides: [Option<(&Answers, &Output, OutputKind)>; 3],
) -> Vec<Sample> {
    let [torch, original, converted] = sides.map(|side| {
        side.map(|(answers, output, kind)| {
            let right = right(answers, references);
            move |place: usize| SideAnswer {
                prediction: prediction(answers, place),
                right: right.get(place).copied(),
                scores: match kind {
                    OutputKind::Logits => output.row(place).to_vec(),
                    OutputKind::Embedding => Vec::new(),
                },
            }
        })
    });
    let row = |place: usize| {
        Some(Sample {
            id: SampleId::Row(dataset.rows[place].id),
            gold: gold(references, place),
            torch: torch.as_ref().map(|torch| torch(place)),
            native_original: original.as_ref()?(place),
            converted: converted.as_ref()?(place),
        })
    };
    (0..dataset.rows.len()).filter_map(row).collect()
}

fn gold(references: &References, place: usize) -> Value {
    match references {
        References::Labels(labels) => json!(labels[place]),
        References::Scores(scores) => json!(scores[place]),
        References::Sets(sets) => json!(sets[place]),
    }
}

fn prediction(answers: &Answers, place: usize) -> Value {
    match answers {
        Answers::Scores(scores) => json!(scores[place]),
        Answers::Labels { rows, .. } => json!(rows[place]),
        Answers::Sets(sets) => json!(sets[place]),
    }
}
