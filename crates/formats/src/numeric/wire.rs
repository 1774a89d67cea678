//! Dense records straight from their bytes, without the message in between.
//!
//! A record that programs write for a dense row is one map entry in field 1, perhaps one in field 2, and nothing else. Each entry
//! is a key and a value in this order; the value is one tensor, and the tensor one packed array. Anything else (several features,
//! a shape, arrays in pieces, unknown fields, damage) is left to the message, which knows all rules of protobuf.

/// The arrays of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense<'a> {
    pub(super) values: Packed<'a>,
    pub(super) labels: Option<Packed<'a>>,
}

/// The elements of a packed array as they lie in the record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packed<'a> {
    F32(&'a [[u8; 4]]),
    F64(&'a [[u8; 8]]),
    /// Varints, each of which ends within these bytes.
    I32(&'a [u8]),
}

/// The arrays of a record that is as simple as can be; none for any other.
pub(super) fn dense(payload: &[u8]) -> Option<Dense<'_>> {
    let (features, rest) = field(payload, 1)?;
    // Whatever its name is: it is the only feature.
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

/// The content of the field `number`, with which `bytes` must begin, and what follows it.
fn field(bytes: &[u8], number: u8) -> Option<(&[u8], &[u8])> {
    /// That a length and so many bytes follow.
    const DELIMITED: u8 = 2;
    let (&key, rest) = bytes.split_first()?;
    if key != number << 3 | DELIMITED {
        return None;
    }
    let (length, rest) = varint(rest)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// Name and array of an entry of a map.
fn entry(bytes: &[u8]) -> Option<(&str, Packed<'_>)> {
    let (name, rest) = field(bytes, 1)?;
    let (value, []) = field(rest, 2)? else { return None };
    // The oneof of a value says the type.
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

/// A number of up to nine groups of 7 bits, and what follows it. Longer ones are left to the message.
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
    /// How many elements there are.
    pub(super) fn count(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            // Each ends in a byte without the mark that another follows.
            Self::I32(values) => values.iter().filter(|&byte| byte & 0x80 == 0).count(),
        }
    }

    /// Appends the elements in single precision. False where one is not finite there, or takes more care; what was appended is then
    /// of no use.
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

/// Whether all values are finite. No branch within, so that many are looked at in one instruction.
fn are_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    values.iter().fold(true, |all, value| all & (value.to_bits() & EXPONENT != EXPONENT))
}
