//! Reading the JSON files of `/opt/ml/input/config`, with errors that name the position.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::spec::shown;

/// Reads hyperparameters from a JSON object of names and values.
///
/// # Errors
/// As [`parse_hyperparameters`], and if the file cannot be read; the error names the file.
pub fn read_hyperparameters(path: &Path) -> Result<BTreeMap<String, String>, ConfigFileError> {
    parse::<StrictMap<Scalar>>(&read(path)?, path).map(into_strings)
}

/// Parses hyperparameters from a JSON object of names and values. Values are strings, as SageMaker writes them; numbers, booleans and
/// `null` are read as their text.
///
/// # Errors
/// If the text is not a JSON object, a name occurs twice, or a value is an array or an object. The error names the line, the column and the
/// name.
pub fn parse_hyperparameters(text: &str) -> Result<BTreeMap<String, String>, ConfigFileError> {
    parse::<StrictMap<Scalar>>(text, Path::new("hyperparameters.json")).map(into_strings)
}

/// An error in reading a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file does not exist, or cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file is larger than any real one.
    #[error("{} is larger than {LARGEST_FILE_BYTES} bytes: this is no SageMaker configuration file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8.
    #[error("{} is not UTF-8 text: the first bad byte is at offset {offset}", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The position, in bytes from 0.
        offset: usize,
    },
    /// The text is not the JSON that was expected.
    #[error("{}: line {line}, column {column}: {message}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, from 1; 0 where the error concerns the whole file.
        line: usize,
        /// Column, from 1; 0 where the error concerns the whole line.
        column: usize,
        /// The fault.
        message: String,
    },
}

/// SageMaker's own limits keep these files below a few hundred kilobytes.
const LARGEST_FILE_BYTES: u64 = 16 << 20;

/// The text of a configuration file, without a byte order mark.
pub(crate) fn read(path: &Path) -> Result<String, ConfigFileError> {
    let failed = |source| ConfigFileError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    // Reading one byte more than allowed detects larger files, whatever the stated size (the file may be a pipe).
    file.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE_BYTES {
        return Err(ConfigFileError::TooLarge { path: path.to_owned() });
    }
    let text = String::from_utf8(bytes).map_err(|error| ConfigFileError::NotUtf8 {
        path: path.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// As [`read`], with `None` for a file that does not exist.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<String>, ConfigFileError> {
    match read(path) {
        Err(ConfigFileError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Parses JSON; `path` is only used in messages.
pub(crate) fn parse<T: de::DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigFileError> {
    let error =
        |line, column, message| ConfigFileError::Json { path: path.to_owned(), line, column, message };
    if text.trim().is_empty() {
        return Err(error(1, 1, "the file is empty; a JSON object such as {} was expected".to_owned()));
    }
    serde_json::from_str(text).map_err(|failure| {
        let (line, column) = (failure.line(), failure.column());
        let message = failure.to_string();
        let place = format!(" at line {line} column {column}");
        error(line, column, message.strip_suffix(&place).map(str::to_owned).unwrap_or(message))
    })
}

/// A JSON object that refuses duplicate keys, and whose errors name the key.
pub(crate) struct StrictMap<V>(pub(crate) BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for StrictMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = StrictMap<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(key) = access.next_key::<String>()? {
                    if entries.contains_key(&key) {
                        return Err(de::Error::custom(format!("\"{}\" is given twice", shown(&key))));
                    }
                    let value: V = access.next_value().map_err(|error| {
                        de::Error::custom(format!("value of \"{}\": {error}", shown(&key)))
                    })?;
                    entries.insert(key, value);
                }
                Ok(StrictMap(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// A JSON string, number, boolean or null, as its text.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, number or boolean")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Scalar, E> {
                Ok(Scalar(truth.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar(format!("{number:?}")))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
                Ok(Scalar("null".to_owned()))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

fn into_strings(map: StrictMap<Scalar>) -> BTreeMap<String, String> {
    map.0.into_iter().map(|(name, value)| (name, value.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[(&str, &str)], &str>) {
        match (parse_hyperparameters(text), expected) {
            (Ok(found), Ok(expected)) => {
                let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                assert_eq!(found, expected, "for {text}");
            }
            (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected, "for {text}"),
            (found, expected) => panic!("{text}: found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn scalars_become_strings() {
        check("{}", Ok(&[]));
        check(r#"{"batch_size": "64"}"#, Ok(&[("batch_size", "64")]));
        check(
            r#"{"a": 64, "b": true, "c": 0.0003, "d": null, "e": -1, "f": 1.0}"#,
            Ok(&[("a", "64"), ("b", "true"), ("c", "0.0003"), ("d", "null"), ("e", "-1"), ("f", "1.0")]),
        );
        check(r#"{"a": "\"64\""}"#, Ok(&[("a", "\"64\"")]));
    }

    #[test]
    fn errors_say_where() {
        check(
            "",
            Err(
                "hyperparameters.json: line 1, column 1: the file is empty; a JSON object such as {} was expected",
            ),
        );
        check(
            "[]",
            Err("hyperparameters.json: line 1, column 0: invalid type: sequence, expected a JSON object"),
        );
        check(
            "{\n  \"batch_size\": [64]\n}",
            Err(
                "hyperparameters.json: line 2, column 17: value of \"batch_size\": invalid type: sequence, expected a string, number or boolean",
            ),
        );
        check(
            "{\n  \"a\": 1,\n  \"a\": 2\n}",
            Err("hyperparameters.json: line 3, column 5: \"a\" is given twice"),
        );
        check("{\"a\": 1", Err("hyperparameters.json: line 1, column 7: EOF while parsing an object"));
        check("{\"a\": 1} x", Err("hyperparameters.json: line 1, column 10: trailing characters"));
        check(
            "{\"a\": 1e999}",
            Err("hyperparameters.json: line 1, column 11: value of \"a\": number out of range"),
        );
    }

    #[test]
    fn unreadable_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hyperparameters.json");
        let message = read_hyperparameters(&path).unwrap_err().to_string();
        assert!(message.starts_with("cannot read ") && message.contains("hyperparameters.json"), "{message}");

        std::fs::write(&path, b"{\"a\": \"\xff\"}").unwrap();
        let message = read_hyperparameters(&path).unwrap_err().to_string();
        assert!(message.ends_with("the first bad byte is at offset 7"), "{message}");

        std::fs::write(&path, "\u{feff}{\"a\": 1}").unwrap();
        assert_eq!(read_hyperparameters(&path).unwrap()["a"], "1");

        std::fs::write(&path, vec![b' '; (LARGEST_FILE_BYTES + 1) as usize]).unwrap();
        let message = read_hyperparameters(&path).unwrap_err().to_string();
        assert!(message.contains("is larger than"), "{message}");
    }
}
