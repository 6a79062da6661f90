//! What attention is told beside its inputs: masks, and terms that depend on the distance of two tokens.

/// Which tokens of its row a token attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All.
    Full,
    /// Itself and those before it.
    Causal,
    /// Those at most so many places away, on either side.
    Window(usize),
}

/// How tokens attend to the tokens of their row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionSpec {
    /// Number of heads, which divides the width.
    pub heads: usize,
    /// Factor of the products before softmax.
    pub scale: f32,
    /// Who is seen.
    pub mask: Mask,
}

impl AttentionSpec {
    /// Attention to all tokens, the products divided by the root of the head size `width / heads`
    /// (Vaswani et al. 2017).
    pub fn new(width: usize, heads: usize) -> Self {
        let scale = 1.0 / ((width / heads) as f32).sqrt();
        Self { heads, scale, mask: Mask::Full }
    }

    /// The same, with another mask.
    pub fn masked(self, mask: Mask) -> Self {
        Self { mask, ..self }
    }
}

/// Terms of the scores that depend on the distance of query and key. With `d` = place of the query -
/// place of the key and `b` = `buckets.of(d)`, the score of a head is
/// `scale * (q . k + q . key[b] + k . query[b]) + bias[b, head]`, of which absent terms are 0.
#[derive(Debug, Clone, Copy)]
pub struct Relative<'a, T> {
    /// Which row of the tables belongs to which distance.
    pub buckets: &'a Buckets,
    /// A number per head, `[buckets, heads]` (MPNet, after T5).
    pub bias: Option<&'a T>,
    /// What a query is multiplied with, `[buckets, width]`: content to position (DeBERTa).
    pub key: Option<&'a T>,
    /// What a key is multiplied with, `[buckets, width]`: position to content (DeBERTa).
    pub query: Option<&'a T>,
}

/// The row of a table for each distance between two places of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// The row for the distance `d` at `d + longest - 1`, `[2 * longest - 1]`.
    pub rows: Vec<u32>,
}

impl Buckets {
    /// The buckets of all distances in rows of up to `longest` tokens, at least 1.
    pub fn new(longest: usize, bucket: impl Fn(i64) -> u32) -> Self {
        let far = longest.max(1) as i64 - 1;
        Self { rows: (-far..=far).map(bucket).collect() }
    }

    /// The same with the rows that occur alone, numbered anew from 0, and the old numbers in their
    /// order: a short row needs few of a long table.
    pub fn compact(self) -> (Self, Vec<u32>) {
        let mut used = self.rows.clone();
        used.sort_unstable();
        used.dedup();
        let place = |row: &u32| used.binary_search(row).unwrap_or_default() as u32;
        (Self { rows: self.rows.iter().map(place).collect() }, used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_reach_from_the_farthest_before_to_the_farthest_behind() {
        let buckets = Buckets::new(3, |distance| (10 + distance.clamp(-1, 1)) as u32);
        assert_eq!(buckets.rows, [9, 9, 10, 11, 11]);
        let (few, used) = buckets.compact();
        assert_eq!((few.rows, used), (vec![0, 0, 1, 2, 2], vec![9, 10, 11]));
        assert_eq!(Buckets::new(0, |_| 7).rows, [7]);
    }
}
