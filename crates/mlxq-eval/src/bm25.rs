//! BM25, the ranking of documents by the words that they share with a query: a first stage for rerankers.
//!
//! Robertson & Zaragoza 2009, with Lucene's idf, which is never negative: k1 = 1.2, b = 0.75. Words are
//! runs of letters and digits in lower case.

use std::collections::HashMap;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// An index of documents.
#[derive(Debug)]
pub struct Bm25 {
    /// For each word the documents that have it, and how often.
    postings: HashMap<String, Vec<(usize, f64)>>,
    /// Number of words of each document.
    lengths: Vec<f64>,
    /// Their mean.
    mean: f64,
}

impl Bm25 {
    /// The index of `documents`.
    pub fn new(documents: &[&str]) -> Self {
        let mut postings: HashMap<String, Vec<(usize, f64)>> = HashMap::new();
        let mut lengths = Vec::with_capacity(documents.len());
        for (place, text) in documents.iter().enumerate() {
            let mut count = 0.0;
            for word in words(text) {
                count += 1.0;
                let found = postings.entry(word).or_default();
                match found.last_mut() {
                    Some((last, times)) if *last == place => *times += 1.0,
                    _ => found.push((place, 1.0)),
                }
            }
            lengths.push(count);
        }
        let mean = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
        Self { postings, lengths, mean }
    }

    /// The score of each document for `query`; a word that stands twice counts twice.
    pub fn scores(&self, query: &str) -> Vec<f64> {
        let count = self.lengths.len() as f64;
        let mut scores = vec![0.0; self.lengths.len()];
        for word in words(query) {
            let Some(found) = self.postings.get(&word) else { continue };
            let having = found.len() as f64;
            let rarity = (1.0 + (count - having + 0.5) / (having + 0.5)).ln();
            for (place, times) in found {
                let length = 1.0 - B + B * self.lengths[*place] / self.mean;
                scores[*place] += rarity * times * (K1 + 1.0) / (times + K1 * length);
            }
        }
        scores
    }

    /// The `count` best documents for `query`, or all if there are fewer; equal ones in their order.
    pub fn best(&self, query: &str, count: usize) -> Vec<usize> {
        let scores = self.scores(query);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order.truncate(count);
        order
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: three documents of 2, 4 and 3 words, mean 3. `wing` stands in two of three:
    /// idf = ln(1 + 1.5 / 2.5) = 0.470003629. In document 0 once: 2.2 / (1 + 1.2 (0.25 + 0.75 * 2/3)) =
    /// 2.2 / 1.9 = 1.157894737; in document 1 twice: 4.4 / (2 + 1.2 (0.25 + 0.75 * 4/3)) = 4.4 / 3.5 =
    /// 1.257142857.
    #[test]
    fn scores_follow_the_formula() {
        let index = Bm25::new(&["The wing", "wing, Wing on wheels", "a heat shield"]);
        let scores = index.scores("WING?");
        let expected = [0.470_003_629_2 * 1.157_894_736_8, 0.470_003_629_2 * 1.257_142_857_1, 0.0];
        for (score, expected) in scores.iter().zip(expected) {
            assert!((score - expected).abs() < 1e-9, "{score} {expected}");
        }
        assert_eq!(index.best("wing", 2), [1, 0]);
        assert_eq!(index.best("nothing", 5), [0, 1, 2]);
    }
}
