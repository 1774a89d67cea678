//! S3's XML: written piece by piece, and parsed into small trees.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::error::{ErrorCode, Result, S3Error};

/// The namespace of S3's documents.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// More elements than any request of S3 has: 10,000 parts with five each.
const MAX_ELEMENTS: usize = 60_000;
const MAX_DEPTH: usize = 8;

/// A document that is being written.
pub(crate) struct Document {
    text: String,
}

impl Document {
    /// The beginning of every document.
    pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

    /// A document in S3's namespace, with the content that `fill` writes.
    pub(crate) fn write(root: &str, fill: impl FnOnce(&mut Self)) -> String {
        let mut document = Self { text: Self::DECLARATION.to_owned() };
        let _ = write!(document.text, "<{root} xmlns=\"{NAMESPACE}\">");
        fill(&mut document);
        let _ = write!(document.text, "</{root}>");
        document.text
    }

    /// A document without a namespace, as for errors.
    pub(crate) fn plain(root: &str, fill: impl FnOnce(&mut Self)) -> String {
        let mut document = Self { text: Self::DECLARATION.to_owned() };
        document.element(root, fill);
        document.text
    }

    /// Writes an element, with the content that `fill` writes.
    pub(crate) fn element(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let _ = write!(self.text, "<{name}>");
        fill(self);
        // The name without attributes.
        let name = name.split(' ').next().unwrap_or_default();
        let _ = write!(self.text, "</{name}>");
    }

    /// Writes an element with text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.element(name, |document| document.escape(text));
    }

    /// Writes an element with text, if there is a text.
    pub(crate) fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Writes escaped text.
    pub(crate) fn escape(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '&' => self.text.push_str("&amp;"),
                '"' => self.text.push_str("&quot;"),
                // XML 1.0 has no such characters; S3 writes them all the same, and clients can request percent-encoded keys.
                _ if character.is_control() => {
                    let _ = write!(self.text, "&#x{:x};", u32::from(character));
                }
                _ => self.text.push(character),
            }
        }
    }
}

/// A parsed element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name without namespace.
    pub name: String,
    /// Its text; may be empty.
    pub text: String,
    /// The elements inside it.
    pub children: Vec<Element>,
}

impl Element {
    /// Parses a document.
    ///
    /// # Errors
    /// `MalformedXML`; also for more elements or deeper nesting than any request of S3 has.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = vec![Self::default()];
        let mut count = 0;
        loop {
            let event = reader.read_event().map_err(|error| malformed(&error.to_string()))?;
            let top = open.len() - 1;
            match event {
                Event::Start(start) => {
                    count += 1;
                    if count > MAX_ELEMENTS || open.len() > MAX_DEPTH {
                        return Err(malformed("it has too many elements"));
                    }
                    open.push(Self::named(start.local_name().as_ref()));
                }
                Event::Empty(start) => {
                    count += 1;
                    if count > MAX_ELEMENTS {
                        return Err(malformed("it has too many elements"));
                    }
                    open[top].children.push(Self::named(start.local_name().as_ref()));
                }
                Event::End(_) => {
                    let Some(element) = open.pop().filter(|_| top > 0) else {
                        return Err(malformed("an element ends that did not begin"));
                    };
                    open[top - 1].children.push(element);
                }
                Event::Text(text) => open[top].text.push_str(&text),
                Event::CData(text) => open[top].text.push_str(&text),
                Event::GeneralRef(reference) => {
                    let character =
                        reference.resolve_char_ref().map_err(|error| malformed(&error.to_string()))?;
                    match (character, &*reference) {
                        (Some(character), _) => open[top].text.push(character),
                        (None, "lt") => open[top].text.push('<'),
                        (None, "gt") => open[top].text.push('>'),
                        (None, "amp") => open[top].text.push('&'),
                        (None, "quot") => open[top].text.push('"'),
                        (None, "apos") => open[top].text.push('\''),
                        _ => return Err(malformed("it has an entity of its own")),
                    }
                }
                Event::DocType(_) => return Err(malformed("it has a document type")),
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(document), true) if document.children.len() == 1 => {
                Ok(document.children.into_iter().next().unwrap_or_default())
            }
            _ => Err(malformed("it is not one whole element")),
        }
    }

    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The child elements with this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child element with this name.
    pub fn child(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }

    /// The text of the first child element with this name, which must exist.
    ///
    /// # Errors
    /// `MalformedXML`.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.child(name).ok_or_else(|| malformed(&format!("<{}> has no <{name}>", self.name)))
    }

    /// Checks the name of the root.
    ///
    /// # Errors
    /// `MalformedXML`.
    pub fn expect(self, name: &str) -> Result<Self> {
        if self.name == name { Ok(self) } else { Err(malformed(&format!("<{name}> was expected"))) }
    }
}

pub(crate) fn malformed(what: &str) -> S3Error {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    S3Error::new(ErrorCode::MalformedXML, format!("{message}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = "a<b>&\"c\"\u{7f} ü\n";
        let written = Document::write("Root", |document| {
            document.text("Key", text);
            document.element("Inner", |document| document.optional("Key", Some("")));
            document.optional("None", None);
        });
        let read = Element::parse(written.as_bytes()).unwrap().expect("Root").unwrap();
        assert_eq!((read.child("Key"), read.children.len()), (Some(text), 2));
        assert_eq!(read.all("Inner").next().unwrap().required("Key").unwrap(), "");
        assert!(read.required("None").is_err() && read.expect("Other").is_err());
        let other = Element::parse(b"<x:a xmlns:x='y'> <b/><![CDATA[<]]>&apos;&#65;</x:a>").unwrap();
        assert_eq!((&*other.name, other.text.trim()), ("a", "<'A"));
    }

    #[test]
    fn what_is_no_document_or_too_large_is_refused() {
        let (deep, many) = ("<a>".repeat(100), format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS)));
        for text in [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><a/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<a>&b;</a>",
            &deep,
            &many,
        ] {
            assert_eq!(
                Element::parse(text.as_bytes()).unwrap_err().code,
                ErrorCode::MalformedXML,
                "{text:.60}"
            );
        }
        assert!(Element::parse(b"<a>\xff</a>").is_err());
    }
}
