//! Which rows are used where fewer are asked for than there are.

use std::collections::BTreeMap;

use super::{Row, Sampling, Target};
use crate::stats::SplitMix64;

/// Leaves `count` of `rows`, in their order; the strata of [`places`] are the labels where every row has
/// one.
pub(super) fn take(rows: &mut Vec<Row>, count: usize, sampling: Sampling) {
    let stratum = |row: &Row| match row.target {
        Target::Label(label) => label,
        _ => 0,
    };
    let strata: Vec<usize> = rows.iter().map(stratum).collect();
    keep(rows, &places(&strata, count, sampling));
}

/// Whether each row is among the `count` used, given the rows' strata.
///
/// Each stratum gets its share: `count` times its rows by all rows, rounded down, and what is left over
/// goes to the largest remainders, of equal ones to the smaller stratum. Within a stratum the first of a
/// Fisher–Yates shuffle are taken, stratum after stratum from one generator.
pub(super) fn places(strata: &[usize], count: usize, sampling: Sampling) -> Vec<bool> {
    let rows = strata.len();
    let seed = match sampling {
        Sampling::Random { seed } if count < rows => seed,
        _ => return (0..rows).map(|place| place < count).collect(),
    };
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, stratum) in strata.iter().enumerate() {
        members.entry(*stratum).or_default().push(place);
    }
    let sizes: Vec<usize> = members.values().map(Vec::len).collect();
    let mut random = SplitMix64::new(seed);
    let mut kept = vec![false; rows];
    for (mut members, share) in members.into_values().zip(shares(&sizes, count)) {
        for at in 0..share {
            let other = at + random.below(members.len() - at);
            members.swap(at, other);
            kept[members[at]] = true;
        }
    }
    kept
}

/// Drops what is not `kept`.
pub(super) fn keep<T>(rows: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter().copied();
    rows.retain(|_| kept.next().unwrap_or(false));
}

/// `count` divided in proportion to `sizes` by largest remainders.
fn shares(sizes: &[usize], count: usize) -> Vec<usize> {
    let all: u128 = sizes.iter().map(|size| *size as u128).sum();
    let exact = |size: &usize| *size as u128 * count as u128;
    let mut shares: Vec<usize> = sizes.iter().map(|size| (exact(size) / all) as usize).collect();
    let left = count - shares.iter().sum::<usize>();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    // A stable sort: of equal remainders the first stays before the second.
    order.sort_by_key(|stratum| std::cmp::Reverse(exact(&sizes[*stratum]) % all));
    for stratum in order.into_iter().take(left) {
        shares[stratum] += 1;
    }
    shares
}
