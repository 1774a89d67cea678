//! JSON instances to rows: the bodies of `application/json` and the lines of `application/jsonlines`.
//!
//! | instance | row |
//! |---|---|
//! | `{"features": [1, 2]}`, `{"data": {"features": [1, 2]}}`, `[1, 2]` | dense |
//! | `{"features": {"values": [1, 2]}}`, also in `data` | dense |
//! | the same with `keys` and, if it likes, `shape` | sparse |
//!
//! Numbers go straight into rows, so that whatever else a body holds is refused where it stands and takes no memory.

use std::fmt;
use std::marker::PhantomData;

use kokanee_formats::rows::Rows;
use kokanee_http::ServeError;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::requests::refused;

/// The longest `configuration`, in bytes.
const MAX_CONFIGURATION_BYTES: usize = 1 << 15;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a body holds.
pub(super) struct Object {
    pub(super) rows: Rows,
    pub(super) configuration: Option<serde_json::Value>,
}

/// What is wrong, and where.
pub(super) struct Fault {
    place: Progress,
    problem: String,
}

/// How far reading has come.
#[derive(Clone, Default)]
struct Progress {
    instance: Option<u64>,
    field: &'static str,
    index: Option<usize>,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = match (self.instance, self.field) {
            (Some(index), "") => return write!(f, "instances[{index}]"),
            (Some(index), _) => {
                write!(f, "instances[{index}]")?;
                "."
            }
            (None, "") => return f.write_str("the body"),
            (None, _) => "",
        };
        write!(f, "{dot}{}", self.field)?;
        self.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            // Of a line that is no instance at all.
            Progress { instance: None, field: "", .. } => f.write_str(&self.problem),
            _ => write!(f, "{}: {}", self.place, self.problem),
        }
    }
}

impl Fault {
    /// The answer to the body of [`read_object`].
    pub(super) fn refused(self) -> ServeError {
        let error = refused(format!("{}: {}", self.place, self.problem));
        match self.place.instance {
            Some(index) => error.with("instance", index),
            None => error,
        }
    }

    fn of(place: Progress, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let (line, column) = (error.line(), error.column());
        let end = format!(" at line {line} column {column}");
        let bare = text.strip_suffix(&end).unwrap_or(&text);
        Self { place, problem: format!("{bare} (line {line}, column {column})") }
    }
}

/// The rows of a whole body.
pub(super) fn read_object(body: &[u8], width: usize) -> Result<Object, Fault> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let mut progress = Progress::default();
    if body.trim_ascii().is_empty() {
        let problem = r#"it is empty; expected {"instances": [{"features": [...]}]}"#.to_owned();
        return Err(Fault { place: progress, problem });
    }
    let mut object = Object { rows: Rows::new(width), configuration: None };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Body { object: &mut object, progress: &mut progress }.deserialize(&mut json);
    match read.and_then(|()| json.end()) {
        Ok(()) => Ok(object),
        Err(error) => Err(Fault::of(progress, &error)),
    }
}

/// Appends the row of an instance that is a line by itself.
pub(super) fn read_line(line: &[u8], rows: &mut Rows) -> Result<(), Fault> {
    let mut progress = Progress::default();
    let mut json = serde_json::Deserializer::from_slice(line);
    let read = Instance { rows, progress: &mut progress }.deserialize(&mut json);
    read.and_then(|()| json.end()).map_err(|error| Fault::of(progress, &error))
}

