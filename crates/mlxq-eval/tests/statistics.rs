//! Properties that the statistics have for every input.

use mlxq_eval::stats::{Drop, LogRatio, McNemar, holm, wilson, wilson_at, wilson_bounds};
use proptest::prelude::*;

/// The test by its definition: of all ways in which rows that differ could go to the one or the other
/// model, the share that is as uneven as what was seen.
fn by_enumeration(lost: u32, gained: u32) -> [f64; 3] {
    let differing = lost + gained;
    let patterns = 0..1u32 << differing;
    let share = |counts: &dyn Fn(u32) -> bool| {
        let found = patterns.clone().filter(|pattern| counts(pattern.count_ones())).count();
        found as f64 / f64::from(1u32 << differing)
    };
    let uneven = |lost: u32| (2 * i64::from(lost) - i64::from(differing)).abs();
    let exact = share(&|other| uneven(other) >= uneven(lost));
    let itself = if differing == 0 { 0.0 } else { share(&|other| other == lost) };
    [exact, exact - itself, share(&|other| other >= lost)]
}

proptest! {
    #[test]
    fn mcnemar_is_what_enumeration_gives(lost in 0u32..9, gained in 0u32..9) {
        let test = McNemar::of(lost as usize, gained as usize);
        let expected = by_enumeration(lost, gained);
        for (got, want) in [test.exact, test.mid_p, test.one_sided].into_iter().zip(expected) {
            prop_assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }

    #[test]
    fn mcnemar_sees_no_sides_and_gives_probabilities(lost in 0usize..5000, gained in 0usize..5000) {
        let (test, back) = (McNemar::of(lost, gained), McNemar::of(gained, lost));
        prop_assert!((test.exact - back.exact).abs() < 1e-12 && (test.mid_p - back.mid_p).abs() < 1e-12);
        prop_assert!(test.mid_p <= test.exact && (0.0..=1.0).contains(&test.exact));
        // What is seen belongs to both sides.
        prop_assert!(test.one_sided + back.one_sided >= 1.0 - 1e-9);
        prop_assert!(McNemar::of(lost + 1, gained).one_sided <= test.one_sided + 1e-12);
    }

    #[test]
    fn wilson_holds_the_share_and_mirrors(rows in 1usize..20_000, part in 0.0f64..1.0) {
        let right = (part * rows as f64) as usize;
        let (low, high) = wilson(right, rows);
        let share = right as f64 / rows as f64;
        prop_assert!(0.0 <= low && low <= share && share <= high && high <= 1.0);
        let (back_low, back_high) = wilson(rows - right, rows);
        prop_assert!((low - (1.0 - back_high)).abs() < 1e-9 && (high - (1.0 - back_low)).abs() < 1e-9);
        let (inner_low, inner_high) = wilson_bounds(right, rows);
        prop_assert!(low <= inner_low && inner_high <= high);
        let (outer_low, outer_high) = wilson_at(right, rows, 0.99);
        prop_assert!(outer_low <= low && high <= outer_high);
        if right < rows {
            prop_assert!(wilson(right + 1, rows).0 >= low && wilson(right + 1, rows).1 >= high);
        }
    }

    #[test]
    fn tango_holds_the_drop_and_mirrors(
        rows in 1usize..20_000,
        lost in 0.0f64..0.5,
        gained in 0.0f64..0.5,
    ) {
        let count = |share: f64| (share * rows as f64) as usize;
        let drop = Drop { lost: count(lost), gained: count(gained), rows };
        let ((low, high), (outer_low, outer_high)) = (drop.bounds(), drop.two_sided());
        prop_assert!(-1.0 <= outer_low && outer_low <= low && low <= drop.value());
        prop_assert!(drop.value() <= high && high <= outer_high && outer_high <= 1.0);
        let (back_low, back_high) =
            Drop { lost: drop.gained, gained: drop.lost, rows }.bounds();
        prop_assert!((low + back_high).abs() < 1e-9 && (high + back_low).abs() < 1e-9);
        if drop.lost + drop.gained < rows {
            let (next_low, next_high) = Drop { lost: drop.lost + 1, ..drop }.bounds();
            prop_assert!(next_low >= low - 1e-12 && next_high >= high - 1e-12);
        }
    }

    #[test]
    fn holm_raises_and_keeps_the_order(values in prop::collection::vec(0.0f64..1.0, 0..12)) {
        let adjusted = holm(&values);
        for (value, raised) in values.iter().zip(&adjusted) {
            let most = (value * values.len() as f64).min(1.0);
            prop_assert!(value <= raised && *raised <= 1.0);
            // Between Bonferroni's and none, but for being made rising.
            let before = values.iter().filter(|other| *other < value).count();
            prop_assert!(before > 0 || (raised - most).abs() < 1e-12);
        }
        for (a, raised_a) in values.iter().zip(&adjusted) {
            for (b, raised_b) in values.iter().zip(&adjusted) {
                prop_assert!(a > b || raised_a <= raised_b);
            }
        }
    }

    #[test]
    fn ratios_turn_round_with_their_sides(ratios in prop::collection::vec(0.2f64..5.0, 2..30)) {
        let turned: Vec<f64> = ratios.iter().map(|ratio| 1.0 / ratio).collect();
        let (a, b) = (LogRatio::new(&ratios).expect("some"), LogRatio::new(&turned).expect("some"));
        prop_assert!((a.value() * b.value() - 1.0).abs() < 1e-9);
        prop_assert!((a.median() * b.median() - 1.0).abs() < 1e-9);
        prop_assert!((a.bounds().0 * b.bounds().1 - 1.0).abs() < 1e-9);
        prop_assert!(a.two_sided().0 <= a.bounds().0 && a.bounds().1 <= a.two_sided().1);
        prop_assert_eq!(a.median_interval().is_some(), ratios.len() >= 6);
        if let Some((low, high)) = a.median_interval() {
            prop_assert!(low <= a.median() * (1.0 + 1e-12) && a.median() <= high * (1.0 + 1e-12));
        }
    }
}
