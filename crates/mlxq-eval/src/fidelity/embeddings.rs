//! Vectors of texts, before and after.

use super::LEAST_COSINE;
use crate::metric::{cosine, percentile, quantile, spearman};

/// Texts among which neighbours are looked for, and pairs are made where none are given: the first of
/// them. Their number is squared.
const COMPARED: usize = 1000;
/// Neighbours of a text.
const NEIGHBOURS: usize = 10;
/// Texts below which nothing is said of neighbours: with fewer, ten of all others agree by chance.
const FEWEST: usize = 5 * NEIGHBOURS + 1;

/// Embeddings of the same texts by two models.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingFidelity {
    /// Cosine of a text's two vectors, for each text.
    pub cosines: Vec<f64>,
    /// Mean over the texts of the length of the difference by the length of the original's vector.
    pub relative_error: f64,
    /// Spearman's correlation of the cosines of pairs of texts by the one and by the other model; `None`
    /// where one side is constant.
    pub pair_rank_correlation: Option<f64>,
    /// Mean share of a text's ten nearest that both models find, among the first 1000 texts; `None` for
    /// fewer than 51 texts.
    pub neighbour_overlap: Option<f64>,
}

impl EmbeddingFidelity {
    /// Compares embeddings `[texts, width]` with those of the same texts. `pairs` are places of texts
    /// that belong together; without, they are all pairs of the first 1000 texts. `None` for no texts, no
    /// width, lengths that differ, a number that is not finite, or a pair without its text.
    pub fn of(
        base: &[f32],
        converted: &[f32],
        width: usize,
        pairs: Option<&[(usize, usize)]>,
    ) -> Option<Self> {
        let fits = width > 0 && base.len() == converted.len() && base.len().is_multiple_of(width);
        if !fits || base.is_empty() || base.iter().chain(converted).any(|x| !x.is_finite()) {
            return None;
        }
        let rows = |side: &'_ [f32]| side.chunks_exact(width).map(<[f32]>::to_vec).collect();
        let [base, converted]: [Vec<Vec<f32>>; 2] = [rows(base), rows(converted)];
        let texts = base.len();
        if pairs.is_some_and(|pairs| pairs.iter().any(|(a, b)| *a.max(b) >= texts)) {
            return None;
        }
        let both = || base.iter().zip(&converted);
        let relative: f64 = both().map(|(base, converted)| relative_error(base, converted)).sum();
        let near = [Similarities::of(&base), Similarities::of(&converted)];
        let pair_rank_correlation = match pairs {
            Some(pairs) => {
                let scores = |side: &[Vec<f32>]| -> Vec<f64> {
                    pairs.iter().map(|(a, b)| cosine(&side[*a], &side[*b])).collect()
                };
                spearman(&scores(&base), &scores(&converted))
            }
            None => spearman(&near[0].pairs(), &near[1].pairs()),
        };
        Some(Self {
            cosines: both().map(|(base, converted)| same(base, converted)).collect(),
            relative_error: relative / texts as f64,
            pair_rank_correlation,
            neighbour_overlap: (texts >= FEWEST).then(|| overlap(&near)),
        })
    }

    /// Texts compared.
    pub fn texts(&self) -> usize {
        self.cosines.len()
    }

    /// Mean cosine.
    pub fn cosine_mean(&self) -> f64 {
        self.cosines.iter().sum::<f64>() / self.cosines.len() as f64
    }

    /// The smallest cosine.
    pub fn cosine_min(&self) -> f64 {
        quantile(&self.cosines, 0.0).unwrap_or(f64::NAN)
    }

    /// A low quantile of the cosine, such as 0.01; `None` where there are too few texts for it.
    pub fn cosine_percentile(&self, p: f64) -> Option<f64> {
        let falling: Vec<f64> = self.cosines.iter().map(|cosine| -cosine).collect();
        percentile(&falling, 1.0 - p).map(|cosine| -cosine)
    }

    /// Share of texts whose cosine is below 0.99.
    pub fn share_below_99(&self) -> f64 {
        let below = self.cosines.iter().filter(|cosine| **cosine < 0.99).count();
        below as f64 / self.cosines.len() as f64
    }

    /// What is worth a warning, in words.
    pub fn doubts(&self) -> Vec<String> {
        let mean = self.cosine_mean();
        let doubt = || {
            format!(
                "the mean cosine with the original's vectors is {mean:.5}, less than {LEAST_COSINE}"
            )
        };
        (mean < LEAST_COSINE).then(doubt).into_iter().collect()
    }
}

/// The cosine of a text's two vectors; those of equal vectors, of length 0 too, is 1.
fn same(base: &[f32], converted: &[f32]) -> f64 {
    if base == converted { 1.0 } else { cosine(base, converted).clamp(-1.0, 1.0) }
}