struct Body<'a> {
    object: &'a mut Object,
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
        f.write_str(r#"an object, {"instances": [{"features": [...]}]}"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_instances = false;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Instances if has_instances => return Err(A::Error::custom("instances is given twice")),
                Key::Instances => {
                    has_instances = true;
                    self.progress.field = "instances";
                    map.next_value_seed(Instances { rows: &mut self.object.rows, progress: self.progress })?;
                }
                Key::Configuration => {
                    self.progress.field = "configuration";
                    let text: &RawValue = map.next_value()?;
                    if text.get().len() > MAX_CONFIGURATION_BYTES {
                        let problem = format!("longer than {MAX_CONFIGURATION_BYTES} bytes");
                        return Err(A::Error::custom(problem));
                    }
                    let value = serde_json::from_str(text.get()).map_err(A::Error::custom)?;
                    self.object.configuration = Some(value);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            *self.progress = Progress::default();
        }
        if has_instances { Ok(()) } else { Err(A::Error::custom(r#"it has no "instances""#)) }
    }
}

/// The keys that mean something somewhere.
#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Instances,
    Configuration,
    Data,
    Features,
    Values,
    Keys,
    Shape,
    #[serde(other)]
    Other,
}

struct Instances<'a> {
    rows: &'a mut Rows,
    progress: &'a mut Progress,
}

impl<'de> DeserializeSeed<'de> for Instances<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Instances<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of instances")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0.. {
            *self.progress = Progress { instance: Some(index), ..Progress::default() };
            if seq.next_element_seed(Instance { rows: self.rows, progress: self.progress })?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

struct Instance<'a> {
    rows: &'a mut Rows,
    progress: &'a mut Progress,
}

impl Instance<'_> {
    fn at(&mut self, field: &'static str) {
        (self.progress.field, self.progress.index) = (field, None);
    }
}

impl<'de> DeserializeSeed<'de> for Instance<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Instance<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an instance, {"features": [...]}"#)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Features { rows: self.rows, progress: self.progress, field: "", values: "" }.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let before = self.rows.len();
        while let Some(key) = map.next_key::<Key>()? {
            let (rows, progress) = (&mut *self.rows, &mut *self.progress);
            match key {
                Key::Features | Key::Data if rows.len() > before => {
                    return Err(A::Error::custom("its features are given twice"));
                }
                Key::Features => map.next_value_seed(Features {
                    rows,
                    progress,
                    field: "features",
                    values: "features.values",
                })?,
                Key::Data => map.next_value_seed(Data { rows, progress })?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            self.at("");
        }
        if self.rows.len() > before { Ok(()) } else { Err(A::Error::custom(r#"it has no "features""#)) }
    }
}

/// The member `data` of an instance.
struct Data<'a> {
    rows: &'a mut Rows,
    progress: &'a mut Progress,
}

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.progress.field = "data";
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Data<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an object, {"features": [...]}"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let before = self.rows.len();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Features if self.rows.len() > before => {
                    return Err(A::Error::custom("its features are given twice"));
                }
                Key::Features => map.next_value_seed(Features {
                    rows: self.rows,
                    progress: self.progress,
                    field: "data.features",
                    values: "data.features.values",
                })?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            (self.progress.field, self.progress.index) = ("data", None);
        }
        if self.rows.len() > before { Ok(()) } else { Err(A::Error::custom(r#"it has no "features""#)) }
    }
}

/// A vector, dense or sparse: `field` is its path, `values` that of its values.
struct Features<'a> {
    rows: &'a mut Rows,
    progress: &'a mut Progress,
    field: &'static str,
    values: &'static str,
}

