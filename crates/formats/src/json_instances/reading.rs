//! The parsers' visitors that turn a text into rows.
//!
//! Faults are stored in the reader, since the parser's errors cannot hold them; the parser is then stopped with an error that nobody sees.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as _, Deserializer};
use serde_json::value::RawValue;

use super::{Instances, JsonError, JsonFault, JsonPlace, MAX_CONFIGURATION_BYTES};
use crate::numeric::Tensor;
use crate::rows::{Limits, Rows};

const FEATURES: &str = "features";

/// The rows read so far, and the state of reading.
pub(super) struct Reader {
    pub(super) instances: Instances,
    limits: Limits,
    /// Values of all rows so far.
    values: usize,
    /// Bytes of all configurations so far.
    configuration_bytes: usize,
    /// The row that is being read.
    row: Parts,
    place: JsonPlace,
    fault: Option<JsonFault>,
}

/// The parts of an instance; their memory is reused for all instances.
#[derive(Default)]
struct Parts {
    is_there: bool,
    values: Vec<f32>,
    keys: Vec<u64>,
    shape: Vec<u64>,
}

/// The part of a request that is read next.
#[derive(Clone, Copy)]
enum Part {
    /// The body: an object with `instances`.
    Body,
    /// The list of instances.
    List,
    /// One instance.
    Instance,
    /// The member `data` of an instance.
    Data,
    /// The features of an instance.
    Features,
    /// A list of numbers: the features, or their `values`.
    Values(&'static str),
    /// A list of whole numbers: `keys` or `shape`.
    Wholes(&'static str),
    /// An element of one of these lists.
    Value(&'static str, usize),
    Whole(&'static str, usize),
}

impl Reader {
    pub(super) fn new(width: usize, limits: Limits) -> Self {
        let instances = Instances { rows: Rows::new(width), ..Instances::default() };
        Self {
            instances,
            limits,
            values: 0,
            configuration_bytes: 0,
            row: Parts::default(),
            place: JsonPlace::Alone,
            fault: None,
        }
    }

    /// Reads a whole body.
    pub(super) fn read_body(&mut self, body: &[u8]) -> Result<(), JsonError> {
        self.read(body, Part::Body)
    }

    /// Reads an instance.
    pub(super) fn read_line(&mut self, line: &[u8], place: JsonPlace) -> Result<(), JsonError> {
        self.place = place;
        self.read(line, Part::Instance)
    }

    fn read(&mut self, text: &[u8], part: Part) -> Result<(), JsonError> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let read = Seed { reader: self, part }.deserialize(&mut json).and_then(|()| json.end());
        read.map_err(|error| match self.fault.take() {
            Some(fault) => JsonError { place: self.place, fault },
            None => {
                let (line, column) = (error.line(), error.column());
                let problem = error.to_string();
                let problem = problem.split(" at line ").next().unwrap_or_default().to_owned();
                // The parser's line is used, since no instance was recognised yet.
                let place = if let JsonPlace::Line(_) = self.place { self.place } else { JsonPlace::Alone };
                JsonError { place, fault: JsonFault::Syntax { line, column, problem } }
            }
        })
    }

    /// Stores a fault, and returns the error that stops the parser.
    fn stop<E: serde::de::Error>(&mut self, fault: JsonFault) -> E {
        self.fault = Some(fault);
        E::custom("a fault that was kept")
    }

    fn check_count<E: serde::de::Error>(&mut self, more: usize) -> Result<(), E> {
        let Limits { rows, values } = self.limits;
        if self.instances.rows.len() > rows || self.values + more > values {
            self.place = JsonPlace::Alone;
            return Err(self.stop(JsonFault::TooMany { limits: self.limits }));
        }
        Ok(())
    }

    fn begin_row(&mut self) {
        self.row.is_there = false;
        self.row.values.clear();
        self.row.keys.clear();
        self.row.shape.clear();
    }

    /// Adds the row to the batch.
    fn end_row<E: serde::de::Error>(&mut self) -> Result<(), E> {
        let width = self.instances.rows.width();
        let Parts { is_there, values, keys, shape } = &self.row;
        if !is_there {
            return Err(self.stop(JsonFault::NoFeatures));
        }
        if keys.is_empty() && shape.is_empty() {
            if values.len() != width {
                let got = values.len();
                return Err(self.stop(JsonFault::Width { got, width }));
            }
            self.instances.rows.push_dense(values);
        } else {
            let tensor = Tensor { field: FEATURES, values: values.clone(), keys, shape };
            match tensor.row(Some(width)) {
                Ok(row) if row.width == width => row.push_to(&mut self.instances.rows),
                Ok(row) => return Err(self.stop(JsonFault::Width { got: row.width, width })),
                Err(fault) => return Err(self.stop(fault.into())),
            }
        }
        self.values += self.row.values.len();
        self.check_count(0)
    }

    /// Reads a configuration; `None` for `null` and for an empty object.
    fn configuration<'de, M: MapAccess<'de>>(
        &mut self,
        map: &mut M,
    ) -> Result<Option<serde_json::Value>, M::Error> {
        let text = map.next_value::<&RawValue>()?.get();
        let is_nothing = text == "null"
            || text
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
                .is_some_and(|rest| rest.trim().is_empty());
        if is_nothing {
            return Ok(None);
        }
        self.configuration_bytes += text.len();
        if self.configuration_bytes > MAX_CONFIGURATION_BYTES {
            return Err(self.stop(JsonFault::Configuration { bytes: self.configuration_bytes }));
        }
        let value = serde_json::Value::deserialize(&mut serde_json::Deserializer::from_str(text));
        value.map(Some).map_err(M::Error::custom)
    }
}

/// The seed that reads a part.
struct Seed<'a> {
    reader: &'a mut Reader,
    part: Part,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl Seed<'_> {
    /// Reports that the part has the wrong type.
    fn refuse<E: serde::de::Error>(self, got: impl fmt::Display) -> E {
        let (field, position, expected) = match self.part {
            Part::Body => ("the body", None, "an object with \"instances\""),
            Part::List => ("instances", None, "a list"),
            Part::Instance => ("the instance", None, "an object with \"features\", or a list of numbers"),
            Part::Data => ("data", None, "an object with \"features\""),
            Part::Features => (FEATURES, None, "a list of numbers, or an object with \"values\""),
            Part::Values(field) => (field, None, "a list of numbers"),
            Part::Wholes(field) => (field, None, "a list of whole numbers"),
            Part::Value(field, position) => (field, Some(position), "a number"),
            Part::Whole(field, position) => (field, Some(position), "a whole number from 0"),
        };
        self.reader.stop(JsonFault::Kind { field, position, got: got.to_string(), expected })
    }

    fn number<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        let Part::Value(field, position) = self.part else { return Err(self.refuse(number)) };
        let value = number as f32;
        if value.is_finite() {
            self.reader.row.values.push(value);
            return Ok(());
        }
        Err(self.reader.stop(JsonFault::TooLarge { field, position, got: format!("{number:e}") }))
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instance")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        match self.part {
            Part::Whole("features.keys", _) => self.reader.row.keys.push(number),
            Part::Whole(..) => self.reader.row.shape.push(number),
            _ => return self.number(number as f64),
        }
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        Err(self.refuse(value))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Err(self.refuse("null"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        /// Maximum characters of a text in a message.
        const SHOWN: usize = 40;
        let text: String = text.chars().take(SHOWN).collect();
        Err(self.refuse(format_args!("{text:?}")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { reader, part } = self;
        match part {
            Part::List => {
                for number in 0.. {
                    reader.place = JsonPlace::Instance(number);
                    if list.next_element_seed(Seed { reader, part: Part::Instance })?.is_none() {
                        break;
                    }
                }
                reader.place = JsonPlace::Alone;
            }
            Part::Instance => {
                reader.begin_row();
                Seed { reader, part: Part::Features }.visit_seq(list)?;
                reader.end_row()?;
            }
            Part::Features | Part::Values(_) | Part::Wholes(_) => {
                reader.row.is_there = true;
                let element = |position| match part {
                    Part::Wholes(field) => Part::Whole(field, position),
                    Part::Values(field) => Part::Value(field, position),
                    _ => Part::Value(FEATURES, position),
                };
                for position in 0.. {
                    reader.check_count(position)?;
                    if list.next_element_seed(Seed { reader, part: element(position) })?.is_none() {
                        break;
                    }
                }
            }
            _ => return Err(Seed { reader, part }.refuse("a list")),
        }
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { reader, part } = self;
        let members: &[(&'static str, Option<Part>)] = match part {
            Part::Body => &[("instances", Some(Part::List)), ("configuration", None)],
            Part::Instance => {
                &[(FEATURES, Some(Part::Features)), ("data", Some(Part::Data)), ("configuration", None)]
            }
            Part::Data => &[(FEATURES, Some(Part::Features))],
            Part::Features => &[
                ("values", Some(Part::Values("features.values"))),
                ("keys", Some(Part::Wholes("features.keys"))),
                ("shape", Some(Part::Wholes("features.shape"))),
            ],
            _ => return Err(Seed { reader, part }.refuse("an object")),
        };
        if let Part::Instance = part {
            reader.begin_row();
        }
        let mut seen = [false; 3];
        while let Some(member) = map.next_key_seed(Member { members })? {
            let Some(index) = member else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let (name, content) = members[index];
            if std::mem::replace(&mut seen[index], true) {
                return Err(reader.stop(JsonFault::Twice { member: name }));
            }
            match (content, part) {
                (Some(Part::Features), _) if reader.row.is_there => {
                    return Err(reader.stop(JsonFault::Twice { member: name }));
                }
                (Some(content), _) => map.next_value_seed(Seed { reader, part: content })?,
                (None, Part::Body) => reader.instances.configuration = reader.configuration(&mut map)?,
                (None, _) => {
                    let number = reader.instances.rows.len();
                    let configuration = reader.configuration(&mut map)?;
                    reader.instances.configurations.extend(configuration.map(|value| (number, value)));
                }
            }
        }
        match part {
            Part::Body if !seen[0] => Err(reader.stop(JsonFault::NoInstances)),
            Part::Instance => reader.end_row(),
            // Without values the row is empty, but has a shape.
            Part::Features => {
                reader.row.is_there = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Reads the name of a member as its index among the known names.
struct Member {
    members: &'static [(&'static str, Option<Part>)],
}

impl<'de> DeserializeSeed<'de> for Member {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Member {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.members.iter().position(|(known, _)| *known == name))
    }
}
