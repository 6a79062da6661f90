//! Attention against its definition, and against itself in other company.

use super::*;

const SPEC: Spec = Spec { heads: 1, scale: 0.5, mask: Mask::Full, relative: None };

/// Numbers between -1 and 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Queries, keys and values beside each other, `[tokens, 3 * width]`.
struct Inputs {
    data: Vec<f32>,
    width: usize,
}

impl Inputs {
    fn new(tokens: usize, width: usize) -> Self {
        Self { data: numbers(tokens * 3 * width, 1), width }
    }

    /// Those of the tokens from `first` on.
    fn from(&self, first: usize) -> [Rows<'_>; 3] {
        let stride = 3 * self.width;
        [0, 1, 2]
            .map(|part| Rows { data: &self.data[first * stride + part * self.width..], stride })
    }

    fn on(&self, isa: Isa, threads: usize, offsets: &[usize], spec: &Spec) -> Vec<f32> {
        // What stands in the result before must not count.
        let mut out = vec![f32::NAN; offsets[offsets.len() - 1] * self.width];
        attention_on(isa, &Pool::new(threads), self.from(0), offsets, spec, &mut out);
        out
    }
}

/// The tables of a relative attention with clipped distances.
struct Tables {
    buckets: Vec<u32>,
    bias: Vec<f32>,
    key: Vec<f32>,
    query: Vec<f32>,
}

impl Tables {
    /// For rows of up to `longest` tokens; distances beyond `far` share a bucket.
    fn new(longest: usize, far: i64, [heads, width]: [usize; 2]) -> Self {
        let (farthest, count) = (longest as i64 - 1, 2 * far as usize + 1);
        let bucket = |distance: i64| (distance.clamp(-far, far) + far) as u32;
        Self {
            buckets: (-farthest..=farthest).map(bucket).collect(),
            bias: numbers(count * heads, 4),
            key: numbers(count * width, 5),
            query: numbers(count * width, 6),
        }
    }

    /// Those of bias, table for queries and table for keys that are asked for.
    fn some(&self, [bias, key, query]: [bool; 3]) -> Relative<'_> {
        Relative {
            buckets: &self.buckets,
            bias: bias.then_some(&self.bias),
            key: key.then_some(&self.key),
            query: query.then_some(&self.query),
        }
    }
}