impl<'de> DeserializeSeed<'de> for Features<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.progress.field = self.field;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Features<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an array of numbers, or {"values": [...]}"#)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let width = self.rows.width();
        let mut values = Vec::with_capacity(width.min(1 << 12));
        let count = numbers(&mut seq, self.progress, |value: Number| push(&mut values, value.0, width))?;
        check_width::<A::Error>(count, width)?;
        self.rows.push_dense(&values);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let width = self.rows.width();
        let (mut values, mut keys, mut elements) = (None, None, None);
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Values => {
                    let mut list = Vec::new();
                    self.progress.field = self.values;
                    let each = |value: Number| push(&mut list, value.0, width);
                    let count = map.next_value_seed(List::new(self.progress, each))?;
                    values = Some((list, count));
                }
                Key::Keys => {
                    let mut list = Vec::new();
                    let each = |key| push(&mut list, key, width);
                    let count = map.next_value_seed(List::new(self.progress, each))?;
                    keys = Some((list, count));
                }
                Key::Shape => {
                    let mut product = 1_u128;
                    let each = |extent: u64| product = product.saturating_mul(u128::from(extent));
                    map.next_value_seed(List::new(self.progress, each))?;
                    elements = Some(product);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            (self.progress.field, self.progress.index) = (self.field, None);
        }
        let (values, count) = values.ok_or_else(|| A::Error::custom(r#"it has no "values""#))?;
        if let Some(elements) = elements.filter(|&elements| elements != width as u128) {
            return Err(A::Error::custom(format!(
                "its shape has {elements} elements, the model takes {width}"
            )));
        }
        let Some((keys, key_count)) = keys else {
            check_width::<A::Error>(count, width)?;
            self.rows.push_dense(&values);
            return Ok(());
        };
        if key_count != count || count > width {
            let problem =
                format!("{key_count} keys for {count} values; expected one for each, and {width} at most");
            return Err(A::Error::custom(problem));
        }
        let mut pairs: Vec<(u64, f32)> = keys.into_iter().zip(values).collect();
        pairs.sort_by_key(|&(key, _)| key);
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(A::Error::custom(format!("key {} comes twice", twice[0].0)));
        }
        if let Some((key, _)) = pairs.last().filter(|(key, _)| *key >= width as u64) {
            return Err(A::Error::custom(format!("key {key} is beyond the {width} columns of the row")));
        }
        let columns: Vec<u32> =
            pairs.iter().map(|&(key, _)| u32::try_from(key).unwrap_or(u32::MAX)).collect();
        let values: Vec<f32> = pairs.iter().map(|&(_, value)| value).collect();
        self.rows.push_sparse(&columns, &values);
        Ok(())
    }
}

/// Keeps no more values than a row may have; those beyond are counted only.
fn push<T>(list: &mut Vec<T>, value: T, most: usize) {
    if list.len() < most {
        list.push(value);
    }
}

fn check_width<E: Error>(count: usize, width: usize) -> Result<(), E> {
    if count == width {
        Ok(())
    } else {
        Err(E::custom(format!("it has {count} values, the model takes {width}")))
    }
}

/// Gives each element to `each`, and counts them.
fn numbers<'de, A: SeqAccess<'de>, T: serde::Deserialize<'de>>(
    seq: &mut A,
    progress: &mut Progress,
    mut each: impl FnMut(T),
) -> Result<usize, A::Error> {
    let mut count = 0;
    loop {
        progress.index = Some(count);
        let Some(value) = seq.next_element()? else { break };
        each(value);
        count += 1;
    }
    progress.index = None;
    Ok(count)
}

/// An array whose elements go to `each`.
struct List<'a, F, T> {
    progress: &'a mut Progress,
    each: F,
    of: PhantomData<T>,
}

impl<'a, T, F: FnMut(T)> List<'a, F, T> {
    fn new(progress: &'a mut Progress, each: F) -> Self {
        Self { progress, each, of: PhantomData }
    }
}

impl<'de, T: serde::Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for List<'_, F, T> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: serde::Deserialize<'de>, F: FnMut(T)> Visitor<'de> for List<'_, F, T> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
        numbers(&mut seq, self.progress, self.each)
    }
}

/// A finite number of single precision.
struct Number(f32);

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(NumberVisitor)
    }
}

struct NumberVisitor;

impl NumberVisitor {
    fn number<E: Error>(value: f64) -> Result<Number, E> {
        let number = value as f32;
        if number.is_finite() {
            return Ok(Number(number));
        }
        Err(E::custom(format!("{value:e} does not fit 32-bit floats; scale the features")))
    }
}

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Self::number(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Self::number(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
        Self::number(value)
    }
}
