//! The model card of a converted folder.

use crate::recipe::{ConversionPlan, Float};

/// `README.md`: front matter that the Hub reads, then what was done in a few lines. The licence is
/// taken from `source`, the source's own card.
pub(crate) fn model_card(
    source: Option<&str>,
    base_model: Option<&str>,
    plan: &ConversionPlan,
) -> String {
    let mut card = "---\nlibrary_name: mlx\ntags:\n- mlx\n".to_owned();
    if let Some(format) = plan.format {
        card.push_str(&format!("- quantized\n- {}-bit\n", format.bits()));
    }
    let licence = source.and_then(licence);
    if let Some(licence) = licence {
        card.push_str(&format!("{licence}\n"));
    }
    if let Some(base) = base_model {
        // A JSON text is a YAML text too, whatever the name holds.
        card.push_str(&format!("base_model: {}\n", serde_json::Value::from(base)));
    }
    let rest = plan.float().map_or("integers", Float::name);
    let how = match plan.format {
        Some(format) => format!(
            "{}, {} bits, groups of {}, the rest in {rest}",
            format.mode(),
            format.bits(),
            format.group_size()
        ),
        None => format!("dequantized to {rest}"),
    };
    card.push_str(&format!("---\n\nConverted by mlxq: {how}.\n"));
    card
}

/// The line `license: …` of a card's front matter, if it holds a plain name.
fn licence(card: &str) -> Option<&str> {
    let front = card.strip_prefix("---\n")?.split("\n---").next()?;
    let line = front.lines().find(|line| line.starts_with("license:"))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._: ".contains(c);
    line.chars().all(plain).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_kept_if_it_is_a_name() {
        assert_eq!(
            licence("---\nx: 1\nlicense: apache-2.0\n---\ntext"),
            Some("license: apache-2.0")
        );
        assert_eq!(licence("---\nx: 1\n---\nlicense: mit"), None);
        assert_eq!(licence("---\nlicense: [a, b]\n---\n"), None);
    }
}
