//! Lines that paths can look into: JSON values, and rows of CSV, which are arrays of their cells.

use std::borrow::Cow;

use kokanee_contract::MediaType;
use serde_json::value::RawValue;

/// What the lines of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineForm {
    Json,
    Csv,
}

impl LineForm {
    /// That of a media type; none where lines are nothing that paths can look into.
    pub(crate) fn of(mime: &str) -> Option<Self> {
        match MediaType::of_name(mime)? {
            MediaType::JsonLines => Some(Self::Json),
            MediaType::Csv => Some(Self::Csv),
            _ => None,
        }
    }

    /// The JSON value of a line. A cell is a string of its text as it stands, quotes included, so that it is written as it was read.
    ///
    /// # Errors
    /// If the line is none of this form.
    pub(crate) fn value(self, line: &[u8]) -> Result<Cow<'_, str>, String> {
        let text = std::str::from_utf8(line)
            .map_err(|error| format!("byte {} is not valid UTF-8", error.valid_up_to() + 1))?;
        match self {
            Self::Json => {
                let value: &RawValue = serde_json::from_str(text).map_err(|error| {
                    format!("expected one JSON value on the line: {error}; each line must be JSON by itself")
                })?;
                Ok(Cow::Borrowed(value.get()))
            }
            Self::Csv => {
                let cells = cells(text.trim_end_matches(['\r', '\n']))?;
                Ok(Cow::Owned(serde_json::Value::from(cells).to_string()))
            }
        }
    }

    /// The line of a JSON value.
    ///
    /// # Errors
    /// If a row of CSV cannot hold it.
    pub(crate) fn line(self, value: String) -> Result<String, String> {
        match self {
            Self::Json => Ok(value),
            Self::Csv => {
                let one: Result<String, _> = serde_json::from_str(&value);
                let cells =
                    one.map(|cell| vec![cell]).or_else(|_| serde_json::from_str::<Vec<String>>(&value));
                let cells = cells.map_err(|_| "the path picks no cell or row of cells".to_owned())?;
                Ok(cells.join(","))
            }
        }
    }

    /// A record joined with its answer, both as values: the row of the one and then of the other.
    ///
    /// # Errors
    /// If they are no rows.
    pub(crate) fn joined_rows(input: &str, answer: &str) -> Result<String, String> {
        match (input.strip_suffix(']'), answer.strip_prefix('[')) {
            (Some(input), Some(answer)) => Ok(format!("{input},{answer}")),
            _ => Err("the record and its answer are no rows".to_owned()),
        }
    }
}

/// The cells of a row as they stand; commas within quotes divide nothing.
fn cells(row: &str) -> Result<Vec<&str>, String> {
    let (mut cells, mut begin, mut is_quoted) = (Vec::new(), 0, false);
    for (at, byte) in row.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                cells.push(&row[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if is_quoted {
        return Err("a quote is not closed on its line; a row must be a line".to_owned());
    }
    cells.push(&row[begin..]);
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_arrays_of_their_cells_and_come_back_as_they_were() {
        for row in ["1,2.50,-3e2", "a,\"b,\"\"c\"\"\",", "", "x", " 1 , 2 ", "ä,\"é\""] {
            let value = LineForm::Csv.value(row.as_bytes()).unwrap().into_owned();
            assert_eq!(LineForm::Csv.line(value).unwrap(), row);
        }
        assert_eq!(LineForm::Csv.value(b"a,\"b,c\"\r\n").unwrap(), r#"["a","\"b,c\""]"#);
        assert_eq!(LineForm::Csv.line(r#""7""#.to_owned()).unwrap(), "7");
        assert!(LineForm::Csv.line("{}".to_owned()).is_err());
        assert!(LineForm::Csv.value(b"a,\"b").unwrap_err().contains("not closed"));
        assert_eq!(LineForm::joined_rows(r#"["a","b"]"#, r#"["0"]"#).unwrap(), r#"["a","b","0"]"#);
    }
}
