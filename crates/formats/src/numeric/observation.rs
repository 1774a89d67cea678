//! The row of numbers in a record.

use super::NumericFault;
use crate::record::{Record, Value, value};
use crate::rows::Rows;

/// A row and its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct NumericRecord {
    /// Number of columns.
    pub width: usize,
    /// The columns of the values, ascending; `None` for a dense row.
    pub columns: Option<Vec<u32>>,
    /// The values.
    pub values: Vec<f32>,
    /// Labels; empty if the record has none.
    pub labels: Vec<f32>,
}

const FEATURE: &str = "features[\"values\"]";
const LABEL: &str = "label[\"values\"]";

/// A tensor of any numeric kind.
pub(crate) struct Tensor<'a> {
    /// Its name in errors.
    pub(crate) field: &'static str,
    pub(crate) values: Vec<f32>,
    pub(crate) keys: &'a [u64],
    pub(crate) shape: &'a [u64],
}

impl NumericRecord {
    /// Extracts the row of a record. `width` is that of a sparse row without a shape.
    ///
    /// # Errors
    /// When the record has no row of finite numbers.
    pub fn from_record(record: &Record, width: Option<usize>) -> Result<Self, NumericFault> {
        let mut features = record.features.values();
        let feature = match (record.features.get("values"), features.next(), features.next()) {
            (Some(values), ..) | (None, Some(values), None) => values,
            _ => return Err(NumericFault::Missing { present: present(record) }),
        };
        let tensor = Tensor::of(feature, FEATURE)?;
        let labels = match record.label.get("values") {
            Some(label) => Tensor::of(label, LABEL)?.values,
            None => Vec::new(),
        };
        Ok(Self { labels, ..tensor.row(width)? })
    }

    /// Adds the row to a batch of its width.
    ///
    /// # Panics
    /// When the batch has another width.
    pub fn push_to(&self, rows: &mut Rows) {
        assert_eq!(self.width, rows.width(), "the width of the batch");
        match &self.columns {
            None => rows.push_dense(&self.values),
            Some(columns) => rows.push_sparse(columns, &self.values),
        }
    }
}

impl<'a> Tensor<'a> {
    fn of(value: &'a Value, field: &'static str) -> Result<Self, NumericFault> {
        let wrong = |got| NumericFault::WrongKind { field, got };
        let (values, keys, shape) = match value.value.as_ref().ok_or(wrong("no value at all"))? {
            value::Value::Float32Tensor(tensor) => (
                finite(tensor.values.iter().map(|&value| f64::from(value)), field)?,
                &tensor.keys,
                &tensor.shape,
            ),
            value::Value::Float64Tensor(tensor) => {
                (finite(tensor.values.iter().copied(), field)?, &tensor.keys, &tensor.shape)
            }
            value::Value::Int32Tensor(tensor) => (
                finite(tensor.values.iter().map(|&value| f64::from(value)), field)?,
                &tensor.keys,
                &tensor.shape,
            ),
            value::Value::Bytes(_) => return Err(wrong("bytes")),
        };
        Ok(Self { field, values, keys, shape })
    }

    /// The row, without labels.
    pub(crate) fn row(self, width: Option<usize>) -> Result<NumericRecord, NumericFault> {
        let Self { field, values, keys, shape } = self;
        let elements = (!shape.is_empty())
            .then(|| shape.iter().fold(1u128, |product, &extent| product.saturating_mul(u128::from(extent))));
        // An empty sparse row has only a shape.
        if keys.is_empty() && !(values.is_empty() && elements.is_some_and(|elements| elements > 0)) {
            return match elements {
                Some(elements) if elements != values.len() as u128 => {
                    Err(NumericFault::Shape { field, elements, values: values.len() })
                }
                _ if values.is_empty() => Err(NumericFault::Empty { field }),
                _ => Ok(NumericRecord { width: values.len(), columns: None, values, labels: Vec::new() }),
            };
        }
        if keys.len() != values.len() {
            return Err(NumericFault::Keys { field, keys: keys.len(), values: values.len() });
        }
        let width = elements.or(width.map(|width| width as u128)).ok_or(NumericFault::NoWidth { field })?;
        if width > Rows::MOST_COLUMNS as u128 {
            return Err(NumericFault::TooWide { field, width });
        }
        let mut pairs = Vec::with_capacity(keys.len());
        for (&key, value) in keys.iter().zip(values) {
            match u32::try_from(key) {
                Ok(column) if u128::from(key) < width => pairs.push((column, value)),
                _ => return Err(NumericFault::KeyBeyond { field, key, width }),
            }
        }
        pairs.sort_by_key(|&(column, _)| column);
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(NumericFault::KeyTwice { field, key: twice[0].0 });
        }
        let (columns, values) = pairs.into_iter().unzip();
        Ok(NumericRecord { width: width as usize, columns: Some(columns), values, labels: Vec::new() })
    }
}

/// The values in single precision, if they are within its range.
fn finite(values: impl Iterator<Item = f64>, field: &'static str) -> Result<Vec<f32>, NumericFault> {
    let value = |(index, got): (usize, f64)| {
        let value = got as f32;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(NumericFault::Value { field, position: index + 1, got })
        }
    };
    values.enumerate().map(value).collect()
}

