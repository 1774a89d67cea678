//! The protobuf message `aialgs.data.Record`, which all SageMaker algorithms use for observations.
//!
//! Schema: SageMaker Developer Guide, "Training Data Formats", protobuf recordIO.

use std::collections::BTreeMap;

use prost::Message;

/// One observation: named values.
#[derive(Clone, PartialEq, Message)]
pub struct Record {
    /// Named inputs. Sorted by name, so that the same record always has the same bytes.
    #[prost(btree_map = "string, message", tag = "1")]
    pub features: BTreeMap<String, Value>,
    /// Named labels.
    #[prost(btree_map = "string, message", tag = "2")]
    pub label: BTreeMap<String, Value>,
    /// Identifier of the record in its dataset; not used.
    #[prost(string, optional, tag = "3")]
    pub uid: Option<String>,
    /// Text about the record; not used.
    #[prost(string, optional, tag = "4")]
    pub metadata: Option<String>,
    /// A JSON object with settings for this record, as for inference.
    #[prost(string, optional, tag = "5")]
    pub configuration: Option<String>,
}

/// A value of one of four kinds.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// The value; `None` if the writer set none.
    #[prost(oneof = "value::Value", tags = "2, 3, 7, 9")]
    pub value: Option<value::Value>,
}

/// The kinds of [`Value`].
pub mod value {
    /// A tensor, or bytes.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Value {
        /// 32-bit floats.
        #[prost(message, tag = "2")]
        Float32Tensor(super::Float32Tensor),
        /// 64-bit floats.
        #[prost(message, tag = "3")]
        Float64Tensor(super::Float64Tensor),
        /// 32-bit signed integers, used by seq2seq.
        #[prost(message, tag = "7")]
        Int32Tensor(super::Int32Tensor),
        /// Anything else.
        #[prost(message, tag = "9")]
        Bytes(super::Bytes),
    }
}

/// A dense or sparse tensor of 32-bit floats.
#[derive(Clone, PartialEq, Message)]
pub struct Float32Tensor {
    /// Values in row-major order.
    #[prost(float, repeated, packed = "true", tag = "1")]
    pub values: Vec<f32>,
    /// Positions of the values in a sparse tensor; empty for a dense one.
    #[prost(uint64, repeated, packed = "true", tag = "2")]
    pub keys: Vec<u64>,
    /// Sizes of the axes; optional for a vector.
    #[prost(uint64, repeated, packed = "true", tag = "3")]
    pub shape: Vec<u64>,
}

/// A dense or sparse tensor of 64-bit floats.
#[derive(Clone, PartialEq, Message)]
pub struct Float64Tensor {
    /// Values in row-major order.
    #[prost(double, repeated, packed = "true", tag = "1")]
    pub values: Vec<f64>,
    /// Positions of the values in a sparse tensor; empty for a dense one.
    #[prost(uint64, repeated, packed = "true", tag = "2")]
    pub keys: Vec<u64>,
    /// Sizes of the axes; optional for a vector.
    #[prost(uint64, repeated, packed = "true", tag = "3")]
    pub shape: Vec<u64>,
}

/// A dense or sparse tensor of 32-bit signed integers. Written packed; read in either form.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Int32Tensor {
    /// Values in row-major order.
    #[prost(int32, repeated, packed = "true", tag = "1")]
    pub values: Vec<i32>,
    /// Positions of the values in a sparse tensor; empty for a dense one.
    #[prost(uint64, repeated, packed = "true", tag = "2")]
    pub keys: Vec<u64>,
    /// Sizes of the axes; optional for a vector.
    #[prost(uint64, repeated, packed = "true", tag = "3")]
    pub shape: Vec<u64>,
}

/// Data for other programs, such as images.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Bytes {
    /// The data.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub value: Vec<Vec<u8>>,
    /// The type of the data.
    #[prost(string, optional, tag = "2")]
    pub content_type: Option<String>,
}
