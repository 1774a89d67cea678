//! Fast decoding of dense records directly from their bytes, without building the message.
//!
//! The usual record of a dense row is one map entry in field 1, optionally one in field 2, and nothing else. Each entry is a key and a
//! value in this order; the value is one tensor, and the tensor one packed array. Anything else (several features, a shape, arrays in
//! pieces, unknown fields, damage) is left to the message decoder, which knows all rules of protobuf.

/// The arrays of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense<'a> {
    pub(super) values: Packed<'a>,
    pub(super) labels: Option<Packed<'a>>,
}

/// The elements of a packed array, as bytes of the record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packed<'a> {
    F32(&'a [[u8; 4]]),
    F64(&'a [[u8; 8]]),
    /// Varints, each of which ends within these bytes.
    I32(&'a [u8]),
}

/// The arrays of a record in the simplest form; `None` for any other.
pub(super) fn dense(payload: &[u8]) -> Option<Dense<'_>> {
    let (features, rest) = field(payload, 1)?;
    // The name does not matter: it is the only feature.
    let (_, values) = entry(features)?;
    let labels = match field(rest, 2) {
        None if rest.is_empty() => None,
        Some((labels, [])) => match entry(labels)? {
            ("values", labels) => Some(labels),
            _ => return None,
        },
        _ => return None,
    };
    Some(Dense { values, labels })
}

/// The content of the field `number`, which `bytes` must begin with, and the bytes after it.
fn field(bytes: &[u8], number: u8) -> Option<(&[u8], &[u8])> {
    /// The wire type for a length followed by so many bytes.
    const DELIMITED: u8 = 2;
    let (&key, rest) = bytes.split_first()?;
    if key != number << 3 | DELIMITED {
        return None;
    }
    let (length, rest) = varint(rest)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// The name and array of a map entry.
fn entry(bytes: &[u8]) -> Option<(&str, Packed<'_>)> {
    let (name, rest) = field(bytes, 1)?;
    let (value, []) = field(rest, 2)? else { return None };
    // The field of the value's oneof gives the type.
    let kind = value.first()? >> 3;
    let (tensor, []) = field(value, kind)? else { return None };
    let (array, []) = field(tensor, 1)? else { return None };
    let packed = match kind {
        2 => {
            let (values, []) = array.as_chunks::<4>() else { return None };
            Packed::F32(values)
        }
        3 => {
            let (values, []) = array.as_chunks::<8>() else { return None };
            Packed::F64(values)
        }
        7 if array.last().is_none_or(|last| last & 0x80 == 0) => Packed::I32(array),
        _ => return None,
    };
    Some((std::str::from_utf8(name).ok()?, packed))
}

/// A number of up to nine groups of 7 bits, and the bytes after it. Longer ones are left to the message decoder.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    const MOST: usize = 9;
    let mut number = 0;
    for (index, &byte) in bytes.iter().take(MOST).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

impl Packed<'_> {
    /// The number of elements.
    pub(super) fn count(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            // The last byte of each element has no continuation bit.
            Self::I32(values) => values.iter().filter(|&byte| byte & 0x80 == 0).count(),
        }
    }

    /// Appends the elements in single precision. Returns false if one is not finite there, or needs the exact method; the appended elements
    /// are then invalid.
    pub(super) fn append_to(self, out: &mut Vec<f32>) -> bool {
        let before = out.len();
        match self {
            Self::F32(values) => out.extend(values.iter().map(|bytes| f32::from_le_bytes(*bytes))),
            Self::F64(values) => out.extend(values.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32)),
            Self::I32(mut values) => {
                while !values.is_empty() {
                    let Some((value, rest)) = varint(values) else { return false };
                    out.push(f64::from(value as i32) as f32);
                    values = rest;
                }
            }
        }
        are_finite(&out[before..])
    }
}

/// Whether all values are finite. The loop has no branch, so that one instruction checks many values.
fn are_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    values.iter().fold(true, |all, value| all & (value.to_bits() & EXPONENT != EXPONENT))
}
