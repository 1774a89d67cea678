//! Paths of objects: the file of a key in its bucket's folder, and the key of a file.
//!
//! A key's text is its path: `train/part-0.csv` is the file `part-0.csv` in the folder `train`. Names that no file can have are escaped
//! reversibly:
//!
//! | in a key | on disk |
//! |---|---|
//! | `%`, control characters (NUL too) | `%25`, `%00`, … |
//! | a part that is `.` or `..`, or begins with `.kokanee-` | its first dot is `%2E`; for `..` both are |
//! | an empty part: `a//b`, `/a`, `a/` | `%_`: `a/%_/b`, `%_/a`, `a/%_` |
//! | a part that is too long for a file name | the folder `BEGINNING%+`, which contains the rest |
//! | `a` if `a/b` exists too | `a%=` beside the folder `a` |
//!
//! A record, which describes an object beyond its bytes, is in a separate tree, at `a/b%meta`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use kokanee_formats::OWN_PREFIX;

/// The length in bytes from which a part is cut. A name may have 255 on common file systems; a character of up to 4 bytes and a mark of up
/// to 5 follow.
const CUT_BYTES: usize = 197;
const CONTINUES: &str = "%+";
const BESIDE: &str = "%=";
const EMPTY: &str = "%_";
const RECORD: &str = "%meta";

/// The path of a key, below the folder of its bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPath {
    folders: Vec<String>,
    name: String,
}

impl KeyPath {
    /// The path of a key, which must not be empty.
    pub(crate) fn of(key: &str) -> Self {
        let mut folders = Vec::new();
        let mut parts = key.split('/').peekable();
        let mut name = String::new();
        while let Some(part) = parts.next() {
            let last = escape_part(part, &mut folders);
            match parts.peek() {
                Some(_) => folders.push(last),
                None => name = last,
            }
        }
        Self { folders, name }
    }

    /// The folders above it, outermost first.
    pub(crate) fn folders(&self) -> &[String] {
        &self.folders
    }

    /// The folder that contains it.
    pub(crate) fn folder(&self, root: &Path) -> PathBuf {
        self.folders.iter().fold(root.to_owned(), |path, folder| path.join(folder))
    }

    /// The file with its bytes.
    pub(crate) fn file(&self, root: &Path) -> PathBuf {
        self.folder(root).join(&self.name)
    }

    /// The file with its bytes if a folder has that name.
    pub(crate) fn file_beside_folder(&self, root: &Path) -> PathBuf {
        self.folder(root).join(format!("{}{BESIDE}", self.name))
    }

    /// The file with its record, in the tree of records.
    pub(crate) fn record(&self, root: &Path) -> PathBuf {
        self.folder(root).join(format!("{}{RECORD}", self.name))
    }
}

/// The folders that contain all keys with this prefix, as far as the prefix determines them, and the part of the prefix that they
/// represent.
pub(crate) fn folders_of_prefix(prefix: &str) -> (Vec<String>, &str) {
    let end = prefix.rfind('/').map_or(0, |slash| slash + 1);
    let whole = &prefix[..end];
    let mut folders = Vec::new();
    for part in whole.split_terminator('/') {
        let last = escape_part(part, &mut folders);
        folders.push(last);
    }
    (folders, whole)
}

/// The new path of the file at `path`, when a folder takes its place.
pub(crate) fn moved_beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    Some(path.with_file_name(format!("{name}{BESIDE}")))
}

/// The decoded form of a name on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The part of a key, or its beginning.
    pub(crate) text: String,
    /// Whether this folder contains the rest of the part.
    pub(crate) continues: bool,
}

/// The part of a key that a file or folder of this name represents; `None` for names that no key has.
pub(crate) fn decode(name: &OsStr, is_folder: bool) -> Option<Named> {
    let name = name.to_str()?;
    // A faster path for the most common names, with the same result.
    let is_plain = |byte: u8| byte != b'%' && !byte.is_ascii_control();
    if (1..CUT_BYTES).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_plain) {
        return Some(Named { text: name.to_owned(), continues: false });
    }
    let (escaped, continues) = match is_folder {
        true => name.strip_suffix(CONTINUES).map_or((name, false), |escaped| (escaped, true)),
        false => (name.strip_suffix(BESIDE).unwrap_or(name), false),
    };
    let text = match escaped {
        EMPTY => String::new(),
        _ => percent_encoding::percent_decode_str(escaped).decode_utf8().ok()?.into_owned(),
    };
    let mut folders = Vec::new();
    let last = escape_part(&text, &mut folders);
    let is_ours = match continues {
        true => matches!(&*folders, [only] if only == name) && last == EMPTY,
        false => folders.is_empty() && last == escaped,
    };
    is_ours.then_some(Named { text, continues })
}