fn relative_error(base: &[f32], converted: &[f32]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let pairs = base.iter().zip(converted);
    let difference = squares(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let length = squares(&mut base.iter().map(|a| f64::from(*a)));
    if difference == 0.0 { 0.0 } else { (difference / length).sqrt() }
}

/// Cosines of every text with every other, among the first [`COMPARED`].
struct Similarities {
    texts: usize,
    /// `[texts, texts]`.
    cosines: Vec<f64>,
}

impl Similarities {
    fn of(rows: &[Vec<f32>]) -> Self {
        let texts = rows.len().min(COMPARED);
        let mut cosines = vec![1.0; texts * texts];
        for a in 0..texts {
            for b in 0..a {
                let cosine = cosine(&rows[a], &rows[b]);
                cosines[a * texts + b] = cosine;
                cosines[b * texts + a] = cosine;
            }
        }
        Self { texts, cosines }
    }

    /// Each pair once.
    fn pairs(&self) -> Vec<f64> {
        let row = |text: usize| &self.cosines[text * self.texts..][..text];
        (0..self.texts).flat_map(row).copied().collect()
    }

    /// The nearest others of a text, the first among equals.
    fn nearest(&self, text: usize) -> Vec<usize> {
        let row = &self.cosines[text * self.texts..][..self.texts];
        let mut others: Vec<usize> = (0..self.texts).filter(|other| *other != text).collect();
        others.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
        others.truncate(NEIGHBOURS);
        others
    }
}

fn overlap(sides: &[Similarities; 2]) -> f64 {
    let texts = sides[0].texts;
    let common = |text| {
        let [base, converted] = [sides[0].nearest(text), sides[1].nearest(text)];
        base.iter().filter(|other| converted.contains(other)).count()
    };
    let found: usize = (0..texts).map(common).sum();
    found as f64 / (texts * NEIGHBOURS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of a circle, `degrees` apart.
    fn circle(texts: usize, degrees: f32) -> Vec<f32> {
        let angle = |text: usize| (text as f32 * degrees).to_radians();
        (0..texts).flat_map(|text| [angle(text).cos(), angle(text).sin()]).collect()
    }

    /// By hand: a rotation by 60 degrees has the cosine 1/2 with what it rotates, at a distance of one
    /// length, and changes no cosine between texts.
    #[test]
    fn a_rotation_moves_vectors_and_not_neighbours() {
        let base = circle(60, 1.0);
        let (sin, cos) = 60f32.to_radians().sin_cos();
        let turn =
            |point: &[f32]| [cos * point[0] - sin * point[1], sin * point[0] + cos * point[1]];
        let turned: Vec<f32> = base.chunks(2).flat_map(turn).collect();
        let found = EmbeddingFidelity::of(&base, &turned, 2, None).expect("texts");
        assert!((found.cosine_mean() - 0.5).abs() < 1e-6, "{}", found.cosine_mean());
        assert!((found.cosine_min() - 0.5).abs() < 1e-6);
        assert!((found.relative_error - 1.0).abs() < 1e-6, "{}", found.relative_error);
        assert_eq!(found.share_below_99(), 1.0);
        assert!(found.pair_rank_correlation.is_some_and(|rank| rank > 0.999));
        assert!(found.neighbour_overlap.is_some_and(|share| share > 0.9));
        assert_eq!(found.cosine_percentile(0.01), None);
        assert!(found.cosine_percentile(0.05).is_some());
        assert_eq!(found.doubts().len(), 1);
    }

    #[test]
    fn a_model_is_faithful_to_itself() {
        let mut base = circle(60, 3.0);
        base.extend([0.0, 0.0]);
        let found = EmbeddingFidelity::of(&base, &base, 2, None).expect("texts");
        assert_eq!((found.cosine_min(), found.relative_error), (1.0, 0.0));
        assert!(found.pair_rank_correlation.is_some_and(|rank| rank > 1.0 - 1e-12));
        assert_eq!(found.neighbour_overlap, Some(1.0));
        assert!(found.doubts().is_empty());
    }

    /// By hand: the pairs' cosines rise on one side and fall on the other.
    #[test]
    fn pairs_that_are_given_are_compared() {
        let base = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0];
        let converted = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0];
        let pairs = [(0, 1), (0, 2), (0, 3)];
        let found = EmbeddingFidelity::of(&base, &converted, 2, Some(&pairs)).expect("texts");
        assert!(found.pair_rank_correlation.is_some_and(|rank| rank < -1.0 + 1e-12));
        assert_eq!(found.neighbour_overlap, None);
        assert_eq!(EmbeddingFidelity::of(&base, &converted, 2, Some(&[(0, 4)])), None);
        assert_eq!(EmbeddingFidelity::of(&base, &base[..6], 2, None), None);
        assert_eq!(EmbeddingFidelity::of(&[f32::NAN], &[1.0], 1, None), None);
    }
}
