//! Scaled dot-product attention over ragged rows.

use std::ops::Range;

use rayon::prelude::*;

use crate::activation::exp;
use crate::elementwise::scale;
use crate::gemm::{Matrix, product};
use crate::isa::multiversion;

/// Queries whose scores are held at once: bounds the memory of a long row.
const BLOCK: usize = 128;

/// Which tokens of its row a token attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All.
    Full,
    /// Itself and those before it.
    Causal,
    /// Those at most so many places away.
    Window(usize),
}

impl Mask {
    /// The keys that any of the `queries` sees in a row of `length` tokens.
    fn reach(self, queries: &Range<usize>, length: usize) -> Range<usize> {
        match self {
            Self::Full => 0..length,
            Self::Causal => 0..queries.end,
            Self::Window(far) => {
                queries.start.saturating_sub(far)..(queries.end.saturating_add(far)).min(length)
            }
        }
    }

    /// Whether `query` sees `key`.
    fn sees(self, query: usize, key: usize) -> bool {
        match self {
            Self::Full => true,
            Self::Causal => key <= query,
            Self::Window(far) => query.abs_diff(key) <= far,
        }
    }
}

/// Terms of the scores by the distance of query and key, see [`attention`].
#[derive(Debug, Clone, Copy)]
pub struct Relative<'a> {
    /// The bucket of the distance `d` = place of the query - place of the key at `d + longest - 1`,
    /// `[2 * longest - 1]`.
    pub buckets: &'a [u32],
    /// `[buckets, heads]`.
    pub bias: Option<&'a [f32]>,
    /// `[buckets, heads * head_size]`.
    pub key: Option<&'a [f32]>,
    /// `[buckets, heads * head_size]`.
    pub query: Option<&'a [f32]>,
}

impl Relative<'_> {
    /// The bucket of query and key, by their places in the row.
    fn bucket(&self, query: usize, key: usize) -> usize {
        let zero = self.buckets.len() / 2;
        self.buckets[zero + query - key] as usize
    }

    /// From the least to the greatest bucket between these places.
    fn reached(&self, queries: &Range<usize>, keys: &Range<usize>) -> Range<usize> {
        let zero = self.buckets.len() / 2;
        let distances = zero + queries.start + 1 - keys.end..zero + queries.end - keys.start;
        let buckets = &self.buckets[distances];
        let (least, greatest) = (buckets.iter().min(), buckets.iter().max());
        least.map_or(0, |b| *b as usize)..greatest.map_or(0, |b| *b as usize + 1)
    }
}

/// How tokens attend.
#[derive(Debug, Clone, Copy)]
pub struct Spec<'a> {
    /// Number of heads, which divides the width.
    pub heads: usize,
    /// Positive factor of the products.
    pub scale: f32,
    /// Who is seen.
    pub mask: Mask,
    /// Terms by distance.
    pub relative: Option<Relative<'a>>,
}

/// Multi-head attention (Vaswani et al. 2017, equation 1) of every token to the tokens of its row.
///
/// `query`, `key` and `value` are `[tokens, heads * head_size]`; row `r` holds the tokens
/// `offsets[r]..offsets[r + 1]`. The result, of the same shape, is `softmax(scores) value` for each
/// row and head, with `scores = scale * (q . k + q . relative.key[b] + k . relative.query[b]) +
/// relative.bias[b, head]` where `b` is the bucket of the distance, and absent terms are 0.
///
/// # Panics
/// When the slices' lengths differ, or `heads` or the offsets do not divide them, or the buckets do
/// not reach as far as the rows.
pub fn attention([query, key, value]: [&[f32]; 3], offsets: &[usize], spec: &Spec) -> Vec<f32> {
    let tokens = offsets.last().copied().unwrap_or(0);
    if tokens == 0 {
        return Vec::new();
    }
    let width = query.len() / tokens;
    assert!(width.is_multiple_of(spec.heads), "{width} is no multiple of {} heads", spec.heads);
    assert!([query, key, value].iter().all(|x| x.len() == tokens * width), "lengths differ");
    let head_size = width / spec.heads;
    let rows = offsets.windows(2).map(|row| row[0]..row[1]);
    let jobs: Vec<_> =
        rows.flat_map(|row| (0..spec.heads).map(move |h| (row.clone(), h))).collect();
    let parts: Vec<Vec<f32>> = jobs
        .par_iter()
        .map(|(row, head)| {
            let part = |x| Part { data: x, width, head: *head, head_size };
            let inputs = [query, key, value].map(|x| &x[row.start * width..row.end * width]);
            one_head(inputs.map(part), row.len(), spec)
        })
        .collect();
    let mut out = vec![0.0; tokens * width];
    for ((row, head), part) in jobs.iter().zip(&parts) {
        let rows = out[row.start * width..row.end * width].chunks_exact_mut(width);
        for (out, part) in rows.zip(part.chunks_exact(head_size)) {
            out[head * head_size..(head + 1) * head_size].copy_from_slice(part);
        }
    }
    out
}

/// The columns of one head in a matrix of all heads.
#[derive(Clone, Copy)]
struct Part<'a> {
    data: &'a [f32],
    width: usize,
    head: usize,
    head_size: usize,
}

