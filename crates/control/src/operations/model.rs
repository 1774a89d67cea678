//! A service model as `xtask/python/cut_models.py` writes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use regex::Regex;
use serde::Deserialize;

/// The operations of one service.
#[derive(Debug, Deserialize)]
pub struct Model {
    /// The version of its API, which requests of the query protocol name.
    pub version: String,
    /// What stands before the dot in `X-Amz-Target`; empty where the service does not speak JSON.
    pub target: String,
    /// The XML namespace of its answers; empty where it does not speak XML.
    pub namespace: String,
    /// By name.
    pub operations: BTreeMap<String, Operation>,
    /// By shape, an error's code in the query protocol and its HTTP status.
    pub errors: BTreeMap<String, (String, u16)>,
    /// Operations that are not in `operations` and answer with one list: the list's name.
    pub empty: BTreeMap<String, String>,
    /// The names of all other operations of the service.
    pub others: BTreeSet<String>,
    shapes: HashMap<String, Shape>,
}

/// One operation.
#[derive(Debug, Deserialize)]
pub struct Operation {
    /// The shape of its request.
    #[serde(default)]
    pub input: String,
    /// The shape of its answer; empty where the answer is.
    #[serde(default)]
    pub output: String,
    /// The element around its answer in XML.
    #[serde(default)]
    pub wrapper: String,
    /// The shapes of its own errors.
    pub errors: Vec<String>,
}

/// The form of a value.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Members that a structure must have.
    pub required: Vec<String>,
    /// Members of a structure: the shape, and the name in XML and queries where it is another.
    pub members: BTreeMap<String, Vec<String>>,
    /// The shape of a list's members.
    pub member: String,
    /// The shape of a map's keys.
    pub key: String,
    /// The shape of a map's values.
    pub value: String,
    /// The words that are valid; empty where any is.
    pub r#enum: Vec<String>,
    /// The least value, length in characters, or number of members.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// The pattern of the whole text, as AWS shows it.
    pub pattern: Option<String>,
    /// Whether a list has no element of its own in XML and queries.
    pub flattened: bool,
    #[serde(skip)]
    regex: OnceLock<Option<Regex>>,
}

/// The types of shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Members with names of their own.
    #[default]
    Structure,
    /// Values in order.
    List,
    /// Values by key.
    Map,
    /// Text.
    String,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    /// 32 bits.
    Float,
    /// 64 bits.
    Double,
    /// True or false.
    Boolean,
    /// A point in time; here always in seconds since 1970.
    Timestamp,
    /// Bytes.
    Blob,
}

impl Model {
    /// A shape by name; one without members where there is none.
    pub fn shape(&self, name: &str) -> &Shape {
        static NONE: OnceLock<Shape> = OnceLock::new();
        self.shapes.get(name).unwrap_or_else(|| NONE.get_or_init(Shape::default))
    }

    /// The names of all shapes.
    #[cfg(test)]
    pub(crate) fn shape_names(&self) -> impl Iterator<Item = &str> {
        self.shapes.keys().map(String::as_str)
    }

    /// The member of an operation's answer that is a list, where nothing else must be there.
    pub fn only_list(&self, operation: &Operation) -> Option<&str> {
        let output = self.shape(&operation.output);
        let mut lists = output.members().filter(|(_, shape)| self.shape(shape).kind == Kind::List);
        let (name, _) = lists.next()?;
        (lists.next().is_none() && output.required.iter().all(|required| required == name)).then_some(name)
    }
}

impl Shape {
    /// Members with their shapes.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().filter_map(|(name, row)| Some((name.as_str(), row.first()?.as_str())))
    }

    /// The name of a member in XML and queries.
    pub fn wire_name<'a>(&'a self, member: &'a str) -> &'a str {
        self.members.get(member).and_then(|row| row.get(1)).map_or(member, String::as_str)
    }

    /// Whether all of `text` fits the pattern.
    pub fn fits(&self, text: &str) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        let regex = self.regex.get_or_init(|| compile(pattern).ok());
        regex.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

/// A pattern of Java that must fit the whole text. Those that look around are not in the models.
///
/// # Errors
/// If it is not one that the crate `regex` knows.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    // Java's dot stops at line breaks as well, so a value of several lines does not fit `.*` there.
    const TRANSLATED: &[(&str, &str)] = &[
        // The first stands within brackets only, the second without.
        (r"\p{Alnum}", "[:alnum:]"),
        (r"\p{Print}", "[ -~]"),
        (r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}"),
    ];
    let mut translated = pattern.to_owned();
    for (from, to) in TRANSLATED {
        translated = translated.replace(from, to);
    }
    Regex::new(&format!("^(?:{translated})$"))
}
