//! Attention of one head: sixteen queries at a time, one in each lane, over all keys that they see.

use std::ops::Range;

use super::machine::{LANES, Lanes, Machine};
use super::output::Columns;
use super::relative::{MORE, Spread, Terms};
use super::softmax::softmax;
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
    /// Factor of the products, for scores of the base 2.
    pub(super) factor: f32,
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
    /// Keys and values, without what lies between them.
    key: Vec<f32>,
    value: Vec<f32>,
    /// Terms by distance.
    spread: Spread,
}

/// Queries for which keys and values are read where they lie. More read them often enough that a copy
/// pays, whose rows do not fall on the same places of the cache.
const FEW: usize = 2 * LANES;

impl Head<'_> {
    /// Writes the results of `queries`, places in the row, to `out`, whose first row is the row's first
    /// token.
    #[inline(always)]
    pub(super) fn attend<M: Machine>(
        &self,
        machine: M,
        queries: Range<usize>,
        scratch: &mut Scratch,
        out: &Columns,
    ) {
        let Scratch { query: turned, scores, mixed, key: keys, value: values, spread } = scratch;
        let (size, depth) = (self.size, self.size.next_multiple_of(LANES));
        let reached = self.mask.reach(&queries, self.length);
        let [query, key, value] = self.inputs;
        let [mut key, mut value] = [key, value].map(|rows| rows.from(reached.start, 0));
        if queries.len() > FEW {
            key = dense(key, [reached.len(), size], keys);
            value = dense(value, [reached.len(), size], values);
        }
        #[expect(clippy::manual_map, reason = "a closure is not compiled for the instruction set")]
        let mut terms = match &self.terms {
            Some(terms) => {
                Some(terms.spread(machine, key, [queries.clone(), reached.clone()], spread))
            }
            None => None,
        };
        for first in queries.clone().step_by(LANES) {
            let count = LANES.min(queries.end - first);
            let turned = room(turned, depth);
            turn_rows(machine, query.from(first, 0), [count, size], self.factor, turned);
            let turned = &turned[..size];
            let seen = self.mask.reach(&(first..first + count), self.length);
            let place = seen.start - reached.start;
            let scores = room(scores, seen.len() + MORE);
            let begun = match &terms {
                Some(terms) => terms.of_queries(machine, (first, turned), &seen, scores),
                None => false,
            };
            let scores = &mut scores[..seen.len()];
            multiply(machine, |k| key.row(place + k, size), turned, scores, begun);
            if let Some(terms) = &mut terms {
                terms.add_of_keys(machine, first, &seen, scores);
                terms.add_bias(machine, first, &seen, scores);
            }
            hide(self.mask, first..first + count, &seen, scores);
            let total = softmax(scores);
            let mixed = room(mixed, depth);
            mix(machine, value.from(place, 0), scores, &mut mixed[..size]);
            self.write(machine, [first, count], (mixed, &total), out);
        }
    }

    /// Divides the weighted values of `count` queries from place `first` on by the weights' sums and
    /// writes them.
    #[inline(always)]
    fn write<M: Machine>(
        &self,
        machine: M,
        [first, count]: [usize; 2],
        (mixed, total): (&mut [Lanes], &Lanes),
        out: &Columns,
    ) {
        let mut turned: Block = [[0.0; LANES]; LANES];
        let factors = machine.load(&total.map(|total| 1.0 / total));
        for (place, block) in mixed.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            for row in &mut *block {
                machine.store(machine.multiply(machine.load(row), factors), row);
            }
            turn(block, &mut turned);
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

/// A copy of `rows [count, width]` whose rows lie end to end.
#[inline(always)]
fn dense<'a>(rows: Rows, [count, width]: [usize; 2], memory: &'a mut Vec<f32>) -> Rows<'a> {
    let data = room(memory, count * width);
    for (row, out) in data.chunks_exact_mut(width).enumerate() {
        out.copy_from_slice(rows.row(row, width));
    }
    Rows { data, stride: width }
}
