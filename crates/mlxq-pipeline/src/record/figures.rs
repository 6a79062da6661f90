//! Figures computed again from the rows of `samples.jsonl`, by the same functions.

use mlxq_eval::metric::{
    Confusion, Hits, Metric, average_precision, micro_f1, ndcg, pearson, recall, spearman,
};
use serde_json::Value;

use super::cell::LabelReport;
use super::{CellReport, Sample, SideAnswer};

/// A figure of a choice of rows, given by their places; `None` where it is undefined.
pub(crate) type RowsFigure<'a> = Box<dyn Fn(&[usize]) -> Option<f64> + 'a>;

/// The answers of one side to the rows of a cell.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// The cell.
    pub(crate) cell: &'a CellReport,
    /// Its rows.
    pub(crate) samples: &'a [Sample],
    /// Takes the side's answer from a row.
    pub(crate) side: fn(&Sample) -> &SideAnswer,
}

impl<'a> Rows<'a> {
    /// The figure called `metric`.
    ///
    /// # Errors
    /// When rows have not what the metric needs, or there is no such metric, with the reason.
    pub(crate) fn figure(self, metric: &str) -> Result<RowsFigure<'a>, String> {
        let found = match Metric::from_name(metric)? {
            Metric::Accuracy | Metric::SimilarityAccuracy => self.share(),
            Metric::MicroF1 if self.cell.labels.is_none() => self.of_sets(),
            Metric::BalancedAccuracy => self.of_counts(Confusion::balanced_accuracy),
            Metric::BinaryF1 => self.of_counts(|counts| counts.f1(1)),
            Metric::MacroF1 => self.of_counts(Confusion::macro_f1),
            Metric::MicroF1 => self.of_counts(Confusion::micro_f1),
            Metric::Matthews => self.of_counts(Confusion::matthews),
            Metric::AveragePrecision => self.of_relevance(),
            Metric::Pearson => self.of_scores(pearson),
            Metric::Spearman => self.of_scores(spearman),
            Metric::Ndcg10 => self.of_rankings(|gains, judged| ndcg(gains, judged, 10)),
            Metric::Recall10 => self.of_rankings(|gains, judged| found(gains, judged, 10)),
            Metric::Recall100 => self.of_rankings(|gains, judged| found(gains, judged, 100)),
        };
        found.ok_or_else(|| format!("the rows have not what `{metric}` needs"))
    }

    /// Which rows are right; `None` where answers are not right or wrong.
    pub(crate) fn right(self) -> Option<Vec<bool>> {
        self.samples.iter().map(|sample| (self.side)(sample).right).collect()
    }

    fn share(self) -> Option<RowsFigure<'a>> {
        let right = self.right()?;
        Some(Box::new(move |rows| {
            let count = rows.iter().filter(|row| right[**row]).count();
            (!rows.is_empty()).then(|| count as f64 / rows.len() as f64)
        }))
    }

    fn of_counts(self, function: fn(&Confusion) -> Option<f64>) -> Option<RowsFigure<'a>> {
        let labels = self.cell.labels.as_ref()?;
        let classes = classes(labels);
        let place = |class: &String| classes.iter().position(|other| *other == class);
        let gold =
            |sample: &Sample| place(labels.data_labels.get(sample.gold.as_str()?)?.as_ref()?);
        let gold = self.samples.iter().map(gold).collect::<Option<Vec<_>>>()?;
        let said = |sample: &Sample| {
            let label = (self.side)(sample).prediction.as_str()?;
            labels.model_labels.get(label)?.as_ref().and_then(place)
        };
        let said: Vec<Option<usize>> = self.samples.iter().map(said).collect();
        let count = classes.len();
        Some(Box::new(move |rows| {
            function(&Confusion::count(count, &pick(&gold, rows), &pick(&said, rows)))
        }))
    }

    /// Lists of labels on both sides.
    fn of_sets(self) -> Option<RowsFigure<'a>> {
        let labels = &self.cell.provenance.dataset.labels;
        let place =
            |label: &Value| labels.iter().position(|other| Some(other.as_str()) == label.as_str());
        let places = |set: &Value| set.as_array()?.iter().map(place).collect::<Option<Vec<_>>>();
        let hits = |sample: &Sample| {
            let said = places(&(self.side)(sample).prediction)?;
            Some(Hits::count(&said, &places(&sample.gold)?))
        };
        let hits = self.samples.iter().map(hits).collect::<Option<Vec<_>>>()?;
        Some(Box::new(move |rows| micro_f1(rows.iter().map(|row| hits[*row]))))
    }

    /// The one number of each row's answer.
    fn scores(self) -> Option<Vec<f64>> {
        let score = |sample: &Sample| match (self.side)(sample).scores[..] {
            [score] => Some(score),
            _ => None,
        };
        self.samples.iter().map(score).collect()
    }

    fn of_scores(self, function: fn(&[f64], &[f64]) -> Option<f64>) -> Option<RowsFigure<'a>> {
        let scores = self.scores()?;
        let gold = self.samples.iter().map(|sample| sample.gold.as_f64());
        let gold = gold.collect::<Option<Vec<_>>>()?;
        Some(Box::new(move |rows| function(&pick(&scores, rows), &pick(&gold, rows))))
    }

    /// Rows are relevant with a score above 0, or with the second of the data's labels.
    fn of_relevance(self) -> Option<RowsFigure<'a>> {
        let scores = self.scores()?;
        let yes = self.cell.provenance.dataset.labels.get(1);
        let relevant = |sample: &Sample| match &sample.gold {
            Value::Number(score) => score.as_f64().map(|score| score > 0.0),
            Value::String(label) => Some(Some(label) == yes),
            _ => None,
        };
        let relevant = self.samples.iter().map(relevant).collect::<Option<Vec<_>>>()?;
        Some(Box::new(move |rows| average_precision(&pick(&scores, rows), &pick(&relevant, rows))))
    }

    /// The mean over queries of a function of a ranking's gains and of all gains there are to win.
    fn of_rankings(
        self,
        function: impl Fn(&[f64], &[f64]) -> Option<f64>,
    ) -> Option<RowsFigure<'a>> {
        let one = |sample: &Sample| {
            let judged = sample.gold.as_array()?.iter().map(Value::as_f64);
            function(&(self.side)(sample).scores, &judged.collect::<Option<Vec<_>>>()?)
        };
        let values = self.samples.iter().map(one).collect::<Option<Vec<_>>>()?;
        Some(Box::new(move |rows| {
            let sum: f64 = rows.iter().map(|row| values[*row]).sum();
            (!rows.is_empty()).then(|| sum / rows.len() as f64)
        }))
    }
}

/// The classes scored, in the order of their ids where that is recorded.
fn classes(labels: &LabelReport) -> Vec<&String> {
    match &labels.confusion {
        Some(confusion) => confusion.classes.iter().collect(),
        None => {
            let mut names: Vec<_> = labels.data_labels.values().flatten().collect();
            names.sort_unstable();
            names.dedup();
            names
        }
    }
}

fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|row| values[*row]).collect()
}

/// Recall of a ranking's first `k` documents.
fn found(gains: &[f64], judged: &[f64], k: usize) -> Option<f64> {
    let relevant: Vec<bool> = gains.iter().map(|gain| *gain > 0.0).collect();
    recall(&relevant, judged.len(), k)
}