/// The definition in f64, for one row.
fn plain(inputs: [Rows; 3], [length, width]: [usize; 2], spec: &Spec) -> Vec<f64> {
    let size = width / spec.heads;
    let mut out = vec![0.0; length * width];
    for (i, head) in (0..length).flat_map(|i| (0..spec.heads).map(move |h| (i, h))) {
        let columns = |x: Rows, row: usize| -> Vec<f64> {
            let row = x.from(row, head * size).row(0, size);
            row.iter().map(|x| f64::from(*x)).collect()
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let query = columns(inputs[0], i);
        let score = |j: usize| {
            let key = columns(inputs[1], j);
            let (mut score, mut bias) = (dot(&query, &key), 0.0);
            if let Some(relative) = &spec.relative {
                let b = relative.buckets[relative.buckets.len() / 2 + i - j] as usize;
                let row = |data| columns(Rows { data, stride: width }, b);
                score += relative.key.map_or(0.0, |table| dot(&query, &row(table)));
                score += relative.query.map_or(0.0, |table| dot(&key, &row(table)));
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

/// On every instruction set of this machine. Scores, which grow with the scale, are rounded in proportion.
fn agrees(inputs: &Inputs, length: usize, spec: &Spec) {
    let want = plain(inputs.from(0), [length, inputs.width], spec);
    let bound = 2e-6 * f64::from(spec.scale.max(1.0));
    for isa in Isa::available() {
        let got = inputs.on(isa, 1, &[0, length], spec);
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(&want) {
            let name = isa.name();
            assert!(
                (f64::from(*got) - want).abs() < bound,
                "{got} {want}: {name}, {length}, {spec:?}"
            );
        }
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

const MASKS: [Mask; 6] = [
    Mask::Full,
    Mask::Causal,
    Mask::Window(0),
    Mask::Window(5),
    Mask::Window(64),
    Mask::Window(900),
];

#[test]
fn lengths_and_masks_agree_with_the_definition() {
    for length in [1, 2, 5, 10, 15, 16, 17, 31, 33, 64, 100, 257, 300] {
        let inputs = Inputs::new(length, 6);
        for mask in MASKS {
            agrees(&inputs, length, &Spec { heads: 2, mask, ..SPEC });
        }
    }
    let inputs = Inputs::new(600, 3);
    for mask in [Mask::Full, Mask::Causal, Mask::Window(64)] {
        agrees(&inputs, 600, &Spec { mask, ..SPEC });
    }
}

#[test]
fn head_sizes_agree_with_the_definition() {
    for size in [1, 5, 8, 16, 24, 32, 64, 80, 128] {
        for length in [7, 50] {
            let spec = Spec { heads: 3, scale: 1.0 / (size as f32).sqrt(), ..SPEC };
            agrees(&Inputs::new(length, 3 * size), length, &spec);
        }
    }
}

/// With distances of their own and with shared buckets, in rows of one and of several parts.
#[test]
fn terms_by_distance_agree_with_the_definition() {
    let (heads, width) = (2, 10);
    for (length, far) in [(1, 1), (9, 8), (16, 2), (40, 39), (70, 7), (300, 20)] {
        let tables = Tables::new(length + 3, far, [heads, width]);
        let inputs = Inputs::new(length, width);
        for some in
            [[true, false, false], [false, true, false], [false, false, true], [true, true, true]]
        {
            let relative = Some(tables.some(some));
            agrees(&inputs, length, &Spec { heads, relative, ..SPEC });
        }
        for mask in [Mask::Causal, Mask::Window(5), Mask::Window(40)] {
            let relative = Some(tables.some([true; 3]));
            agrees(&inputs, length, &Spec { heads, relative, mask, ..SPEC });
        }
    }
}

/// Scores far apart: all the weight lies on few keys, and that of most vanishes.
#[test]
fn large_scores_agree_with_the_definition() {
    let inputs = Inputs::new(70, 8);
    agrees(&inputs, 70, &Spec { scale: 30.0, ..SPEC });
}

#[test]
fn a_row_has_the_same_bits_in_any_batch_and_on_any_threads() {
    let (heads, width) = (3, 15);
    let offsets = [0, 2, 2, 5, 275, 276, 300, 333];
    let inputs = Inputs::new(333, width);
    let tables = Tables::new(280, 30, [heads, width]);
    for isa in Isa::available() {
        for mask in [Mask::Full, Mask::Causal, Mask::Window(20)] {
            for relative in [None, Some(tables.some([true; 3]))] {
                let spec = Spec { heads, mask, relative, ..SPEC };
                let together = inputs.on(isa, 1, &offsets, &spec);
                for threads in [2, 7] {
                    let shared = inputs.on(isa, threads, &offsets, &spec);
                    assert_eq!(bits(&shared), bits(&together), "{threads} threads");
                }
                for row in offsets.windows(2) {
                    let mut alone = vec![f32::NAN; (row[1] - row[0]) * width];
                    let (pool, own) = (Pool::new(1), [0, row[1] - row[0]]);
                    attention_on(isa, &pool, inputs.from(row[0]), &own, &spec, &mut alone);
                    assert_eq!(bits(&alone), bits(&together[row[0] * width..row[1] * width]));
                }
            }
        }
    }
}

/// Every job begins with pairs of its own, and all pieces are answered once.
#[test]
fn many_threads_share_a_long_row() {
    let inputs = Inputs::new(600, 64);
    let spec = Spec { heads: 2, ..SPEC };
    for isa in Isa::available() {
        let alone = inputs.on(isa, 1, &[0, 600], &spec);
        assert!(alone.iter().all(|x| x.is_finite()));
        assert_eq!(bits(&inputs.on(isa, 7, &[0, 600], &spec)), bits(&alone));
    }
}

/// Two heads are two attentions over halves of the width, and strides do not matter.
#[test]
fn heads_are_independent() {
    let inputs = Inputs::new(40, 8);
    for isa in Isa::available() {
        let both = inputs.on(isa, 1, &[0, 40], &Spec { heads: 2, ..SPEC });
        for start in [0, 4] {
            let part = |rows: Rows| -> Vec<f32> {
                (0..40).flat_map(|row| rows.from(row, start).row(0, 4)).copied().collect()
            };
            let parts = inputs.from(0).map(part);
            let rows = [0, 1, 2].map(|i| Rows { data: &parts[i], stride: 4 });
            let mut alone = vec![f32::NAN; 40 * 4];
            attention_on(isa, &Pool::new(1), rows, &[0, 40], &SPEC, &mut alone);
            let got = part(Rows { data: &both, stride: 8 });
            assert_eq!(bits(&got), bits(&alone));
        }
    }
}

/// What is no number spoils the queries that see it and no others; so does a score that is infinite.
#[test]
fn what_is_no_number_stays_none() {
    for (number, place) in [(f32::NAN, 1), (f32::INFINITY, 1), (f32::NAN, 2), (f32::INFINITY, 2)] {
        for isa in Isa::available() {
            let mut inputs = Inputs::new(40, 2);
            // A part of token 30: its key or its value, for a query of the same sign.
            inputs.data[30 * 6 + 2 * place] = number;
            (0..40).for_each(|token| inputs.data[token * 6] = 0.5);
            let out = inputs.on(isa, 1, &[0, 40], &Spec { mask: Mask::Causal, ..SPEC });
            let finite = |row: usize| out[2 * row].is_finite();
            assert!((0..16).all(finite) && !(30..40).any(finite), "{number} {place}");
        }
    }
    let mut inputs = Inputs::new(3, 2);
    inputs.data[0] = f32::NAN;
    for isa in Isa::available() {
        let out = inputs.on(isa, 1, &[0, 3], &SPEC);
        assert!(out[..2].iter().all(|x| x.is_nan()) && out[2..].iter().all(|x| x.is_finite()));
    }
}

#[test]
fn no_tokens_need_nothing() {
    let rows = Rows { data: &[], stride: 2 };
    attention(&Pool::new(1), [rows; 3], &[0], &SPEC, &mut []);
    attention(&Pool::new(1), [rows; 3], &[0, 0], &SPEC, &mut []);
}
