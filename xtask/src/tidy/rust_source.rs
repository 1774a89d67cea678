//! The part of Rust's grammar that the rules need: code, strings, and tests.

use std::ops::Range;

/// A Rust file split into its code and its string literals.
pub(super) struct RustSource {
    /// The file with every byte of comments, strings and characters blanked; offsets and lines are unchanged.
    pub(super) code: String,
    pub(super) literals: Vec<Literal>,
    tests: Vec<Range<usize>>,
}

/// A string literal, with escapes as written.
#[derive(Debug)]
pub(super) struct Literal {
    pub(super) text: String,
    pub(super) offset: usize,
    pub(super) line: usize,
}

impl RustSource {
    pub(super) fn parse(text: &str) -> Self {
        let mut lexer = Lexer { text, code: text.as_bytes().to_vec(), literals: Vec::new() };
        lexer.split();
        let code = String::from_utf8(lexer.code).expect("only whole characters are blanked");
        Self { tests: test_items(&code), literals: lexer.literals, code }
    }

    /// Whether `offset` lies in an item under `#[cfg(test)]` or `#[test]`.
    pub(super) fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// The lines, from 1, on which `word` is a separate token of the code.
    pub(super) fn lines_with(&self, word: &str) -> Vec<usize> {
        let is_part = |byte: Option<&u8>| byte.is_some_and(|&byte| is_identifier(byte));
        let bytes = self.code.as_bytes();
        self.code
            .match_indices(word)
            .filter(|&(at, _)| {
                !is_part(at.checked_sub(1).map(|before| &bytes[before]))
                    && !is_part(bytes.get(at + word.len()))
            })
            .map(|(at, _)| line_of(&self.code, at))
            .collect()
    }
}

struct Lexer<'a> {
    text: &'a str,
    code: Vec<u8>,
    literals: Vec<Literal>,
}

impl Lexer<'_> {
    fn split(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at = if rest.starts_with(b"//") {
                self.blank(at, find(bytes, at, b"\n").unwrap_or(bytes.len()))
            } else if rest.starts_with(b"/*") {
                self.blank(at, end_of_block_comment(bytes, at))
            } else if rest[0] == b'"' {
                self.string(at, at + 1, end_of_string(bytes, at + 1, b'"'), 1)
            } else if rest[0] == b'\'' {
                match end_of_character(self.text, at) {
                    Some(end) => self.blank(at, end),
                    None => at + 1,
                }
            } else if is_identifier(rest[0]) {
                let end = at + rest.iter().take_while(|&&byte| is_identifier(byte)).count();
                self.after_identifier(at, end)
            } else {
                at + 1
            };
        }
    }

    /// `r"…"`, `br#"…"#` and the like start like identifiers; other prefixes (`b"`, `c"`) change nothing.
    fn after_identifier(&mut self, start: usize, end: usize) -> usize {
        let bytes = self.text.as_bytes();
        if !matches!(&bytes[start..end], b"r" | b"br" | b"cr") {
            return end;
        }
        let hashes = bytes[end..].iter().take_while(|&&byte| byte == b'#').count();
        let quote = end + hashes;
        if bytes.get(quote) != Some(&b'"') {
            return end;
        }
        let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
        let inner_end = find(bytes, quote + 1, &closing).unwrap_or(bytes.len());
        self.string(start, quote + 1, inner_end, closing.len())
    }

    /// Records the string between `inner` and `inner_end`, blanks it with its quotes, and returns its end.
    fn string(&mut self, start: usize, inner: usize, inner_end: usize, closing: usize) -> usize {
        let text = self.text[inner..inner_end].to_owned();
        self.literals.push(Literal { text, offset: start, line: line_of(self.text, start) });
        self.blank(start, (inner_end + closing).min(self.text.len()))
    }

    fn blank(&mut self, start: usize, end: usize) -> usize {
        for byte in &mut self.code[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        end
    }
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| from + at)
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if bytes[at..].starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The position of the closing quote.
fn end_of_string(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// The end of a character literal that starts at `at`; `None` for a lifetime.
fn end_of_character(text: &str, at: usize) -> Option<usize> {
    let inner = at + 1;
    let first = text[inner..].chars().next()?;
    if first == '\\' {
        return Some((end_of_string(text.as_bytes(), inner, b'\'') + 1).min(text.len()));
    }
    let end = inner + first.len_utf8();
    (text.as_bytes().get(end) == Some(&b'\'')).then_some(end + 1)
}

/// The ranges from each `#[cfg(test)]` or `#[test]` to the end of its item.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let bytes = code.as_bytes();
    let starts = ["#[cfg(test)]", "#[test]"].into_iter().flat_map(|attribute| code.match_indices(attribute));
    starts
        .map(|(start, _)| {
            let mut depth = 0usize;
            for (at, &byte) in bytes.iter().enumerate().skip(start) {
                match byte {
                    b'{' => depth += 1,
                    b'}' if depth <= 1 => return start..at + 1,
                    b'}' => depth -= 1,
                    b';' if depth == 0 => return start..at + 1,
                    _ => {}
                }
            }
            start..bytes.len()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, tokens: &str, literals: &[&str]) {
        let parsed = RustSource::parse(source);
        assert_eq!(parsed.code.split_whitespace().collect::<Vec<_>>().join(" "), tokens);
        assert_eq!(parsed.literals.iter().map(|literal| literal.text.as_str()).collect::<Vec<_>>(), literals);
        assert_eq!((parsed.code.len(), parsed.code.lines().count()), (source.len(), source.lines().count()));
    }

    #[test]
    fn comments_are_not_code() {
        check("a // unsafe \"x\"\nb /* c /* d */ \" */ e /// é\n", "a b e", &[]);
        check("a /* never closed", "a", &[]);
    }

    #[test]
    fn strings_are_taken_out() {
        check(r#"f("a \" // b", b"c\\", c"d");"#, "f( , b , c );", &[r#"a \" // b"#, r"c\\", "d"]);
        check("r\"a\\\" r#\"b\" c\"# br##\"d\"# e\"## x", "x", &["a\\", "b\" c", "d\"# e"]);
        check("let bar = \"é\nf\";", "let bar = ;", &["é\nf"]);
        check("\"never closed", "", &["never closed"]);
    }

    #[test]
    fn characters_are_not_lifetimes() {
        check(r#"'"' '\'' 'é' b'"' &'a str '\u{1F600}' r#fn"#, "b &'a str r#fn", &[]);
    }

    #[test]
    fn words_are_whole_tokens() {
        let source = RustSource::parse("unsafe_code\nunsafe {}\nnot_unsafe\n// unsafe\nunsafe");
        assert_eq!(source.lines_with("unsafe"), [2, 5]);
    }

    #[test]
    fn test_items_end_where_their_braces_do() {
        let source =
            "#[cfg(test)]\nmod tests;\nfn a() {}\n#[cfg(test)]\nmod tests { fn b() { \"}\" } }\nfn c() {}";
        let parsed = RustSource::parse(source);
        let is_test = |word: &str| parsed.is_test(source.find(word).unwrap());
        assert!(is_test("mod tests;") && is_test("fn b"));
        assert!(!is_test("fn a") && !is_test("fn c"));
    }
}
