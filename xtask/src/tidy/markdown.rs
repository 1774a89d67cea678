//! References in a Markdown text: link targets and `code spans`.

/// A name in a text and its line, from 1.
#[derive(Debug, PartialEq)]
pub(super) struct Reference<'a> {
    pub(super) line: usize,
    pub(super) kind: Kind,
    pub(super) text: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// The target of `[text](target)`, `![text](target)` or `[id]: target`.
    Link,
    /// The inside of a code span.
    CodeSpan,
}

/// All references outside fenced code blocks, which hold commands and programs instead of names.
pub(super) fn references(text: &str) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let mark = fence_mark(line);
        match (fence, mark) {
            (Some(open), Some(mark)) if mark.starts_with(open) && line.trim() == mark => fence = None,
            (Some(_), _) => {}
            (None, Some(mark)) => fence = Some(mark),
            (None, None) => {
                let mut add = |kind, text| found.push(Reference { line: index + 1, kind, text });
                inline(line, &mut add);
            }
        }
    }
    found
}

/// The run of three or more backticks or tildes that a line starts with.
fn fence_mark(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let first = line.chars().next().filter(|first| matches!(first, '`' | '~'))?;
    let mark = &line[..line.len() - line.trim_start_matches(first).len()];
    // An info string cannot hold backticks: "```a```" is a code span.
    (mark.len() >= 3 && !(first == '`' && line[mark.len()..].contains('`'))).then_some(mark)
}

fn inline<'a>(line: &'a str, add: &mut impl FnMut(Kind, &'a str)) {
    if let Some(target) = line.strip_prefix('[').and_then(|rest| Some(rest.split_once("]: ")?.1)) {
        add(Kind::Link, destination(target));
        return;
    }
    let mut rest = line;
    while let Some(at) = rest.find(['`', ']']) {
        let from = &rest[at..];
        if let Some(link) = from.strip_prefix("](") {
            // The first `)` ends the target: names with brackets are not supported.
            let end = link.find(')').unwrap_or(link.len());
            add(Kind::Link, destination(&link[..end]));
            rest = &link[end..];
        } else if from.starts_with('`') {
            let (span, after) = code_span(from);
            if let Some(span) = span {
                add(Kind::CodeSpan, span);
            }
            rest = after;
        } else {
            rest = &from[1..];
        }
    }
}

/// The code span at the start of `text`, if its run of backticks is closed by one of the same length, and the text after it.
fn code_span(text: &str) -> (Option<&str>, &str) {
    let inside = text.trim_start_matches('`');
    let ticks = text.len() - inside.len();
    let mut at = 0;
    while let Some(start) = inside[at..].find('`').map(|found| at + found) {
        let after = inside[start..].trim_start_matches('`');
        let end = inside.len() - after.len();
        if end - start == ticks {
            return (Some(inside[..start].trim()), after);
        }
        at = end;
    }
    (None, inside)
}

/// A link's target without a title and angle brackets.
fn destination(target: &str) -> &str {
    let target = target.split_whitespace().next().unwrap_or_default();
    target.trim_start_matches('<').trim_end_matches('>')
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{CodeSpan, Link};

    #[track_caller]
    fn check(text: &str, want: &[(usize, Kind, &str)]) {
        let found: Vec<_> = references(text).into_iter().map(|r| (r.line, r.kind, r.text)).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn links_and_code_spans_are_found() {
        check("see `a/b.rs` and\n[c](d.md \"title\")", &[(1, CodeSpan, "a/b.rs"), (2, Link, "d.md")]);
        check("[`x`](y.md), ![z](<z.svg>)", &[(1, CodeSpan, "x"), (1, Link, "y.md"), (1, Link, "z.svg")]);
        check("[id]: docs/a.md", &[(1, Link, "docs/a.md")]);
        check("``a ` b`` `c` and a lone ` tick", &[(1, CodeSpan, "a ` b"), (1, CodeSpan, "c")]);
        check("`[not](a-link.md)` [1] é](", &[(1, CodeSpan, "[not](a-link.md)"), (1, Link, "")]);
    }

    #[test]
    fn fenced_blocks_name_nothing() {
        check("```sh\ncat `a/b.rs`\n```\n`c`", &[(4, CodeSpan, "c")]);
        check("~~~~\n```\n~~~\n`a`\n~~~~\n`b`", &[(6, CodeSpan, "b")]);
        check("```never closed\n`a`", &[]);
        check("```a``` `b`", &[(1, CodeSpan, "a"), (1, CodeSpan, "b")]);
    }
}
