//! The terms of the scores that depend on the distance of query and key.
//!
//! Tables are laid out by distance first, so that the scores of consecutive keys or queries find theirs
//! at consecutive places.

use std::ops::Range;

use super::machine::{LANES, Lanes, Machine};
use super::tile::multiply;
use super::turn::{Block, shear, turn, turn_rows};
use super::{Relative, Rows, room};

/// What sixteen lanes add to the distances of one.
pub(super) const MORE: usize = LANES - 1;

/// Tables as one head sees them.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    buckets: &'a [u32],
    bias: Option<Rows<'a>>,
    key: Option<Rows<'a>>,
    query: Option<Rows<'a>>,
    /// Columns of the head.
    size: usize,
    /// Factors of the products and of the bias.
    factors: [f32; 2],
}

/// Memory for the terms, used again and again.
#[derive(Default)]
pub(super) struct Spread {
    /// Bias and tables by distance, from the least on.
    bias: Vec<f32>,
    key: Vec<f32>,
    query: Vec<f32>,
    /// Sixteen keys each, turned: blocks of `[size, 16]`.
    blocks: Vec<Lanes>,
    /// For each block of keys the products with the distances that the next queries need too.
    carried: Vec<[Lanes; MORE]>,
}

/// Terms of some queries and keys of a row, by distance.
pub(super) struct ByDistance<'a> {
    terms: &'a Terms<'a>,
    spread: &'a mut Spread,
    queries: Range<usize>,
    keys: Range<usize>,
    /// Length of a turned block of keys.
    depth: usize,
}

impl<'a> Terms<'a> {
    /// Those of head `head` of `heads`, each of `size` columns.
    pub(super) fn new(
        relative: &Relative<'a>,
        [head, heads, size]: [usize; 3],
        factors: [f32; 2],
    ) -> Self {
        let table = |data| Rows { data, stride: heads * size }.from(0, head * size);
        Self {
            buckets: relative.buckets,
            bias: relative.bias.map(|data| Rows { data, stride: heads }.from(0, head)),
            key: relative.key.map(table),
            query: relative.query.map(table),
            size,
            factors,
        }
    }

    /// The bucket of a distance, or of the nearest that has one: lanes without a token ask for those.
    #[inline(always)]
    fn bucket(&self, distance: isize) -> usize {
        let (zero, last) = (self.buckets.len() / 2, self.buckets.len() - 1);
        self.buckets[zero.saturating_add_signed(distance).min(last)] as usize
    }

    /// Lays out the terms for `queries` and `keys` of a row; `key` are those keys.
    #[inline(always)]
    pub(super) fn spread<M: Machine>(
        &'a self,
        machine: M,
        key: Rows,
        [queries, keys]: [Range<usize>; 2],
        spread: &'a mut Spread,
    ) -> ByDistance<'a> {
        let depth = self.size.next_multiple_of(LANES);
        let mut all = ByDistance { terms: self, spread, queries, keys, depth };
        let (least, count) = all.distances();
        let buckets = (0..count).map(|t| self.bucket(least + t as isize));
        let Spread { bias, key: of_key, query: of_query, .. } = &mut *all.spread;
        if let Some(table) = self.bias {
            for (out, bucket) in room(bias, count).iter_mut().zip(buckets.clone()) {
                *out = self.factors[1] * table.row(bucket, 1)[0];
            }
        }
        for (table, out) in [(self.key, of_key), (self.query, of_query)] {
            let Some(table) = table else { continue };
            let out = room(out, count * self.size).chunks_exact_mut(self.size);
            for (out, bucket) in out.zip(buckets.clone()) {
                out.copy_from_slice(table.row(bucket, self.size));
            }
        }
        if self.query.is_some() {
            all.begin_keys(machine, key);
        }
        all
    }
}

