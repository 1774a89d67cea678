//! Escaping of text in HTML that is assembled by hand; markup of `maud` does not need it.

use std::fmt::{self, Write as _};

/// Text in HTML, in elements and in quoted attributes.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        let text = Escaped("<img src=x onerror='a()'>&\"").to_string();
        assert_eq!(text, "&lt;img src=x onerror=&#39;a()&#39;&gt;&amp;&quot;");
    }
}
