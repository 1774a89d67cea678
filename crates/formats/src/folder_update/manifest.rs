//! The list of an update's files: a line of JSON each, appended before the file is made.

use serde::{Deserialize, Serialize};

/// Version of the lines' form; the first line says it.
pub(super) const FORMAT: u32 = 1;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Line {
    /// The first line, by which a list of ours is known.
    #[serde(rename = "kokanee_folder_update")]
    Begin(u32),
    /// A file of the new set.
    #[serde(rename = "file")]
    File(String),
    /// A file of the old set that the new one lacks.
    #[serde(rename = "remove")]
    Remove(String),
    /// All files are whole and on the disk.
    #[serde(rename = "complete")]
    Commit,
}

/// What the lines say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) files: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) is_complete: bool,
}

impl Line {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a line is plain data") + "\n"
    }
}

impl Manifest {
    /// Reads a list; `None` where it is none of ours. A last line that was cut off counts for nothing.
    ///
    /// # Errors
    /// When a later version wrote it.
    pub(super) fn parse(text: &[u8]) -> Result<Option<Self>, String> {
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let mut manifest = Self::default();
        for (index, line) in text[..whole].split(|&byte| byte == b'\n').filter(|l| !l.is_empty()).enumerate()
        {
            let Ok(line) = serde_json::from_slice::<Line>(line) else { return Ok(None) };
            match line {
                Line::Begin(FORMAT) if index == 0 => {}
                Line::Begin(format) if index == 0 && format > FORMAT => {
                    return Err(format!(
                        "a later version of Kokanee was interrupted here (form {format}, this one knows {FORMAT}); run that \
                         version once on this folder"
                    ));
                }
                Line::File(name) if index > 0 && is_plain(&name) => manifest.files.push(name),
                Line::Remove(name) if index > 0 && is_plain(&name) => manifest.removed.push(name),
                Line::Commit if index > 0 => manifest.is_complete = true,
                _ => return Ok(None),
            }
        }
        Ok(if whole > 0 { Some(manifest) } else { None })
    }
}

/// Whether it names a file in the folder itself.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_of_ours_are_read() {
        let parse = |text: &str| Manifest::parse(text.as_bytes());
        let begin = Line::Begin(FORMAT).to_json();
        assert_eq!(begin, "{\"kokanee_folder_update\":1}\n");
        let whole = parse(&format!("{begin}{{\"file\":\"a\"}}\n{{\"remove\":\"b\"}}\n\"complete\"\n"));
        let expected = Manifest { files: vec!["a".into()], removed: vec!["b".into()], is_complete: true };
        assert_eq!(whole, Ok(Some(expected)));
        let cut = parse(&format!("{begin}{{\"file\":\"a\"}}\n\"compl")).unwrap().unwrap();
        assert!(!cut.is_complete && cut.files == ["a"]);
        for foreign in ["", "{\"file\":\"a\"}\n", "notes\n", "{\"kokanee_folder_update\":1}"] {
            assert_eq!(parse(foreign), Ok(None), "{foreign}");
        }
        assert_eq!(parse(&format!("{begin}{{\"file\":\"../a\"}}\n")), Ok(None));
        assert!(parse("{\"kokanee_folder_update\":2}\n").unwrap_err().contains("a later version"));
    }
}
