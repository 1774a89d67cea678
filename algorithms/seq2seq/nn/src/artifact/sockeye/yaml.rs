//! YAML as plain data: files that Sockeye writes with PyYAML are read without interpreting their tags, and written in the same way.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

/// A configuration has some kilobytes.
pub(super) const LARGEST_TEXT_BYTES: usize = 1 << 20;
/// A configuration has some hundred nodes; repetitions by aliases are counted too, so that they cannot be used for a bomb.
const MOST_NODES: usize = 1 << 16;
/// A configuration has some five levels.
const DEEPEST: usize = 64;

/// A scalar, list or map with its tag, which is kept as text: `!ModelConfig`, `!!python/tuple`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) tag: Option<String>,
    pub(super) content: Content,
}

/// The content of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// Text; only plain (unquoted) text may mean a number, a truth value or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

impl Node {
    /// A plain scalar.
    pub(super) fn plain(text: impl Into<String>) -> Node {
        Node { tag: None, content: Content::Scalar { text: text.into(), plain: true } }
    }

    /// The last word of the tag: `ModelConfig` of `!ModelConfig` and of `!!python/object:sockeye.model.ModelConfig`.
    pub(super) fn kind(&self) -> Option<&str> {
        self.tag.as_deref()?.rsplit(['!', '/', ':', '.']).next()
    }

    /// Whether it is null.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// A truth value.
    pub(super) fn truth(&self) -> Option<bool> {
        match self.plain_text()? {
            "true" | "True" | "TRUE" | "yes" | "on" => Some(true),
            "false" | "False" | "FALSE" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// The text of a plain scalar.
    pub(super) fn plain_text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, plain: true } => Some(text),
            _ => None,
        }
    }

    /// The text of any scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// A short form, for messages.
    pub(super) fn brief(&self) -> String {
        let tag = self.kind().map(|kind| format!(" ({kind})")).unwrap_or_default();
        match &self.content {
            Content::Scalar { text, .. } => text.chars().take(60).collect(),
            Content::List(items) => format!("a list of {}{tag}", items.len()),
            Content::Map(_) => format!("a map{tag}"),
        }
    }

    /// The text as PyYAML in block style would write it: maps sorted by key, lists not indented within maps.
    pub(super) fn to_text(&self) -> String {
        let mut out = self.tag.clone().unwrap_or_default();
        match &self.content {
            Content::Scalar { .. } => self.write_after(&mut out, 0),
            _ => {
                if !out.is_empty() {
                    out.push('\n');
                }
                self.write_block(&mut out, 0);
            }
        }
        out
    }

    /// Writes the text that follows `key:` or `-`.
    fn write_after(&self, out: &mut String, indent: usize) {
        match &self.content {
            Content::Scalar { text, plain } => {
                let text = if *plain { text.clone() } else { format!("'{}'", text.replace('\'', "''")) };
                out.push_str(&format!(" {text}\n"));
            }
            Content::List(items) if items.is_empty() => out.push_str(" []\n"),
            Content::Map(fields) if fields.is_empty() => out.push_str(" {}\n"),
            _ => {
                if let Some(tag) = &self.tag {
                    let _ = write!(out, " {tag}");
                }
                out.push('\n');
                self.write_block(out, indent);
            }
        }
    }

    fn write_block(&self, out: &mut String, indent: usize) {
        match &self.content {
            Content::Scalar { .. } => {}
            Content::List(items) => {
                for item in items {
                    let _ = write!(out, "{:indent$}-", "");
                    item.write_after(out, indent + 2);
                }
            }
            Content::Map(fields) => {
                for (key, value) in fields {
                    let _ = write!(out, "{:indent$}{key}:", "");
                    let is_list = matches!(value.content, Content::List(_));
                    value.write_after(out, if is_list { indent } else { indent + 2 });
                }
            }
        }
    }
}

/// Reads one document.
///
/// # Errors
/// Names the fault and its line: not YAML, several documents, a repeated key, too large or too deep.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    if text.len() > LARGEST_TEXT_BYTES {
        return Err(format!(
            "it has {} bytes; no configuration has more than {LARGEST_TEXT_BYTES}",
            text.len()
        ));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|e| format!("line {}: not YAML: {}", e.marker().line(), e.info()))?;
        builder.take(event).map_err(|reason| format!("line {}: {reason}", span.start.line()))?;
    }
    builder.root.ok_or_else(|| "it is empty".to_owned())
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    /// Anchored nodes with the number of nodes in them.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

/// A list or map whose end has not been reached yet.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<String>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let content =
                    Content::Scalar { text: text.into_owned(), plain: matches!(style, ScalarStyle::Plain) };
                self.count(1)?;
                self.complete(Node { tag: tag_text(tag.as_deref()), content }, anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Content::List(Vec::new()), anchor, tag.as_deref())
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Content::Map(BTreeMap::new()), anchor, tag.as_deref())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, anchor, nodes, .. }) => self.complete(node, anchor, nodes),
                None => Err("an end without a beginning".to_owned()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, nodes)) => {
                    let (node, nodes) = (node.clone(), *nodes);
                    self.count(nodes)?;
                    self.complete(node, 0, nodes)
                }
                None => Err("an alias of something that is not complete yet".to_owned()),
            },
            Event::DocumentStart(_) if self.root.is_some() => Err("a second document begins".to_owned()),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, tag: Option<&Tag>) -> Result<(), String> {
        if self.open.len() == DEEPEST {
            return Err(format!("more than {DEEPEST} levels"));
        }
        self.count(1)?;
        self.open.push(Open { node: Node { tag: tag_text(tag), content }, anchor, key: None, nodes: 1 });
        Ok(())
    }

    /// Counts nodes that take memory from now on.
    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            return Err(format!("more than {MOST_NODES} values"));
        }
        Ok(())
    }

    /// Adds a finished node of `nodes` nodes to its parent.
    fn complete(&mut self, node: Node, anchor: usize, nodes: usize) -> Result<(), String> {
        if anchor != 0 {
            self.count(nodes)?;
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.nodes += nodes;
        match (&mut open.node.content, open.key.take()) {
            (Content::List(items), _) => items.push(node),
            (Content::Map(fields), Some(key)) => {
                if fields.contains_key(&key) {
                    return Err(format!("the key {key} comes twice"));
                }
                fields.insert(key, node);
            }
            (Content::Map(_), None) => {
                let key = node.text().ok_or("a key that is not a word")?;
                open.key = Some(key.to_owned());
            }
            (Content::Scalar { .. }, _) => {}
        }
        Ok(())
    }
}

fn tag_text(tag: Option<&Tag>) -> Option<String> {
    let tag = tag?;
    let handle = if tag.is_yaml_core_schema() { "!!" } else { &tag.handle };
    Some(format!("{handle}{}", tag.suffix))
}
