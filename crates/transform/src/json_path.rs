//! The JSONPath of SageMaker's DataProcessing, which selects part of a JSON value.
//!
//! It is our own implementation, since it differs from RFC 9535: it has `.['name']`, several matches become one value, and a missing part
//! is an error. Values are never parsed into numbers and formatted again: their text is copied unchanged.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

/// A path such as `$`, `$.features`, `$['id','SageMakerOutput']`, `$[0,5:]` or `$.items[-1].*`.
///
/// | step | selection |
/// |---|---|
/// | `.name`, `['name']`, `.['name']` | the member of an object |
/// | `['a','b']` | an object of these members, in this order |
/// | `[2]`, `[-1]` | the element of an array, from 0, or from the end |
/// | `[0,2]`, `[1:3]`, `[1:]`, `[0,5:]` | an array of these elements; a slice's end is exclusive, and it may reach beyond the array |
/// | `.*`, `[*]` | an array of all elements, or of all members' values |
///
/// A step after one that selects several is applied to each of them, and the results form one array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

/// A fault in the text of a path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{path:?} is not a path: expected {expected} at byte {at}; paths look like $, $.name, $['a','b'], $[0], $[1:3] or $[*]"
)]
pub struct PathFault {
    path: String,
    /// Byte in the text, from 0.
    at: usize,
    expected: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// At least one name.
    Members(Vec<String>),
    /// At least one.
    Elements(Vec<Element>),
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    At(i64),
    Slice(Option<i64>, Option<i64>),
}

impl JsonPath {
    /// `$`, the whole value.
    pub fn root() -> Self {
        Self { text: "$".to_owned(), steps: Vec::new() }
    }

    /// Reads a path.
    ///
    /// # Errors
    /// When the text is not a path, or uses features that SageMaker lacks (filters, `..`, steps of slices).
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        let mut parser = Parser { text, at: 0 };
        let steps =
            parser.path().map_err(|expected| PathFault { path: text.to_owned(), at: parser.at, expected })?;
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The text that was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Selects a part of `value`, which must be valid JSON; returns JSON.
    ///
    /// # Errors
    /// A sentence about the missing part.
    pub fn select(&self, value: &str) -> Result<String, String> {
        let mut found = vec![value.trim_ascii().to_owned()];
        let mut is_one = true;
        for step in &self.steps {
            is_one &= step.picks_one();
            let mut next = Vec::new();
            for value in &found {
                step.pick(value, &mut next)
                    .map_err(|problem| format!("the path {} finds nothing: {problem}", self.text))?;
            }
            found = next;
        }
        match found.pop() {
            Some(one) if is_one => Ok(one),
            last => {
                found.extend(last);
                Ok(format!("[{}]", found.join(",")))
            }
        }
    }
}

impl Step {
    /// Whether this step selects a single value.
    fn picks_one(&self) -> bool {
        match self {
            Self::Members(_) => true,
            Self::Elements(elements) => matches!(elements.as_slice(), [Element::At(_)]),
            Self::All => false,
        }
    }

    fn pick(&self, value: &str, out: &mut Vec<String>) -> Result<(), String> {
        match self {
            Self::Members(names) => {
                let members = members(value).ok_or_else(|| wrong_kind("an object", value))?;
                let find = |name: &String| {
                    // If a name occurs twice, the last one counts, as for most readers of JSON.
                    let found = members.iter().rfind(|(key, _)| key == name).map(|(_, value)| *value);
                    found.ok_or_else(|| match members.as_slice() {
                        [] => format!("there is no {name:?}, the object is empty"),
                        some => {
                            let keys: Vec<_> = some.iter().map(|(key, _)| format!("{key:?}")).collect();
                            format!("there is no {name:?}, the object has {}", keys.join(", "))
                        }
                    })
                };
                match names.as_slice() {
                    [name] => out.push(find(name)?.to_owned()),
                    names => {
                        let pairs = names.iter().map(|name| Ok(format!("{}:{}", quoted(name), find(name)?)));
                        let pairs = pairs.collect::<Result<Vec<_>, String>>()?;
                        out.push(format!("{{{}}}", pairs.join(",")));
                    }
                }
            }
            Self::Elements(wanted) => {
                let elements = elements(value).ok_or_else(|| wrong_kind("an array", value))?;
                for element in wanted {
                    out.extend(element.range(elements.len())?.map(|index| elements[index].to_owned()));
                }
            }
            Self::All => match (members(value), elements(value)) {
                (Some(members), _) => out.extend(members.iter().map(|(_, value)| (*value).to_owned())),
                (_, Some(elements)) => out.extend(elements.iter().map(|&value| value.to_owned())),
                (None, None) => return Err(wrong_kind("an object or an array", value)),
            },
        }
        Ok(())
    }
}

