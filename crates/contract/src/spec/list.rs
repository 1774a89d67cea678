//! The spellings of a list: JSON, Python, and comma-separated values.

use serde_json::Value as Json;

/// The items of a list, each as its text.
///
/// Accepts a JSON list (`["msd", "ssd"]`, `[10, 20]`), a Python list (`['msd']`), either with quotation marks that were escaped once too
/// often (`[\"msd\"]`), and comma-separated values without brackets (`msd, ssd`).
///
/// # Errors
/// A hint, if the text is not a list.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    if let Ok(Json::Array(items)) = serde_json::from_str(text) {
        return items.iter().enumerate().map(|(index, item)| scalar(index, item)).collect();
    }
    let inner = match (text.strip_prefix('['), text.ends_with(']')) {
        (Some(rest), true) => &rest[..rest.len() - 1],
        (None, false) => text,
        _ => return Err("it has only one of the two brackets of a list".to_owned()),
    };
    let inner = inner.replace("\\\"", "\"").replace("\\'", "'");
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut items = Vec::new();
    for piece in pieces(&inner)? {
        let piece = piece.trim();
        let item = match piece.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                piece.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).ok_or_else(|| {
                    format!("item {} of the list has an unpaired quotation mark", items.len() + 1)
                })?
            }
            Some(_) => piece,
            None => return Err(format!("item {} of the list is empty", items.len() + 1)),
        };
        items.push(item.to_owned());
    }
    Ok(items)
}

fn scalar(index: usize, item: &Json) -> Result<String, String> {
    match item {
        Json::String(text) => Ok(text.clone()),
        Json::Number(number) => Ok(number.to_string()),
        Json::Bool(truth) => Ok(truth.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => {
            Err(format!("item {} of the list is neither text nor a number", index + 1))
        }
    }
}

/// Splits the text at the commas outside quotation marks.
fn pieces(text: &str) -> Result<Vec<&str>, String> {
    let (mut pieces, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (None, ',') => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quote.is_some() {
        return Err("it has an unpaired quotation mark".to_owned());
    }
    pieces.push(&text[start..]);
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        match (split(text), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
            (found, expected) => panic!("{text}: found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn every_spelling_of_a_list_is_read() {
        for text in [
            r#"["msd", "ssd"]"#,
            "['msd','ssd']",
            r#"[\"msd\", \"ssd\"]"#,
            "msd,ssd",
            " msd , ssd ".trim(),
            "[msd, ssd]",
            "'msd', 'ssd'",
        ] {
            check(text, Ok(&["msd", "ssd"]));
        }
        check("[10, 20]", Ok(&["10", "20"]));
        check("3, 224, 224", Ok(&["3", "224", "224"]));
        check("[0.1, true]", Ok(&["0.1", "true"]));
        check("[]", Ok(&[]));
        check("[ ]", Ok(&[]));
        check("['a, b']", Ok(&["a, b"]));
        check("msd", Ok(&["msd"]));
    }

    #[test]
    fn what_is_no_list_is_told() {
        check("[msd", Err("only one of the two brackets"));
        check("msd]", Err("only one of the two brackets"));
        check("[", Err("only one of the two brackets"));
        check("msd,,ssd", Err("item 2 of the list is empty"));
        check("['msd',]", Err("item 2 of the list is empty"));
        check("['msd", Err("only one of the two"));
        check("'msd", Err("unpaired quotation mark"));
        check("['msd'x]", Err("item 1 of the list has an unpaired"));
        check("[[1]]", Err("item 1 of the list is neither text"));
        check("[null]", Err("item 1 of the list is neither text"));
    }
}