impl<'a> Part<'a> {
    /// The rows from `first` on.
    fn from(&self, first: usize) -> Matrix<'a> {
        let data = &self.data[first * self.width + self.head * self.head_size..];
        Matrix { data, row_stride: self.width, column_stride: 1 }
    }

    /// The same, transposed.
    fn transposed_from(&self, first: usize) -> Matrix<'a> {
        let Matrix { data, row_stride, column_stride } = self.from(first);
        Matrix { data, row_stride: column_stride, column_stride: row_stride }
    }

    /// The same head of a table.
    fn of_table(&self, data: &'a [f32]) -> Self {
        Self { data, ..*self }
    }
}

/// Attention of one head over a row of `length` tokens: `[length, head_size]`.
fn one_head([query, key, value]: [Part; 3], length: usize, spec: &Spec) -> Vec<f32> {
    let head_size = query.head_size;
    let mut out = vec![0.0; length * head_size];
    let mut scores = Vec::new();
    for start in (0..length).step_by(BLOCK) {
        let queries = start..(start + BLOCK).min(length);
        let keys = spec.mask.reach(&queries, length);
        let block = Block { queries: queries.clone(), keys: keys.clone() };
        let shape = [queries.len(), keys.len(), head_size];
        scores.resize(queries.len() * keys.len(), 0.0);
        product(shape, query.from(queries.start), key.transposed_from(keys.start), &mut scores);
        if let Some(relative) = &spec.relative {
            block.add_products(relative, [query, key], &mut scores);
        }
        scale(&mut scores, spec.scale);
        if let Some(relative) = &spec.relative {
            block.add_bias(relative, spec.heads, query.head, &mut scores);
        }
        block.hide(spec.mask, &mut scores);
        softmax(&mut scores, keys.len());
        let weights = Matrix { data: &scores, row_stride: keys.len(), column_stride: 1 };
        let mixed = &mut out[queries.start * head_size..queries.end * head_size];
        product([queries.len(), head_size, keys.len()], weights, value.from(keys.start), mixed);
    }
    out
}

/// Scores `[queries, keys]` of a part of a row.
struct Block {
    queries: Range<usize>,
    keys: Range<usize>,
}

impl Block {
    /// Calls `term(query, key, score)` with the places of every score in its row.
    fn each(&self, scores: &mut [f32], mut term: impl FnMut(usize, usize, &mut f32)) {
        for (query, scores) in self.queries.clone().zip(scores.chunks_exact_mut(self.keys.len())) {
            for (key, score) in self.keys.clone().zip(scores) {
                term(query, key, score);
            }
        }
    }

    /// Adds the products with the tables of a relative attention. Only the buckets of this block are
    /// multiplied, which its row alone decides: so a row's bits do not depend on longer ones.
    fn add_products(&self, relative: &Relative, [query, key]: [Part; 2], scores: &mut [f32]) {
        let reached = relative.reached(&self.queries, &self.keys);
        let products = |left: Part, places: &Range<usize>, table: &[f32]| {
            let mut out = vec![0.0; places.len() * reached.len()];
            let right = left.of_table(table).transposed_from(reached.start);
            let shape = [places.len(), reached.len(), left.head_size];
            product(shape, left.from(places.start), right, &mut out);
            out
        };
        let term = |terms: &[f32], place: usize, bucket: usize| {
            terms[place * reached.len() + bucket - reached.start]
        };
        if let Some(table) = relative.key {
            let terms = products(query, &self.queries, table);
            self.each(scores, |query, key, score| {
                *score += term(&terms, query - self.queries.start, relative.bucket(query, key));
            });
        }
        if let Some(table) = relative.query {
            let terms = products(key, &self.keys, table);
            self.each(scores, |query, key, score| {
                *score += term(&terms, key - self.keys.start, relative.bucket(query, key));
            });
        }
    }

    /// Adds the bias of a relative attention.
    fn add_bias(&self, relative: &Relative, heads: usize, head: usize, scores: &mut [f32]) {
        if let Some(bias) = relative.bias {
            self.each(scores, |query, key, score| {
                *score += bias[relative.bucket(query, key) * heads + head];
            });
        }
    }

    /// Sets what is not seen to minus infinity.
    fn hide(&self, mask: Mask, scores: &mut [f32]) {
        if mask != Mask::Full {
            self.each(scores, |query, key, score| {
                if !mask.sees(query, key) {
                    *score = f32::NEG_INFINITY;
                }
            });
        }
    }
}

