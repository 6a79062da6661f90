//! What the user says about single modules: `REGEX=bits[:group[:mode]]` or `REGEX=none`.

use std::str::FromStr;

use regex::Regex;

use super::Format;

/// A choice for the modules whose paths a pattern fits somewhere.
#[derive(Debug, Clone)]
pub struct Override {
    pattern: Regex,
    text: String,
    /// The format; `None` leaves the modules in float.
    pub(super) format: Option<Format>,
}

impl Override {
    /// Whether it speaks of the module at `path`.
    pub(super) fn fits(&self, path: &str) -> bool {
        self.pattern.is_match(path)
    }

    /// As the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Override {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "expected REGEX=bits[:group[:mode]] or REGEX=none";
        let (pattern, choice) = text.rsplit_once('=').ok_or(form)?;
        let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
        if choice == "none" {
            return Ok(Self { pattern, text: text.to_owned(), format: None });
        }
        let mut parts = choice.split(':');
        let number = |part: &str| part.parse::<u32>().map_err(|_| format!("`{part}`: {form}"));
        let bits = number(parts.next().unwrap_or_default())?;
        let group = parts.next().map(number).transpose()?.map(|group| group as usize);
        let mode = parts.next().unwrap_or("affine");
        if parts.next().is_some() {
            return Err(form.to_owned());
        }
        let format = Some(Format::new(mode, Some(bits), group)?);
        Ok(Self { pattern, text: text.to_owned(), format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_refused() {
        let read = |text: &str| text.parse::<Override>();
        let good = read("v_proj$=6:32").expect("good");
        assert!(good.fits("a.v_proj") && !good.fits("v_proj.x"));
        assert_eq!(good.format, Format::new("affine", Some(6), Some(32)).ok());
        assert_eq!(read("a=b=none").expect("good").format, None);
        assert_eq!(
            read("x=4:16:nvfp4").expect("good").format,
            Format::new("nvfp4", None, None).ok()
        );
        for text in ["x", "x=", "x=7", "(=8", "x=8:48", "x=8:64:affine:1", "x=8:32:mxfp4"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