impl Element {
    fn range(self, length: usize) -> Result<std::ops::Range<usize>, String> {
        let from_end = |index: i64| if index < 0 { index.saturating_add(length as i64) } else { index };
        match self {
            Self::At(index) => match usize::try_from(from_end(index)) {
                Ok(at) if at < length => Ok(at..at + 1),
                _ => Err(format!("there is no element {index}, the array has {length}")),
            },
            Self::Slice(begin, end) => {
                let clamp = |index: i64| from_end(index).clamp(0, length as i64) as usize;
                let (begin, end) = (begin.map_or(0, clamp), end.map_or(length, clamp));
                Ok(begin..end.max(begin))
            }
        }
    }
}

fn wrong_kind(expected: &str, value: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = value.chars().take(SHOWN).collect();
    let dots = if shown.len() < value.len() { "…" } else { "" };
    format!("expected {expected}, got {shown}{dots}")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The members of a JSON object in order, names decoded, values as text; `None` if the text is not an object.
pub(crate) fn members(text: &str) -> Option<Vec<(String, &str)>> {
    struct InOrder;

    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(String, &'de str)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                members.push((name, value.get()));
            }
            Ok(members)
        }
    }

    serde_json::Deserializer::from_str(text).deserialize_map(InOrder).ok()
}

