//! `application/json`: `{"instances": [{"data": "...", "configuration": {...}}]}`, answered by
//! `{"predictions": [{"target": "..."}]}`; and single objects of that kind, as in JSON lines.
//!
//! The body is parsed directly into instances, so that any other content (arrays of a million numbers, deep nesting) is refused
//! where it begins and takes no memory.

use std::fmt;

use kokanee_contract::nearest;
use kokanee_http::{Rope, ServeError};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::configuration::shortened;
use super::{
    Answered, Configuration, Form, Input, Instance, MAX_INSTANCES, Place, Placed, empty, one_too_many,
};

pub(super) const OPENING: &[u8] = br#"{"predictions":["#;
pub(super) const CLOSING: &[u8] = b"]}";

const SOURCE_KEYS: &[&str] = &["data"];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Default)]
pub(super) struct Reader {
    body: Rope,
    finished: bool,
    instances: Option<std::vec::IntoIter<Placed>>,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.body.push(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    pub(super) fn read(&mut self) -> Result<Option<Placed>, ServeError> {
        if !self.finished {
            return Ok(None);
        }
        if self.instances.is_none() {
            let body = std::mem::take(&mut self.body);
            self.take_whole(&body.into_vec())?;
        }
        Ok(self.instances.as_mut().and_then(Iterator::next))
    }

    /// Reads a whole body in place.
    pub(super) fn take_whole(&mut self, body: &[u8]) -> Result<(), ServeError> {
        self.instances = Some(parse(body)?.into_iter());
        Ok(())
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.body.len()
    }
}

fn parse(body: &[u8]) -> Result<Vec<Placed>, ServeError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Err(empty(Form::Json));
    }
    let (mut instances, mut progress) = (Vec::new(), Progress::default());
    let mut json = serde_json::Deserializer::from_slice(body);
    let seed = Body { instances: &mut instances, progress: &mut progress };
    seed.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let problem = format!("{} (line {line}, column {column})", bare(&error));
        let error = match progress.instance {
            Some(index) => Place::Instance(index).bad(progress.field.as_deref(), problem),
            None => {
                let field = progress.field.as_deref().unwrap_or("the body");
                ServeError::bad(format!("{field}: {problem}"))
            }
        };
        error.with("line", line).with("column", column)
    })?;
    Ok(instances)
}

/// Reads a single object.
pub(super) fn instance(
    text: &str,
    place: Place,
    source_keys: &'static [&'static str],
) -> Result<Instance, ServeError> {
    let mut field = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Object { source_keys, others: Others::PassedOver, field: &mut field }.deserialize(&mut json);
    read.and_then(|instance| json.end().map(|()| instance)).map_err(|error| {
        let problem = format!("{} (column {})", bare(&error), error.column());
        place.bad(field.as_deref(), problem).with("column", error.column())
    })
}

/// The message without the place that serde_json appends.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// The current position of reading, which errors refer to.
#[derive(Default)]
struct Progress {
    instance: Option<u64>,
    field: Option<String>,
}

/// The whole body.
struct Body<'a> {
    instances: &'a mut Vec<Placed>,
    progress: &'a mut Progress,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an object, {"instances": [{"data": "..."}]}"#)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            self.progress.field = Some(shortened(&key));
            if key != "instances" {
                return Err(A::Error::custom("there is no such key; expected instances alone"));
            }
            if found {
                return Err(A::Error::custom("given twice"));
            }
            found = true;
            map.next_value_seed(Instances(&mut self))?;
            *self.progress = Progress::default();
        }
        if found { Ok(()) } else { Err(A::Error::custom(r#"it has no "instances""#)) }
    }
}

struct Instances<'a, 'b>(&'a mut Body<'b>);

impl<'de> DeserializeSeed<'de> for Instances<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Instances<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an array of objects, [{"data": "..."}]"#)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Body { instances, progress } = self.0;
        for index in 0.. {
            (progress.instance, progress.field) = (Some(index), None);
            let object =
                Object { source_keys: SOURCE_KEYS, others: Others::Refused, field: &mut progress.field };
            let Some(instance) = list.next_element_seed(object)? else { break };
            if instances.len() == MAX_INSTANCES {
                return Err(A::Error::custom(one_too_many()));
            }
            instances.push(Placed { place: Place::Instance(index), instance });
        }
        Ok(())
    }
}

/// The treatment of unknown keys of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// They are errors.
    Refused,
    /// They are ignored, unless one looks like a misspelt `configuration`: records of files have identifiers and the like.
    PassedOver,
}

/// One instance. `field` is kept at the path that is being read.
struct Object<'a> {
    source_keys: &'static [&'static str],
    others: Others,
    field: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Instance;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Instance, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Instance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"an object, {{"{}": "..."}}"#, self.source_keys[0])
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Instance, A::Error> {
        const CONFIGURATION: &str = "configuration";
        let (mut text, mut configuration) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            *self.field = Some(shortened(&key));
            if self.source_keys.contains(&key.as_str()) {
                let Text(source) = map.next_value()?;
                if text.replace(source).is_some() {
                    return Err(A::Error::custom("the source is given twice"));
                }
            } else if key == CONFIGURATION {
                if configuration.replace(map.next_value_seed(Settings { field: self.field })?).is_some() {
                    return Err(A::Error::custom("given twice"));
                }
            } else if self.others == Others::PassedOver && nearest(&key, [CONFIGURATION]).is_none() {
                map.next_value::<IgnoredAny>()?;
            } else {
                let known = || self.source_keys.iter().copied().chain([CONFIGURATION]);
                let meant = nearest(&key, known()).map(|known| format!("is {known} meant?"));
                let known =
                    meant.unwrap_or_else(|| format!("known are {}", known().collect::<Vec<_>>().join(", ")));
                return Err(A::Error::custom(format!("there is no such key; {known}")));
            }
            *self.field = None;
        }
        let Some(text) = text else {
            let key = self.source_keys[0];
            return Err(A::Error::custom(format!(r#"it has no "{key}"; expected {{"{key}": "..."}}"#)));
        };
        Ok(Instance { input: Input::Text(text), configuration: configuration.unwrap_or_default() })
    }
}

/// The object `configuration`; null stands for none.
struct Settings<'a> {
    field: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Settings<'_> {
    type Value = Configuration;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Configuration, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Settings<'_> {
    type Value = Configuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an object, {"attention_matrix": true}"#)
    }

    fn visit_unit<E>(self) -> Result<Configuration, E> {
        Ok(Configuration::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Configuration, A::Error> {
        let mut configuration = Configuration::default();
        while let Some(name) = map.next_key::<String>()? {
            *self.field = Some(format!("configuration.{}", shortened(&name)));
            let Scalar(value) = map.next_value()?;
            configuration.take(&name, &value).map_err(A::Error::custom)?;
        }
        *self.field = Some("configuration".to_owned());
        Ok(configuration)
    }
}

/// A string, which errors name by its meaning.
struct Text(String);

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string: tokens with blanks between them")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }
}

/// A boolean, a number, a string or null.
struct Scalar(Value);

impl<'de> serde::Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, a number or a string")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }
}

/// Appends the object for the answer to an instance.
pub(super) fn write(answered: &Answered, out: &mut Vec<u8>) {
    // Writing plain data to memory cannot fail.
    let _ = serde_json::to_writer(out, answered);
}
