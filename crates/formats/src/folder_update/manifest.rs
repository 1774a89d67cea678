//! The list of an update's files: one line of JSON per file, appended before the file is created.

use serde::{Deserialize, Serialize};

/// Version of the lines' format, given in the first line.
pub(super) const FORMAT: u32 = 1;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Line {
    /// The first line, which identifies a list of Kokanee.
    #[serde(rename = "kokanee_folder_update")]
    Begin(u32),
    /// A file of the new set.
    #[serde(rename = "file")]
    File(String),
    /// A file of the old set that the new one lacks.
    #[serde(rename = "remove")]
    Remove(String),
    /// All files are complete and on disk.
    #[serde(rename = "complete")]
    Commit,
}

/// The content of all lines.
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
    /// Reads a list; `None` if it is not a list of Kokanee. An incomplete last line is ignored.
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

/// Whether a name refers to a file in the folder itself.
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