/// The elements of a JSON array as text; `None` if the text is not an array.
fn elements(text: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn path(&mut self) -> Result<Vec<Step>, &'static str> {
        if !self.eat(b'$') {
            return Err("$, the root,");
        }
        let mut steps = Vec::new();
        while self.at < self.text.len() {
            let dotted = self.eat(b'.');
            steps.push(if self.eat(b'[') {
                self.bracket()?
            } else if dotted && self.eat(b'*') {
                Step::All
            } else if dotted {
                Step::Members(vec![self.bare_name()?])
            } else {
                return Err(". or [");
            });
        }
        Ok(steps)
    }

    fn bracket(&mut self) -> Result<Step, &'static str> {
        self.blanks();
        let step = match self.peek() {
            Some(b'*') => {
                self.at += 1;
                self.blanks();
                Step::All
            }
            Some(b'\'' | b'"') => Step::Members(self.list(Self::quoted_name)?),
            _ => Step::Elements(self.list(Self::element)?),
        };
        if self.eat(b']') { Ok(step) } else { Err(", or ]") }
    }

    fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, &'static str>,
    ) -> Result<Vec<T>, &'static str> {
        let mut items = Vec::new();
        loop {
            self.blanks();
            items.push(item(self)?);
            self.blanks();
            if !self.eat(b',') {
                return Ok(items);
            }
        }
    }

    fn bare_name(&mut self) -> Result<String, &'static str> {
        let rest = &self.text[self.at..];
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let name = &rest[..end];
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || "]()?@'\"*,:".contains(c)) {
            return Err("a name (other names than plain words are written ['so'])");
        }
        self.at += end;
        Ok(name.to_owned())
    }

    fn quoted_name(&mut self) -> Result<String, &'static str> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => char::from(quote),
            _ => return Err("a name in quotes"),
        };
        let rest = &self.text[self.at + 1..];
        let mut name = String::new();
        let mut letters = rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => name.extend(letters.next().map(|(_, letter)| letter)),
                letter if letter == quote => {
                    self.at += at + 2;
                    return Ok(name);
                }
                letter => name.push(letter),
            }
        }
        Err("a name that ends with the quote it begins with")
    }

    fn element(&mut self) -> Result<Element, &'static str> {
        let begin = self.number()?;
        self.blanks();
        match (begin, self.eat(b':')) {
            (Some(index), false) => Ok(Element::At(index)),
            (None, false) => Err("a name in quotes, an index, a slice or *"),
            (begin, true) => {
                self.blanks();
                Ok(Element::Slice(begin, self.number()?))
            }
        }
    }

    fn number(&mut self) -> Result<Option<i64>, &'static str> {
        let rest = &self.text[self.at..];
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let end = rest.len() - digits.len() + count;
        if end == 0 {
            return Ok(None);
        }
        let number = rest[..end].parse().map_err(|_| "a whole number of at most 18 digits")?;
        self.at += end;
        Ok(Some(number))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while self.eat(b' ') {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, value: &str, expected: Result<&str, &str>) {
        let got = JsonPath::parse(path).unwrap_or_else(|fault| panic!("{fault}")).select(value);
        match (&got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{path} of {value}"),
            (Err(got), Err(expected)) => assert!(got.contains(expected), "{got} lacks {expected}"),
            _ => panic!("{path} of {value}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn one_value_is_cut_out_as_it_stands() {
        let value = r#" {"id": 12345678901234567890123, "x": {"y z": [1.10, {"k":"\u00fc"}]}, "id2":1e999} "#;
        check("$", value, Ok(value.trim()));
        check("$.id", value, Ok("12345678901234567890123"));
        check("$['id2']", value, Ok("1e999"));
        check("$.x.['y z'][0]", value, Ok("1.10"));
        check(r#"$.x["y z"][-1].k"#, value, Ok(r#""\u00fc""#));
        check(r"$['it\'s']", r#"{"it's":1,"it's":2}"#, Ok("2"));
        check("$.ключ", r#"{"ключ":null}"#, Ok("null"));
    }

    #[test]
    fn several_matches_become_one_value() {
        let object = r#"{"id":7,"a":[1,2],"b":{"c":true}}"#;
        check("$['b','id']", object, Ok(r#"{"b":{"c":true},"id":7}"#));
        check("$.*", object, Ok(r#"[7,[1,2],{"c":true}]"#));
        check("$[ 'a' , 'id' ].a", object, Ok("[1,2]"));
        let array = "[10,11,12,13,14,15,16]";
        check("$[0,5:]", array, Ok("[10,15,16]"));
        check("$[1:3]", array, Ok("[11,12]"));
        check("$[-2:]", array, Ok("[15,16]"));
        check("$[:-5]", array, Ok("[10,11]"));
        check("$[5:100]", array, Ok("[15,16]"));
        check("$[4:2]", array, Ok("[]"));
        check("$[0:1]", array, Ok("[10]"));
        check("$[-1]", array, Ok("16"));
        check("$[*]", "[]", Ok("[]"));
        check("$[*].t", r#"[{"t":1},{"t":2}]"#, Ok("[1,2]"));
        check("$[0:2].['t','u']", r#"[{"t":1,"u":2},{"t":3,"u":4}]"#, Ok(r#"[{"t":1,"u":2},{"t":3,"u":4}]"#));
    }

    #[test]
    fn what_is_not_there_is_said() {
        check("$.b", r#"{"a":1}"#, Err(r#"the path $.b finds nothing: there is no "b", the object has "a""#));
        check("$['a','b']", r#"{"a":1}"#, Err(r#"no "b""#));
        check("$.a", "{}", Err("the object is empty"));
        check("$[3]", "[1,2,3]", Err("there is no element 3, the array has 3"));
        check("$[-4]", "[1,2,3]", Err("no element -4"));
        check("$[-9223372036854775808]", "[]", Err("no element"));
        check("$.a", "[1]", Err("expected an object, got [1]"));
        check("$[0]", r#""abc""#, Err("expected an array, got \"abc\""));
        check("$.*", "12", Err("expected an object or an array"));
    }

    #[test]
    fn deep_values_do_not_exhaust_the_stack() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        check("$.a[0]", &deep, Ok(&deep[6..deep.len() - 2]));
    }

    #[track_caller]
    fn check_refused(path: &str, at: usize, expected: &str) {
        let fault = JsonPath::parse(path).expect_err(path);
        assert!(fault.at == at && fault.expected.contains(expected), "{fault}");
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_place() {
        check_refused("", 0, "$");
        check_refused("a.b", 0, "$");
        check_refused("$a", 1, ". or [");
        check_refused("$.", 2, "a name");
        check_refused("$..a", 2, "a name");
        check_refused("$.a b", 2, "a name");
        check_refused("$[", 2, "a name in quotes, an index");
        check_refused("$[?(@.a)]", 2, "a name in quotes, an index");
        check_refused("$['a", 2, "ends with the quote");
        check_refused("$['a'", 5, ", or ]");
        check_refused("$['a',1]", 6, "a name in quotes");
        check_refused("$[1,'a']", 4, "a name in quotes, an index");
        check_refused("$[1:2:3]", 5, ", or ]");
        check_refused("$[99999999999999999999]", 2, "at most 18 digits");
        check_refused("$['é\\", 2, "ends with the quote");
    }
}
