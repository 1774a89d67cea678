//! Fields of a configuration: typed reading that continues after a fault, so that all faults are reported at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::yaml::{Content, Node};

/// The findings of reading a configuration.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Fields that are missing or make no sense.
    pub(super) wrong: Vec<String>,
    /// Fields that ask for unsupported features.
    pub(super) unsupported: Vec<String>,
    /// Notes for the user.
    pub(super) notes: Vec<String>,
}

/// A map of a configuration, or the absence of one.
pub(super) struct Section<'a> {
    path: String,
    node: Option<&'a Node>,
    report: &'a RefCell<Report>,
    seen: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    /// The whole configuration.
    pub(super) fn root(node: &'a Node, report: &'a RefCell<Report>) -> Section<'a> {
        let section = Section { path: String::new(), node: Some(node), report, seen: RefCell::default() };
        if section.map().is_none() {
            section.report.borrow_mut().wrong.push(format!("it is {}, not a map of fields", node.brief()));
        }
        section
    }

    /// The section of this name; empty if it is missing.
    pub(super) fn section(&self, key: &'static str) -> Section<'a> {
        let node = self.field(key);
        if let Some(node) = node
            && !matches!(node.content, Content::Map(_))
        {
            self.wrong(key, &format!("is {}, not a map of fields", node.brief()));
        }
        Section { path: self.path_of(key), node, report: self.report, seen: RefCell::default() }
    }

    /// Whether the section exists.
    pub(super) fn is_there(&self) -> bool {
        self.node.is_some()
    }

    /// The last word of the section's tag.
    pub(super) fn kind(&self) -> Option<&'a str> {
        self.node?.kind()
    }

    /// Whether the section has a field of this name.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map().is_some_and(|map| map.contains_key(key))
    }

    /// A size or count.
    pub(super) fn count(&self, key: &'static str) -> Option<usize> {
        self.parsed(key, "a count", |node| node.plain_text()?.parse().ok())
    }

    /// A real number.
    pub(super) fn real(&self, key: &'static str) -> Option<f64> {
        let finite = |x: &f64| x.is_finite();
        self.parsed(key, "a number", |node| node.plain_text()?.parse().ok().filter(finite))
    }

    /// A truth value; false if it is missing.
    pub(super) fn flag(&self, key: &'static str) -> bool {
        self.parsed(key, "true or false", Node::truth).unwrap_or(false)
    }

    /// A word.
    pub(super) fn word(&self, key: &'static str) -> Option<&'a str> {
        self.parsed(key, "a word", Node::text)
    }

    /// One of the words that `from_name` knows; any other word is unsupported.
    pub(super) fn choice<T>(&self, key: &'static str, from_name: impl Fn(&str) -> Option<T>) -> Option<T> {
        let word = self.word(key)?;
        let choice = from_name(word);
        if choice.is_none() {
            self.unsupported(key, word);
        }
        choice
    }

    /// Checks fields that must be missing, null, false, zero or empty, since what they turn on is not supported.
    pub(super) fn off(&self, keys: &[&'static str]) {
        for key in keys {
            if let Some(node) = self.field(key)
                && is_on(node)
            {
                self.unsupported(key, &node.brief());
            }
        }
    }

    /// Checks a field that must be missing or this word, since nothing else is supported.
    pub(super) fn only(&self, key: &'static str, word: &str) {
        self.choice(key, |given| (given == word).then_some(()));
    }

    /// Accepts fields that do not change what the model computes; `note` is reported if one is on.
    pub(super) fn no_matter(&self, keys: &[&'static str], note: Option<&str>) {
        for key in keys {
            if let Some(node) = self.field(key)
                && let Some(note) = note
                && is_on(node)
            {
                self.note(format!("{} is {}: {note}", self.path_of(key), node.brief()));
            }
        }
    }

    /// Reports fields that nothing has read: those of a version that this program does not know.
    pub(super) fn finish(self) {
        let seen = self.seen.borrow();
        for (key, node) in self.map().into_iter().flatten() {
            if !seen.contains(key.as_str()) && is_on(node) {
                let path = self.path_of(key);
                self.note(format!("{path} is {}: this field is not known and was passed over", node.brief()));
            }
        }
    }

    /// Reports a field that asks for an unsupported feature.
    pub(super) fn unsupported(&self, key: &str, value: &str) {
        self.report.borrow_mut().unsupported.push(format!("{} is {value}", self.path_of(key)));
    }

    /// Reports a field that is missing or makes no sense.
    pub(super) fn wrong(&self, key: &str, what: &str) {
        self.report.borrow_mut().wrong.push(format!("{} {what}", self.path_of(key)));
    }

    /// Adds a note for the user.
    pub(super) fn note(&self, note: String) {
        self.report.borrow_mut().notes.push(note);
    }

    /// The given value or, failing that, the one from the parameter shapes; if neither is known, reports a fault and returns the
    /// placeholder.
    pub(super) fn known<T>(&self, key: &str, given: Option<T>, shapes: Option<T>, placeholder: T) -> T {
        given.or(shapes).unwrap_or_else(|| {
            // A present but unusable value has been reported already.
            if !self.has(key) {
                self.wrong(key, "is missing, and the shapes of the parameters do not tell it");
            }
            placeholder
        })
    }

    /// The same for a size.
    pub(super) fn size(&self, key: &str, given: Option<usize>, shapes: Option<usize>) -> usize {
        self.known(key, given, shapes, 0)
    }

    fn parsed<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&'a Node) -> Option<T>,
    ) -> Option<T> {
        let node = self.field(key)?;
        let value = read(node);
        if value.is_none() {
            self.wrong(key, &format!("is {}, not {expected}", node.brief()));
        }
        value
    }

    /// A field that is present and not null.
    fn field(&self, key: &'static str) -> Option<&'a Node> {
        self.seen.borrow_mut().insert(key);
        self.map()?.get(key).filter(|node| !node.is_null())
    }

    fn map(&self) -> Option<&'a BTreeMap<String, Node>> {
        match &self.node?.content {
            Content::Map(map) => Some(map),
            _ => None,
        }
    }

    fn path_of(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }
}

fn is_on(node: &Node) -> bool {
    match &node.content {
        Content::Scalar { text, .. } => {
            !node.is_null() && node.truth() != Some(false) && text.parse::<f64>() != Ok(0.0)
        }
        Content::List(items) => !items.is_empty(),
        Content::Map(fields) => !fields.is_empty(),
    }
}