fn present(record: &Record) -> String {
    /// Maximum number of names in a message, and of characters in each.
    const SHOWN: (usize, usize) = (4, 32);
    let names = record.features.keys().take(SHOWN.0);
    let names: Vec<String> =
        names.map(|name| format!("{:?}", name.chars().take(SHOWN.1).collect::<String>())).collect();
    match record.features.len().saturating_sub(names.len()) {
        _ if names.is_empty() => "no features".to_owned(),
        0 => format!("features {}", names.join(", ")),
        more => format!("features {} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Float32Tensor, Float64Tensor, Int32Tensor};

    fn record(name: &str, value: value::Value) -> Record {
        let mut record = Record::default();
        record.features.insert(name.to_owned(), Value { value: Some(value) });
        record
    }

    fn float32(values: &[f32], keys: &[u64], shape: &[u64]) -> Record {
        let tensor = Float32Tensor { values: values.to_vec(), keys: keys.to_vec(), shape: shape.to_vec() };
        record("values", value::Value::Float32Tensor(tensor))
    }

    fn row(record: &Record, width: Option<usize>) -> Result<NumericRecord, String> {
        NumericRecord::from_record(record, width).map_err(|fault| fault.to_string())
    }

    #[test]
    fn tensors_of_each_type_give_the_same_row() {
        let int32 = Int32Tensor { values: vec![1, 2], ..Int32Tensor::default() };
        let float64 = Float64Tensor { values: vec![1.0, 2.0], ..Float64Tensor::default() };
        let want = NumericRecord { width: 2, columns: None, values: vec![1.0, 2.0], labels: vec![] };
        for record in [
            float32(&[1.0, 2.0], &[], &[]),
            float32(&[1.0, 2.0], &[], &[2]),
            float32(&[1.0, 2.0], &[], &[1, 2]),
            record("values", value::Value::Float64Tensor(float64)),
            record("data", value::Value::Int32Tensor(int32.clone())),
        ] {
            assert_eq!(row(&record, None), Ok(want.clone()), "{record:?}");
        }
        let mut labelled = float32(&[1.0], &[], &[]);
        labelled.label.insert("values".to_owned(), Value { value: Some(value::Value::Int32Tensor(int32)) });
        assert_eq!(row(&labelled, None).unwrap().labels, [1.0, 2.0]);
    }

    #[test]
    fn sparse_rows_are_sorted_and_empty_ones_are_zeros() {
        let check = |record: Record, width, expected: (usize, &[u32], &[f32])| {
            let got = row(&record, width).unwrap();
            let columns = got.columns.clone().unwrap();
            assert_eq!((got.width, &columns[..], &got.values[..]), expected);
            let mut rows = Rows::new(got.width);
            got.push_to(&mut rows);
            assert_eq!(rows.len(), 1);
        };
        check(float32(&[1.0, 4.0], &[1, 3], &[4]), None, (4, &[1, 3], &[1.0, 4.0]));
        check(float32(&[4.0, 1.0], &[3, 1], &[]), Some(5), (5, &[1, 3], &[1.0, 4.0]));
        check(float32(&[], &[], &[4]), None, (4, &[], &[]));
    }

    #[test]
    fn what_is_no_row_is_refused_with_the_field() {
        let check = |record: Record, expected: &str| {
            let fault = row(&record, None).unwrap_err();
            assert!(fault.contains(expected), "{fault} lacks {expected}");
        };
        check(Record::default(), "features[\"values\"] is missing; the record has no features");
        let mut two = record("a", value::Value::Int32Tensor(Int32Tensor::default()));
        two.features.extend(record("b", value::Value::Int32Tensor(Int32Tensor::default())).features);
        check(two, "the record has features \"a\", \"b\"");
        check(
            record("values", value::Value::Bytes(crate::record::Bytes::default())),
            "holds bytes; expected a tensor",
        );
        check(
            float32(&[1.0, f32::NAN], &[], &[]),
            "features[\"values\"]: value 2 is NaN; expected a finite number",
        );
        let large = Float64Tensor { values: vec![1e39], ..Float64Tensor::default() };
        check(record("values", value::Value::Float64Tensor(large)), "value 1 is 1000000000");
        check(float32(&[1.0, 2.0], &[], &[3]), "the shape has 3 elements and there are 2 values");
        check(float32(&[1.0], &[0, 1], &[4]), "2 keys for 1 values");
        check(float32(&[1.0], &[4], &[4]), "key 4 is beyond the 4 columns of the row");
        check(float32(&[1.0, 2.0], &[1, 1], &[4]), "key 1 comes twice");
        check(float32(&[1.0], &[1], &[]), "a sparse tensor without a shape");
        check(float32(&[], &[], &[]), "is empty; expected at least one value");
        check(float32(&[], &[1], &[4]), "1 keys for 0 values");
        check(
            float32(&[1.0], &[1], &[1 << 40]),
            "the shape has 1099511627776 elements; expected at most 268435456",
        );
    }
}
