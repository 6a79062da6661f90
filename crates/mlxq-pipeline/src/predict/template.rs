//! Hypotheses from labels.

/// A text with a place for a label, in the form of Python's `str.format`, which transformers uses: `{}`,
/// or `{0}` as often as wanted; `{{` and `}}` for braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    /// What stands before, between and behind the places; at least two.
    pieces: Vec<String>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it has no place for a label, or braces that would need more than a label.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let refuse = |reason: &str| Err(format!("the hypothesis template `{text}` {reason}"));
        let mut pieces = vec![String::new()];
        let mut fields = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, braces) = rest.split_at(at);
            let piece = pieces.len() - 1;
            pieces[piece].push_str(before);
            let length = if braces.starts_with("{{") || braces.starts_with("}}") {
                pieces[piece].push_str(&braces[..1]);
                2
            } else if let Some(field) = ["{}", "{0}"].iter().find(|x| braces.starts_with(**x)) {
                pieces.push(String::new());
                fields.push(*field);
                field.len()
            } else {
                return refuse(
                    "has braces other than `{}`, where the label goes, and `{{` and `}}`",
                );
            };
            rest = &braces[length..];
        }
        let piece = pieces.len() - 1;
        pieces[piece].push_str(rest);
        if fields.is_empty() {
            return refuse("has no `{}` where the label goes");
        }
        if fields.len() > 1 && fields.contains(&"{}") {
            return refuse("has more than one `{}`; write `{0}` to repeat the label");
        }
        Ok(Self { pieces })
    }

    /// The hypothesis of `label`.
    pub(super) fn fill(&self, label: &str) -> String {
        self.pieces.join(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python's `str.format` fills them.
    #[test]
    fn the_label_goes_into_the_braces() {
        for (template, filled) in [
            ("This example is {}.", "This example is a b."),
            ("{}", "a b"),
            ("{0} or not {0}", "a b or not a b"),
            ("{{{}}} {{}}", "{a b} {}"),
            ("{}}}", "a b}"),
        ] {
            assert_eq!(Template::parse(template).map(|t| t.fill("a b")).as_deref(), Ok(filled));
        }
        // A label's own braces are text.
        assert_eq!(Template::parse("<{}>").map(|t| t.fill("{}")).as_deref(), Ok("<{}>"));
    }

    #[test]
    fn templates_without_effect_or_sense_are_refused() {
        for template in ["", "no label", "{{}}", "{", "}", "{}}", "{label}", "{1}", "{:>5}", "{{}"]
        {
            assert!(Template::parse(template).is_err(), "{template}");
        }
        for template in ["{} {}", "{} {0}", "{0} {}"] {
            let error = Template::parse(template).expect_err("refused");
            assert!(error.contains("`{0}`"), "{error}");
        }
    }
}
