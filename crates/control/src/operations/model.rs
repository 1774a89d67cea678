//! A service model in the format of `xtask/python/cut_models.py`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use regex::Regex;
use serde::Deserialize;

/// The operations of one service.
#[derive(Debug, Deserialize)]
pub struct Model {
    /// The version of its API, which requests of the query protocol contain.
    pub version: String,
    /// The prefix before the dot in `X-Amz-Target`; empty if the service does not use JSON.
    pub target: String,
    /// The XML namespace of its responses; empty if it does not use XML.
    pub namespace: String,
    /// Operations by name.
    pub operations: BTreeMap<String, Operation>,
    /// For each shape, an error's code in the query protocol and its HTTP status.
    pub errors: BTreeMap<String, (String, u16)>,
    /// Operations that are not in `operations` and whose response is one empty list: the list's name.
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
    /// The shape of its response; empty if the response is.
    #[serde(default)]
    pub output: String,
    /// The element around its response in XML.
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
    /// Members of a structure: the shape, and the name in XML and queries if it differs.
    pub members: BTreeMap<String, Vec<String>>,
    /// The shape of a list's members.
    pub member: String,
    /// The shape of a map's keys.
    pub key: String,
    /// The shape of a map's values.
    pub value: String,
    /// The valid words; empty if any is valid.
    pub r#enum: Vec<String>,
    /// The minimum value, length in characters, or number of members.
    pub min: Option<f64>,
    /// The maximum.
    pub max: Option<f64>,
    /// The pattern for the whole text, as AWS shows it.
    pub pattern: Option<String>,
    /// Whether a list has no separate element in XML and queries.
    pub flattened: bool,
    #[serde(skip)]
    regex: OnceLock<Option<Regex>>,
}

/// The types of shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Named members.
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
    /// The shape with this name; a shape without members if it does not exist.
    pub fn shape(&self, name: &str) -> &Shape {
        static NONE: OnceLock<Shape> = OnceLock::new();
        self.shapes.get(name).unwrap_or_else(|| NONE.get_or_init(Shape::default))
    }

    /// The names of all shapes.
    #[cfg(test)]
    pub(crate) fn shape_names(&self) -> impl Iterator<Item = &str> {
        self.shapes.keys().map(String::as_str)
    }

    /// The only list among the members of an operation's response, if no other member is required.
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

    /// Whether the whole `text` matches the pattern.
    pub fn fits(&self, text: &str) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        let regex = self.regex.get_or_init(|| compile(pattern).ok());
        regex.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

/// Compiles a Java pattern that must match the whole text. The models contain no patterns with look-around.
///
/// # Errors
/// If the crate `regex` does not support it.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    // Java's dot does not match line breaks either, so a value of several lines does not match `.*`.
    const TRANSLATED: &[(&str, &str)] = &[
        // The first occurs only within brackets, the second only outside them.
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
