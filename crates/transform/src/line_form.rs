//! Lines that paths can be applied to: JSON values, and rows of CSV, which are arrays of their cells.

use std::borrow::Cow;

use kokanee_contract::MediaType;
use serde_json::value::RawValue;

/// The format of a file's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineForm {
    Json,
    Csv,
}

impl LineForm {
    /// The format for a media type; `None` if paths cannot be applied to its lines.
    pub(crate) fn of(mime: &str) -> Option<Self> {
        match MediaType::of_name(mime)? {
            MediaType::JsonLines => Some(Self::Json),
            MediaType::Csv => Some(Self::Csv),
            _ => None,
        }
    }

    /// The JSON value of a line. A cell becomes a string of its exact text, including quotes, so that it is written as it was read.
    ///
    /// # Errors
    /// If the line does not have this format.
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

    /// Formats a JSON value as a line.
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

    /// Joins a record with its response, both as values: the cells of the record, then those of the response.
    ///
    /// # Errors
    /// If they are not rows.
    pub(crate) fn joined_rows(input: &str, answer: &str) -> Result<String, String> {
        match (input.strip_suffix(']'), answer.strip_prefix('[')) {
            (Some(input), Some(answer)) => Ok(format!("{input},{answer}")),
            _ => Err("the record and its answer are no rows".to_owned()),
        }
    }
}

/// The cells of a row as exact text; commas within quotes do not separate cells.
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
