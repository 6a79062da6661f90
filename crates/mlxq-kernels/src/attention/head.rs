//! Attention of one head: sixteen queries at a time, one in each lane, over all keys that they see.

use std::ops::Range;

use super::output::Columns;
use super::relative::{MORE, Terms};
use super::softmax::softmax;
use super::machine::{LANES, Lanes, Machine};
use super::tile::{mix, multiply};
use super::turn::{Block, turn, turn_rows};
use super::{Mask, Rows, room};

/// What one head computes on, a row's tokens from its first on.
pub(super) struct Head<'a> {
    /// Queries, keys and values, the head's columns first.
    pub(super) inputs: [Rows<'a>; 3],
    /// Tokens of the row.
    pub(super) length: usize,
    /// Columns of the head.
    pub(super) size: usize,
    /// Factor of the products.
    pub(super) scale: f32,
    /// Who is seen.
    pub(super) mask: Mask,
    /// Terms by distance.
    pub(super) terms: Option<Terms<'a>>,
}

/// Memory that a thread uses again and again.
#[derive(Default)]
pub(super) struct Scratch {
    /// Sixteen queries, turned: `[size, 16]`.
    query: Vec<Lanes>,
    /// Their scores, then weights: `[keys, 16]`, and room for terms by distance.
    scores: Vec<Lanes>,
    /// Their weighted values: `[size, 16]`.
    mixed: Vec<Lanes>,
    /// Keys, turned: blocks of `[size, 16]`.
    keys: Vec<Lanes>,
    /// The bias for each distance.
    bias: Vec<f32>,
}

impl Head<'_> {
    /// Writes the results of `queries`, places in the row, to `out`, whose first row is the row's first
    /// token. The scores are those of the base 2.
    #[inline(always)]
    pub(super) fn attend<M: Machine>(
        &self,
        machine: M,
        queries: Range<usize>,
        scratch: &mut Scratch,
        out: &Columns,
    ) {
        let [query, key, value] = self.inputs;
        let Scratch { query: turned, scores, mixed, keys: blocks, bias } = scratch;
        let depth = self.size.next_multiple_of(LANES);
        let factor = self.scale * std::f32::consts::LOG2_E;
        let keys = self.mask.reach(&queries, self.length);
        if let Some(terms) = &self.terms {
            terms.turn_keys(key, &keys, blocks);
            terms.spread_bias(std::f32::consts::LOG2_E, [&queries, &keys], bias);
        }
        for first in queries.clone().step_by(LANES) {
            let count = LANES.min(queries.end - first);
            let turned = room(turned, depth);
            turn_rows(query.from(first, 0), [count, self.size], factor, turned);
            let turned = &turned[..self.size];
            let seen = self.mask.reach(&(first..first + count), self.length);
            let scores = room(scores, seen.len() + MORE);
            let row = |place: usize| key.row(seen.start + place, self.size);
            let begun = self.terms.is_some_and(|terms| {
                terms.of_queries(machine, (first, turned), &seen, scores)
            });
            let scores = &mut scores[..seen.len()];
            multiply(machine, row, turned, scores, begun);
            if let Some(terms) = &self.terms {
                terms.add_of_keys(machine, (first, factor), (&keys, blocks), &seen, scores);
                let from = [first - queries.start, keys.end - 1 - seen.start];
                terms.add_bias(from, bias, scores);
            }
            hide(self.mask, first..first + count, &seen, scores);
            let total = softmax(machine, scores);
            let mixed = room(mixed, depth);
            mix(machine, value.from(seen.start, 0), scores, &mut mixed[..self.size]);
            self.write([first, count], mixed, &total, out);
        }
    }

    /// Divides the weighted values of `count` queries from place `first` on by the weights' sums and
    /// writes them.
    #[inline(always)]
    fn write(&self, [first, count]: [usize; 2], mixed: &[Lanes], total: &Lanes, out: &Columns) {
        let mut turned: Block = [[0.0; LANES]; LANES];
        for (place, block) in mixed.as_chunks::<LANES>().0.iter().enumerate() {
            let mut block = *block;
            for row in &mut block {
                for (number, total) in row.iter_mut().zip(total) {
                    *number /= total;
                }
            }
            turn(&block, &mut turned);
            let columns = place * LANES..self.size.min((place + 1) * LANES);
            for (r, row) in turned.iter().enumerate().take(count) {
                out.write(first + r, columns.start, &row[..columns.len()]);
            }
        }
    }
}

/// Sets what the `queries`, at most sixteen, do not see of the keys `seen` to minus infinity.
#[inline(always)]
fn hide(mask: Mask, queries: Range<usize>, seen: &Range<usize>, scores: &mut [Lanes]) {
    if mask == Mask::Full {
        return;
    }
    for (key, scores) in seen.clone().zip(scores) {
        // Who lies between two that see the key sees it too.
        if mask.sees(queries.start, key) && mask.sees(queries.end - 1, key) {
            continue;
        }
        for (query, score) in queries.clone().zip(scores) {
            if !mask.sees(query, key) {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}