/// Escapes a part between slashes. Folders for a long part are appended to `folders`; the rest is returned.
fn escape_part(part: &str, folders: &mut Vec<String>) -> String {
    let mut name = String::new();
    for (at, character) in part.char_indices() {
        // The cut depends only on the beginning, so that one folder holds all parts with that beginning, and sorting stays possible.
        if name.len() >= CUT_BYTES {
            folders.push(std::mem::take(&mut name) + CONTINUES);
        }
        let rest = &part[at..];
        if name.is_empty() && matches!(rest, "." | "..") {
            return rest.replace('.', "%2E");
        }
        let is_reserved = name.is_empty() && rest.starts_with(OWN_PREFIX);
        if is_reserved || character == '%' || character.is_ascii_control() {
            name.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            name.push(character);
        }
    }
    if name.len() >= CUT_BYTES {
        folders.push(std::mem::take(&mut name) + CONTINUES);
    }
    if name.is_empty() { EMPTY.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(key: &str, path: &str) {
        let found = KeyPath::of(key);
        assert_eq!(found.file(Path::new("")), Path::new(path), "{key:?}");
        assert_eq!(key_of(&found).as_deref(), Some(key));
    }

    /// The key of a path, decoded from its names.
    fn key_of(path: &KeyPath) -> Option<String> {
        let mut key = String::new();
        for folder in &path.folders {
            let named = decode(OsStr::new(folder), true)?;
            key.push_str(&named.text);
            if !named.continues {
                key.push('/');
            }
        }
        key.push_str(&decode(OsStr::new(&path.name), false)?.text);
        Some(key)
    }

    #[test]
    fn keys_lie_where_their_text_says_and_are_escaped_where_it_cannot_be() {
        check("train/part-0.csv", "train/part-0.csv");
        check("Grüße aus + & ?.txt", "Grüße aus + & ?.txt");
        check("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd");
        check("a/./b/...", "a/%2E/b/...");
        check("/a//b/", "%_/a/%_/b/%_");
        check("100%\0%2E", "100%25%00%252E");
        check(".kokanee-s3/x", "%2Ekokanee-s3/x");
        check(".hidden", ".hidden");
        let long = "x".repeat(196);
        check(&long, &long);
        let long = "x".repeat(200);
        check(&long, &format!("{}%+/xxx", "x".repeat(197)));
        check(&"x".repeat(197), &format!("{}%+/%_", "x".repeat(197)));
        check(&format!("{}..", "x".repeat(197)), &format!("{}%+/%2E%2E", "x".repeat(197)));
        check(&format!("{}/y", "é".repeat(300)), &{
            let piece = format!("{}%+", "é".repeat(99));
            format!("{piece}/{piece}/{piece}/ééé/y")
        });
    }

    #[test]
    fn names_that_no_key_gives_are_not_ours() {
        for name in ["100%", "%2e", "%41", ".", "a%+", "%=", ".kokanee-x", "%_x"] {
            assert_eq!(decode(OsStr::new(name), false), None, "{name}");
        }
        let named = |text: &str| Some(Named { text: text.to_owned(), continues: false });
        assert_eq!(decode(OsStr::new("a%="), false), named("a"));
        assert_eq!(decode(OsStr::new("%_%="), false), named(""));
        assert_eq!(decode(OsStr::new("a%="), true), None);
        assert_eq!(decode(OsStr::new(&"x".repeat(230)), false), None);
    }

    proptest! {
        #[test]
        fn every_key_is_read_back_from_its_path_and_stays_below_the_folder(
            key in "([a.%/\\x00é\u{10348}]|\\.kokanee-|[a-z%]{90,110}){1,12}"
        ) {
            let path = KeyPath::of(&key);
            prop_assert_eq!(key_of(&path), Some(key.clone()));
            for name in path.folders.iter().chain([&path.name]) {
                prop_assert!(!name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']), "{}", name);
                prop_assert!(name.len() + RECORD.len() <= 255 && !name.starts_with(OWN_PREFIX), "{}", name);
            }
            let (folders, whole) = folders_of_prefix(&key);
            prop_assert!(path.folders.starts_with(&folders) && key.starts_with(whole));
        }
    }
}
