//! The terms of the scores that depend on the distance of query and key.

use std::ops::Range;

use super::machine::{LANES, Lanes, Machine};
use super::tile::multiply;
use super::turn::{Block, shear, turn, turn_rows};
use super::{Relative, Rows};

/// Terms by distance as one head sees them.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    buckets: &'a [u32],
    bias: Option<Rows<'a>>,
    key: Option<Rows<'a>>,
    query: Option<Rows<'a>>,
    size: usize,
}

/// The distances that the vectors of [`shear`]'s result need beyond their number.
pub(super) const MORE: usize = LANES - 1;

impl<'a> Terms<'a> {
    /// Those of head `head` of `heads`, each of `size` columns.
    #[inline(always)]
    pub(super) fn new(relative: &Relative<'a>, [head, heads, size]: [usize; 3]) -> Self {
        let table = |data| Rows { data, stride: heads * size }.from(0, head * size);
        Self {
            buckets: relative.buckets,
            bias: relative.bias.map(|data| Rows { data, stride: heads }.from(0, head)),
            key: relative.key.map(table),
            query: relative.query.map(table),
            size,
        }
    }

    /// The bucket of a distance, or of the nearest that has one: lanes without a token ask for those.
    #[inline(always)]
    fn bucket(&self, distance: isize) -> usize {
        let (zero, last) = (self.buckets.len() / 2, self.buckets.len() - 1);
        self.buckets[zero.saturating_add_signed(distance).min(last)] as usize
    }

    /// Sets the scores of `keys` for sixteen queries, `query [size, 16]` from place `first` on, to what
    /// the table says for the query; false if there is no such table. `scores` has room for [`MORE`].
    #[inline(always)]
    pub(super) fn of_queries<M: Machine>(
        &self,
        machine: M,
        (first, query): (usize, &[Lanes]),
        keys: &Range<usize>,
        scores: &mut [Lanes],
    ) -> bool {
        let Some(table) = self.key else { return false };
        let farthest = distance(first + MORE, keys.start);
        let row = |t: usize| table.row(self.bucket(farthest - t as isize), self.size);
        multiply(machine, row, query, scores, false);
        shear(scores);
        true
    }

    /// Turns the keys `keys` into blocks of `[size, 16]` numbers, if the table for keys needs them.
    #[inline(always)]
    pub(super) fn turn_keys(&self, key: Rows, keys: &Range<usize>, blocks: &mut Vec<Lanes>) {
        if self.query.is_none() {
            return;
        }
        let depth = self.size.next_multiple_of(LANES);
        let blocks = super::room(blocks, keys.len().div_ceil(LANES) * depth);
        for (first, block) in keys.clone().step_by(LANES).zip(blocks.chunks_exact_mut(depth)) {
            let count = LANES.min(keys.end - first);
            turn_rows(key.from(first, 0), [count, self.size], 1.0, block);
        }
    }

    /// Adds `factor` times what the table says for the key to the scores of the keys `seen`, for
    /// sixteen queries from place `first` on; `blocks` are the keys `keys` as [`Self::turn_keys`] left them.
    #[inline(always)]
    pub(super) fn add_of_keys<M: Machine>(
        &self,
        machine: M,
        (first, factor): (usize, f32),
        (keys, blocks): (&Range<usize>, &[Lanes]),
        seen: &Range<usize>,
        scores: &mut [Lanes],
    ) {
        let Some(table) = self.query else { return };
        let depth = self.size.next_multiple_of(LANES);
        for (start, block) in keys.clone().step_by(LANES).zip(blocks.chunks_exact(depth)) {
            let own = start.max(seen.start)..(start + LANES).min(seen.end);
            if own.is_empty() {
                continue;
            }
            let nearest = distance(first, start + MORE);
            let row = |t: usize| table.row(self.bucket(nearest + t as isize), self.size);
            let mut products = [[0.0; LANES]; LANES + MORE];
            multiply(machine, row, &block[..self.size], &mut products, false);
            shear(&mut products);
            let mut turned: Block = [[0.0; LANES]; LANES];
            products.first_chunk().into_iter().for_each(|products| turn(products, &mut turned));
            let scores = &mut scores[own.start - seen.start..own.end - seen.start];
            for (scores, terms) in scores.iter_mut().zip(&turned[own.start - start..]) {
                for (score, term) in scores.iter_mut().zip(terms) {
                    *score = machine.multiply_add_one(factor, *term, *score);
                }
            }
        }
    }

    /// Writes the bias times `factor` for the distances of `queries` to `keys`, from the least on, if
    /// there is one.
    #[inline(always)]
    pub(super) fn spread_bias(
        &self,
        factor: f32,
        [queries, keys]: [&Range<usize>; 2],
        spread: &mut Vec<f32>,
    ) {
        let Some(bias) = self.bias else { return };
        let least = distance(queries.start, keys.end - 1);
        let spread = super::room(spread, queries.len() + keys.len() + MORE);
        for (t, number) in spread.iter_mut().enumerate() {
            *number = factor * bias.row(self.bucket(least + t as isize), 1)[0];
        }
    }

    /// Adds the bias to the scores of the keys `seen` for sixteen queries that are `first` places after
    /// the first of those of [`Self::spread_bias`], whose last key is `last` places after the first seen.
    #[inline(always)]
    pub(super) fn add_bias(&self, [first, last]: [usize; 2], spread: &[f32], scores: &mut [Lanes]) {
        if self.bias.is_none() {
            return;
        }
        for (place, scores) in scores.iter_mut().enumerate() {
            for (score, bias) in scores.iter_mut().zip(&spread[first + last - place..][..LANES]) {
                *score += *bias;
            }
        }
    }
}

/// How far the place `query` lies after the place `key`.
#[inline(always)]
fn distance(query: usize, key: usize) -> isize {
    query as isize - key as isize
}
