//! Filter patterns, in their plain forms.
//!
//! | pattern | matches lines that contain |
//! |---|---|
//! | `error loss` | both terms, anywhere |
//! | `"exit code"` | the phrase |
//! | `-debug` | not the term |
//! | `?error ?warning` | one of the terms |
//!
//! Case matters. Patterns of JSON (`{ … }`), of columns (`[ … ]`) and regular expressions (`%…%`) are refused.

use thiserror::Error;

/// A condition on the content of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

/// The reason why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// The kind of pattern is not supported.
    #[error(
        "Invalid filter pattern: {0} are not offered on your own machine; terms, \"quoted phrases\", -term and ?term are"
    )]
    Kind(&'static str),
    /// A quotation mark is not closed.
    #[error("Invalid filter pattern: a quotation mark is not closed")]
    Open,
    /// A sign has no term after it.
    #[error("Invalid filter pattern: {0} has no term")]
    NoTerm(char),
}

impl Pattern {
    /// Parses a pattern; an empty one matches every line.
    ///
    /// # Errors
    /// If its kind is not supported, or a quotation mark is not closed.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let mut rest = pattern.trim_start();
        match rest.chars().next() {
            Some('{') => return Err(PatternError::Kind("patterns of JSON")),
            Some('[') => return Err(PatternError::Kind("patterns of columns")),
            _ => {}
        }
        let mut parsed = Self::default();
        while let Some(first) = rest.chars().next() {
            let (terms, mark) = match first {
                '-' => (&mut parsed.none, Some(first)),
                '?' => (&mut parsed.any, Some(first)),
                '%' => return Err(PatternError::Kind("regular expressions")),
                _ => (&mut parsed.all, None),
            };
            if mark.is_some() {
                rest = &rest[1..];
            }
            let (term, after) = term(rest)?;
            match (term.is_empty(), mark) {
                (false, _) => terms.push(term),
                (true, Some(mark)) => return Err(PatternError::NoTerm(mark)),
                (true, None) => {}
            }
            rest = after.trim_start();
        }
        Ok(parsed)
    }

    /// Whether a line matches. As on AWS, `?` terms are ignored if there are required terms.
    pub fn fits(&self, line: &str) -> bool {
        let holds = |term: &String| line.contains(term.as_str());
        !self.none.iter().any(holds)
            && self.all.iter().all(holds)
            && (self.any.is_empty() || !self.all.is_empty() || self.any.iter().any(holds))
    }
}

/// The first term of a pattern, and the text after it.
fn term(text: &str) -> Result<(String, &str), PatternError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut term = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, character)) = chars.next() {
        match character {
            '"' => return Ok((term, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => term.push(escaped),
                Some((_, other)) => term.extend(['\\', other]),
                None => return Err(PatternError::Open),
            },
            character => term.push(character),
        }
    }
    Err(PatternError::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, fitting: &[&str], others: &[&str]) {
        let parsed = Pattern::parse(pattern).unwrap();
        for line in fitting {
            assert!(parsed.fits(line), "{pattern:?} should fit {line:?}");
        }
        for line in others {
            assert!(!parsed.fits(line), "{pattern:?} should not fit {line:?}");
        }
    }

    #[test]
    fn terms_are_found() {
        check("", &["", "a"], &[]);
        check("error loss", &["loss and error"], &["error", "loss", "Error loss"]);
        check(r#""exit code" 1"#, &["the exit code is 1"], &["the code at exit 1"]);
        check(r#""say \"no\" \\""#, &[r#"say "no" \"#], &["say no"]);
        check("error -debug", &["error"], &["error debug", "debug"]);
        check(r#"-"a b""#, &["a", "b"], &["a b"]);
        check("?error ?\"a warning\"", &["an error", "a warning"], &["warning"]);
        check("must ?may", &["must"], &["may"]);
    }

    #[test]
    fn other_kinds_are_refused() {
        for pattern in ["{ $.a = 1 }", " [a, b]", "%[Ee]rror%", "\"a", "\"a\\", "-", "a ? b"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_is_read_or_refused(pattern in ".{0,40}", line in ".{0,40}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.fits(&line);
            }
        }
    }
}
