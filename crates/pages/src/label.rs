//! Labels made of arbitrary tokens.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Number of columns that a label takes in a terminal.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The token with every character visible that would have an effect instead of being shown: control characters (which terminals obey and
/// XML forbids), characters that change the writing direction of the text after them, line separators, and code points that XML does not
/// allow. An empty token becomes `ε`.
pub fn visible(token: &str) -> String {
    if token.is_empty() {
        return "ε".to_owned();
    }
    token
        .chars()
        .map(|c| match c {
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            '\x7f' => '␡',
            '\u{80}'..='\u{9f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The label truncated to at most `columns` (at least 1) columns, with `…` at the end if it was longer.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept) + 1 > columns {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

/// `text` followed by blanks up to `columns` columns.
pub fn pad_right(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` preceded by blanks up to `columns` columns.
pub fn pad_left(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The label letter by letter, for vertical writing; marks stay with their letter.
pub fn letters(text: &str) -> Vec<String> {
    let mut letters: Vec<String> = Vec::new();
    for c in text.chars() {
        match letters.last_mut() {
            Some(last) if c.width().unwrap_or(0) == 0 => last.push(c),
            _ => letters.push(c.to_string()),
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: &str, shown: &str, cut_to_four: &str, letter_count: usize) {
        let label = visible(token);
        assert_eq!(label, shown);
        let cut = fit(&label, 4);
        assert_eq!(cut, cut_to_four);
        assert!(width(&cut) <= 4);
        assert_eq!(letters(&label).len(), letter_count, "{:?}", letters(&label));
        assert_eq!(letters(&label).concat(), label);
        assert_eq!(width(&pad_left(&cut, 6)), 6);
        assert_eq!(width(&pad_right(&cut, 6)), 6);
    }

    #[test]
    fn any_token_can_be_shown() {
        check("cat", "cat", "cat", 3);
        check("cats", "cats", "cats", 4);
        check("tapeworm", "tapeworm", "tap…", 8);
        check("", "ε", "ε", 1);
        check("\u{1b}[2J\n", "␛[2J␊", "␛[2…", 5);
        check("a\u{202e}b", "a\u{fffd}b", "a\u{fffd}b", 3);
        check("日本", "日本", "日本", 2);
        check("日本語", "日本語", "日…", 3);
        check("e\u{301}te\u{301}", "e\u{301}te\u{301}", "e\u{301}te\u{301}", 3);
        check("\u{7f}\u{85}", "␡\u{fffd}", "␡\u{fffd}", 2);
    }
}
