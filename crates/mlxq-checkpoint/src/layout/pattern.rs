//! Names with holes: `model.layers.{i}.mlp` and `{*}.position_ids`.
//!
//! `{*}` stands for any text, any other hole for a number: `{i}` for a layer, `{e}` for an expert.

/// What the holes of a pattern stand for in a name: hole → text.
pub(super) type Filling<'n> = Vec<(&'static str, &'n str)>;

/// The pattern's text before its first hole, the hole, and the rest; `None` without a hole.
fn first_hole(pattern: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (before, rest) = pattern.split_once('{')?;
    let (hole, after) = rest.split_once('}')?;
    Some((before, hole, after))
}

/// What the holes of `pattern` stand for in `name`, if it fits.
pub(super) fn matched<'n>(pattern: &'static str, name: &'n str) -> Option<Filling<'n>> {
    let Some((before, hole, after)) = first_hole(pattern) else {
        return (pattern == name).then(Vec::new);
    };
    let rest = name.strip_prefix(before)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let mut lengths = if hole == "*" { 0..=rest.len() } else { digits.max(1)..=digits };
    lengths.find_map(|length| {
        let (text, rest) = rest.split_at_checked(length)?;
        let mut filling = matched(after, rest)?;
        filling.insert(0, (hole, text));
        Some(filling)
    })
}

/// `pattern` with its holes filled.
pub(super) fn filled(pattern: &'static str, filling: &[(&'static str, &str)]) -> String {
    let Some((before, hole, after)) = first_hole(pattern) else { return pattern.to_owned() };
    let text = filling.iter().find(|(name, _)| *name == hole).map_or("", |(_, text)| *text);
    format!("{before}{text}{}", filled(after, filling))
}

/// Every name that `pattern` stands for, where hole `h` counts from 0 to `count(h)`.
pub(super) fn written_out(pattern: &'static str, count: &dyn Fn(&str) -> usize) -> Vec<String> {
    let Some((before, hole, after)) = first_hole(pattern) else { return vec![pattern.to_owned()] };
    let rests = written_out(after, count);
    let with = |i: usize| rests.iter().map(move |rest| format!("{before}{i}{rest}"));
    (0..count(hole)).flat_map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_found_and_filled() {
        let found = matched("a.{i}.b.{e}.c", "a.10.b.2.c").expect("a match");
        assert_eq!(found, [("i", "10"), ("e", "2")]);
        assert_eq!(filled("x.{e}.{i}", &found), "x.2.10");
        assert_eq!(matched("{*}.ids", "a.b.ids"), Some(vec![("*", "a.b")]));
        assert_eq!(matched("a.{*}", "a."), Some(vec![("*", "")]));
        for (pattern, name) in
            [("a.{i}", "a.x"), ("a.{i}", "a."), ("a", "ab"), ("{*}.ids", "ids"), ("{*}b", "bc")]
        {
            assert_eq!(matched(pattern, name), None, "{pattern} {name}");
        }
    }

    #[test]
    fn all_names_are_written_out() {
        let count = |hole: &str| if hole == "i" { 2 } else { 1 };
        assert_eq!(written_out("a.{i}.{k}", &count), ["a.0.0", "a.1.0"]);
        assert_eq!(written_out("a", &count), ["a"]);
    }
}
