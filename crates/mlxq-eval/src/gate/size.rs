//! The bytes of the folder.

use super::{Gate, Verdict};

/// How far from its target a size may be, as a share of it, where nothing else is said.
pub const SIZE_TOLERANCE: f64 = 0.10;

/// Which sizes are within a target and its tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SizeRule {
    /// As far below the target as above.
    #[default]
    Within,
    /// Any size below it.
    Max,
}

/// The folder's size in MiB must meet the target within the share `tolerance` of it; `expected` is what
/// its tensors take by arithmetic.
pub fn size(
    size_mb: f64,
    target_mb: Option<f64>,
    rule: SizeRule,
    tolerance: f64,
    expected: &str,
) -> Gate {
    const NAME: &str = "size";
    let Some(target) = target_mb else {
        let why = format!("{size_mb:.2} MB; no target is set");
        return Gate {
            value: Some(size_mb),
            ..Gate::without_data(NAME, None, Verdict::NotSet, &why)
        };
    };
    let percent = (size_mb / target - 1.0) * 100.0;
    let too_large = size_mb > (1.0 + tolerance) * target;
    let too_small = size_mb < (1.0 - tolerance) * target && rule == SizeRule::Within;
    let verdict = if too_large || too_small { Verdict::Fail } else { Verdict::Pass };
    let mut description = format!(
        "{size_mb:.2} MB, {percent:+.1} % of the target {target} MB, allowed {:.0} %",
        tolerance * 100.0
    );
    if too_small {
        description.push_str(&format!("; smaller than the target, which may be wrong: {expected}"));
    } else if too_large {
        description.push_str(&format!("; {expected}"));
    }
    Gate {
        name: NAME,
        verdict,
        value: Some(size_mb),
        threshold: Some(target),
        point_passed: verdict == Verdict::Pass,
        description,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_held_against_both_ends() {
        let verdict =
            |size, rule| super::size(size, Some(40.0), rule, SIZE_TOLERANCE, "23 MB").verdict;
        assert_eq!(verdict(36.1, SizeRule::Within), Verdict::Pass);
        assert_eq!(verdict(35.9, SizeRule::Within), Verdict::Fail);
        assert_eq!(verdict(35.9, SizeRule::Max), Verdict::Pass);
        assert_eq!(verdict(44.1, SizeRule::Max), Verdict::Fail);
        assert_eq!(super::size(1.0, None, SizeRule::Within, 0.1, "").verdict, Verdict::NotSet);
        let tight = super::size(41.0, Some(40.0), SizeRule::Within, 0.02, "");
        assert_eq!(tight.verdict, Verdict::Fail);
        assert!(tight.description.contains("allowed 2 %"), "{}", tight.description);
    }
}
