use proptest::prelude::*;

use super::*;

#[test]
fn tokens_are_those_of_python() {
    let check =
        |line: &str, expected: &[&str]| assert_eq!(tokens(line).collect::<Vec<_>>(), expected, "{line:?}");
    check("", &[]);
    check(" \t\r\n\u{b}\u{c}", &[]);
    check("a  b", &["a", "b"]);
    check("  ein\u{a0}männchen\u{3000}läuft \u{2028}", &["ein", "männchen", "läuft"]);
    check("a\u{1c}b\u{1f}c\u{85}d\u{1680}e\u{205f}f\u{202f}g", &["a", "b", "c", "d", "e", "f", "g"]);
    // Not white space: zero width space, soft hyphen, and characters that share bytes with white space.
    check("a\u{200b}b\u{ad}c â…€ 、", &["a\u{200b}b\u{ad}c", "â…€", "、"]);
}

proptest! {
    #[test]
    fn tokens_are_what_lies_between_white_space(line in "([a-c]|\\PC|\\s|[\\x1c-\\x1f]){0,40}") {
        let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
        let expected: Vec<_> = line.split(is_space).filter(|token| !token.is_empty()).collect();
        prop_assert_eq!(tokens(&line).collect::<Vec<_>>(), expected);
    }
}