multiversion! {
    /// `x[r] := softmax(x[r])` for every row of `x [rows, width]`.
    fn softmax(x: &mut [f32], width: usize) {
        for row in x.chunks_exact_mut(width) {
            let largest = row.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
            let mut total = 0.0;
            for x in row.iter_mut() {
                *x = exp(*x - largest);
            }
            for x in row.iter() {
                total += *x;
            }
            for x in row {
                *x /= total;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec { heads: 1, scale: 0.5, mask: Mask::Full, relative: None };

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7 + seed * 13) % 23) as f32 / 11.0 - 1.0).collect()
    }

    /// The definition in f64, for one row of `inputs`, `[length, heads * size]` each.
    fn plain(inputs: [&[f32]; 3], length: usize, spec: &Spec) -> Vec<f64> {
        let width = inputs[0].len() / length;
        let size = width / spec.heads;
        let mut out = vec![0.0; length * width];
        for (i, head) in (0..length).flat_map(|i| (0..spec.heads).map(move |h| (i, h))) {
            let columns = |x: &[f32], row: usize| -> Vec<f64> {
                let start = row * width + head * size;
                x[start..start + size].iter().map(|x| f64::from(*x)).collect()
            };
            let dot = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>();
            let score = |j: usize| {
                let (query, key) = (columns(inputs[0], i), columns(inputs[1], j));
                let mut score = dot(query.clone(), key.clone());
                let mut bias = 0.0;
                if let Some(relative) = &spec.relative {
                    let b = relative.buckets[relative.buckets.len() / 2 + i - j] as usize;
                    score += relative.key.map_or(0.0, |table| dot(query, columns(table, b)));
                    score += relative.query.map_or(0.0, |table| dot(key, columns(table, b)));
                    bias = relative.bias.map_or(0.0, |x| f64::from(x[b * spec.heads + head]));
                }
                (score * f64::from(spec.scale) + bias).exp()
            };
            let seen: Vec<usize> = (0..length).filter(|j| spec.mask.sees(i, *j)).collect();
            let scores: Vec<f64> = seen.iter().map(|j| score(*j)).collect();
            let total: f64 = scores.iter().sum();
            for (j, score) in seen.iter().zip(&scores) {
                for (column, value) in columns(inputs[2], *j).into_iter().enumerate() {
                    out[i * width + head * size + column] += score / total * value;
                }
            }
        }
        out
    }

    fn agree(got: &[f32], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 2e-6, "{got} {want}");
        }
    }

    #[test]
    fn rows_attend_only_to_themselves() {
        let inputs = [1, 2, 3].map(|seed| numbers(5 * 4, seed));
        let [query, key, value] = [&inputs[0], &inputs[1], &inputs[2]].map(Vec::as_slice);
        let got = attention([query, key, value], &[0, 2, 2, 5], &SPEC);
        let mut want = plain([&query[..8], &key[..8], &value[..8]], 2, &SPEC);
        want.extend(plain([&query[8..], &key[8..], &value[8..]], 3, &SPEC));
        agree(&got, &want);
    }

    /// Rows longer than a block of queries, seen whole, backwards only, and through windows.
    #[test]
    fn masks_agree_with_the_definition() {
        let length = BLOCK + 70;
        let inputs = [1, 2, 3].map(|seed| numbers(length * 6, seed));
        let inputs = [&inputs[0], &inputs[1], &inputs[2]].map(Vec::as_slice);
        for mask in [Mask::Full, Mask::Causal, Mask::Window(0), Mask::Window(5)] {
            let spec = Spec { heads: 2, mask, ..SPEC };
            agree(&attention(inputs, &[0, length], &spec), &plain(inputs, length, &spec));
        }
    }

    #[test]
    fn terms_by_distance_agree_with_the_definition() {
        let (length, heads, width, buckets) = (BLOCK + 3, 2, 6, 5);
        let inputs = [1, 2, 3].map(|seed| numbers(length * width, seed));
        let inputs = [&inputs[0], &inputs[1], &inputs[2]].map(Vec::as_slice);
        let far = length as i64 - 1;
        let rows: Vec<u32> = (-far..=far).map(|d| (d.clamp(-2, 2) + 2) as u32).collect();
        let (bias, key, query) =
            (numbers(buckets * heads, 4), numbers(buckets * width, 5), numbers(buckets * width, 6));
        for (bias, key, query) in [
            (Some(bias.as_slice()), None, None),
            (None, Some(key.as_slice()), None),
            (None, None, Some(query.as_slice())),
            (Some(bias.as_slice()), Some(key.as_slice()), Some(query.as_slice())),
        ] {
            let relative = Some(Relative { buckets: &rows, bias, key, query });
            let spec = Spec { heads, relative, ..SPEC };
            agree(&attention(inputs, &[0, length], &spec), &plain(inputs, length, &spec));
        }
    }

    /// Two heads are two attentions over halves of the width.
    #[test]
    fn heads_are_independent() {
        let x = numbers(3 * 4, 9);
        let half = |start: usize| -> Vec<f32> {
            x.chunks(4).flat_map(|row| row[start..start + 2].to_vec()).collect()
        };
        let spec = Spec { heads: 2, ..SPEC };
        let both = attention([&x, &x, &x], &[0, 3], &spec);
        for (start, part) in [(0, half(0)), (2, half(2))] {
            let alone = attention([&part, &part, &part], &[0, 3], &SPEC);
            let got: Vec<f32> =
                both.chunks(4).flat_map(|row| row[start..start + 2].to_vec()).collect();
            assert_eq!(got, alone);
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let x = [f32::NAN, 1.0];
        assert!(attention([&x, &x, &[1.0, 1.0]], &[0, 2], &SPEC).iter().any(|x| x.is_nan()));
    }
}
