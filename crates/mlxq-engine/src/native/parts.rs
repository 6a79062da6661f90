//! A batch in parts for the threads.

use std::ops::Range;

/// The rows between `offsets` in at most `most` contiguous parts of about equally many tokens, of which
/// each has `least` tokens or the whole has fewer.
pub(super) fn parts(offsets: &[usize], most: usize, least: usize) -> Vec<Range<usize>> {
    let tokens = offsets.last().copied().unwrap_or(0);
    let count = (tokens / least.max(1)).clamp(1, most.max(1));
    // The begin of the row that is nearest to each part's share.
    let bound = |part: usize| {
        let share = tokens * part / count;
        let after = offsets.partition_point(|offset| *offset < share);
        let before = after.saturating_sub(1);
        if share - offsets[before].min(share) < offsets[after] - share { before } else { after }
    };
    let all = (0..count).map(|part| bound(part)..bound(part + 1));
    all.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand.
    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one part, not its rows")]
    fn parts_are_cut_at_the_nearest_row() {
        let offsets = [0, 10, 20, 30, 100, 110, 200];
        assert_eq!(parts(&offsets, 1, 64), [0..6]);
        assert_eq!(parts(&offsets, 2, 64), [0..4, 4..6]);
        assert_eq!(parts(&offsets, 3, 64), [0..4, 4..5, 5..6]);
        assert_eq!(parts(&offsets, 2, 101), [0..6]);
        // One row cannot be cut, and is no more than one part.
        assert_eq!(parts(&[0, 1000], 4, 64), [0..1]);
        assert_eq!(parts(&[0, 1000, 1001], 4, 64), [0..1, 1..2]);
    }

    #[test]
    fn every_row_is_in_one_part() {
        for most in 1..9 {
            let lengths = (0..50).map(|row| row * 37 % 41 + 1);
            let offsets: Vec<usize> = std::iter::once(0)
                .chain(lengths.scan(0, |end, length| {
                    *end += length;
                    Some(*end)
                }))
                .collect();
            let parts = parts(&offsets, most, 64);
            assert!(parts.len() == most && parts.windows(2).all(|two| two[0].end == two[1].start));
            assert_eq!((parts[0].start, parts[most - 1].end), (0, 50));
        }
    }
}