impl ByDistance<'_> {
    /// The least distance that any lane asks for, and how many there are.
    #[inline(always)]
    fn distances(&self) -> (isize, usize) {
        let [queries, keys] = [&self.queries, &self.keys].map(|x| x.len().next_multiple_of(LANES));
        let least = self.queries.start as isize - (self.keys.start + keys - 1) as isize;
        (least, queries + keys - 1)
    }

    /// The place of the distance from `key` to `query`.
    #[inline(always)]
    fn place(&self, query: usize, key: usize) -> usize {
        let last = self.keys.start + self.keys.len().next_multiple_of(LANES) - 1;
        query - self.queries.start + last - key
    }

    /// Turns the keys and multiplies them with the distances below those of the first query.
    #[inline(always)]
    fn begin_keys<M: Machine>(&mut self, machine: M, key: Rows) {
        let (size, depth) = (self.terms.size, self.depth);
        let count = self.keys.len().div_ceil(LANES);
        room(&mut self.spread.blocks, count * depth);
        if self.spread.carried.len() < count {
            self.spread.carried.resize(count, [[0.0; LANES]; MORE]);
        }
        for (place, first) in self.keys.clone().step_by(LANES).enumerate() {
            let nearest = self.place(self.queries.start, first + MORE);
            let Spread { query: table, blocks, carried, .. } = &mut *self.spread;
            let block = &mut blocks[place * depth..][..depth];
            let count = LANES.min(self.keys.end - first);
            turn_rows(key.from(first - self.keys.start, 0), [count, size], 1.0, block);
            let table = Rows { data: table, stride: size }.from(nearest, 0);
            multiply(machine, |t| table.row(t, size), &block[..size], &mut carried[place], false);
        }
    }

    /// Sets the scores of the keys `seen` for sixteen queries, `query [size, 16]` from place `first` on,
    /// to what the table says for the query; false if there is no such table. `scores` has room for
    /// [`MORE`].
    #[inline(always)]
    pub(super) fn of_queries<M: Machine>(
        &self,
        machine: M,
        (first, query): (usize, &[Lanes]),
        seen: &Range<usize>,
        scores: &mut [Lanes],
    ) -> bool {
        if self.terms.key.is_none() {
            return false;
        }
        let size = self.terms.size;
        let farthest = self.place(first + MORE, seen.start);
        let table = Rows { data: &self.spread.key, stride: size };
        multiply(machine, |t| table.row(farthest - t, size), query, scores, false);
        shear(scores);
        true
    }

    /// Adds what the table says for the key to the scores of the keys `seen`, for sixteen queries from
    /// place `first` on, called for one sixteen after the other.
    #[inline(always)]
    pub(super) fn add_of_keys<M: Machine>(
        &mut self,
        machine: M,
        first: usize,
        seen: &Range<usize>,
        scores: &mut [Lanes],
    ) {
        if self.terms.query.is_none() {
            return;
        }
        let (size, depth) = (self.terms.size, self.depth);
        let mut products = [[0.0; LANES]; LANES + MORE];
        let mut turned: Block = [[0.0; LANES]; LANES];
        for (place, start) in self.keys.clone().step_by(LANES).enumerate() {
            let nearest = self.place(first, start);
            let Spread { query: table, blocks, carried, .. } = &mut *self.spread;
            let (before, new) = products.split_at_mut(MORE);
            before.copy_from_slice(&carried[place]);
            let table = Rows { data: table, stride: size }.from(nearest, 0);
            let block = &blocks[place * depth..][..size];
            multiply(machine, |t| table.row(t, size), block, new, false);
            carried[place].copy_from_slice(&products[LANES..]);
            shear(&mut products);
            products.first_chunk().into_iter().for_each(|products| turn(products, &mut turned));
            let own = start.max(seen.start)..(start + LANES).min(seen.end);
            for key in own {
                let scores = &mut scores[key - seen.start];
                for (score, term) in scores.iter_mut().zip(&turned[key - start]) {
                    *score += self.terms.factors[0] * term;
                }
            }
        }
    }

    /// Adds the bias to the scores of the keys `seen` for sixteen queries from place `first` on.
    #[inline(always)]
    pub(super) fn add_bias(&self, first: usize, seen: &Range<usize>, scores: &mut [Lanes]) {
        if self.terms.bias.is_none() {
            return;
        }
        let nearest = self.place(first, seen.start);
        for (place, scores) in scores.iter_mut().enumerate() {
            let bias = &self.spread.bias[nearest - place..][..LANES];
            for (score, bias) in scores.iter_mut().zip(bias) {
                *score += *bias;
            }
        }
    }
}
