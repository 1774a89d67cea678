//! Elements of arrays, in each type of MXNet.

use std::io::{self, Write};

use thiserror::Error;

/// Elements in the type of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// float32, MXNet's type 0.
    F32(Vec<f32>),
    /// float64, type 1.
    F64(Vec<f64>),
    /// float16, type 2; the bits.
    F16(Vec<u16>),
    /// uint8, type 3.
    U8(Vec<u8>),
    /// int32, type 4.
    I32(Vec<i32>),
    /// int8, type 5.
    I8(Vec<i8>),
    /// int64, type 6.
    I64(Vec<i64>),
}

/// Elements to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValuesView<'a> {
    /// float32.
    F32(&'a [f32]),
    /// float64.
    F64(&'a [f64]),
}

/// The error for an element that float32 cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("element {position} is {value}, which 32-bit floats cannot hold")]
pub struct Inexact {
    /// The position, from 1.
    pub position: usize,
    /// The element as text.
    pub value: String,
}

/// Bytes of the widest element.
pub(super) const WIDEST: usize = 8;
/// All whole numbers up to here are exact in float32.
const WHOLE: u64 = 1 << 24;

/// Bytes of an element; `None` for an unknown type.
pub(super) fn width(kind: i32) -> Option<usize> {
    [4, 8, 2, 1, 4, 1, 8].get(usize::try_from(kind).ok()?).copied()
}

/// Converts elements of `N` bytes each.
fn each<const N: usize, T>(bytes: &[u8], element: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (elements, _) = bytes.as_chunks::<N>();
    elements.iter().map(|bytes| element(*bytes)).collect()
}

impl Values {
    /// Elements of a type that [`width`] knows.
    pub(super) fn from_le_bytes(kind: i32, bytes: &[u8]) -> Self {
        match kind {
            0 => Self::F32(each(bytes, f32::from_le_bytes)),
            1 => Self::F64(each(bytes, f64::from_le_bytes)),
            2 => Self::F16(each(bytes, u16::from_le_bytes)),
            3 => Self::U8(bytes.to_vec()),
            4 => Self::I32(each(bytes, i32::from_le_bytes)),
            5 => Self::I8(each(bytes, i8::from_le_bytes)),
            _ => Self::I64(each(bytes, i64::from_le_bytes)),
        }
    }

    /// MXNet's number of the type.
    pub fn element_type(&self) -> i32 {
        match self {
            Self::F32(_) => 0,
            Self::F64(_) => 1,
            Self::F16(_) => 2,
            Self::U8(_) => 3,
            Self::I32(_) => 4,
            Self::I8(_) => 5,
            Self::I64(_) => 6,
        }
    }

    /// The elements as float32. Doubles are rounded to the nearest; whole numbers must be representable exactly.
    ///
    /// # Errors
    /// Names the first element that is outside float32's range, or a whole number that float32 cannot represent.
    pub fn into_f32(self) -> Result<Vec<f32>, Inexact> {
        let whole = |(index, value): (usize, i64)| {
            let near = value as f32;
            if value.unsigned_abs() <= WHOLE || near as i128 == i128::from(value) {
                Ok(near)
            } else {
                Err(Inexact { position: index + 1, value: value.to_string() })
            }
        };
        match self {
            Self::F32(values) => Ok(values),
            Self::F64(values) => {
                let near = |(index, &value): (usize, &f64)| match value as f32 {
                    near if near.is_infinite() && value.is_finite() => {
                        Err(Inexact { position: index + 1, value: format!("{value:e}") })
                    }
                    near => Ok(near),
                };
                values.iter().enumerate().map(near).collect()
            }
            Self::F16(values) => Ok(values.into_iter().map(half).collect()),
            Self::U8(values) => Ok(values.into_iter().map(f32::from).collect()),
            Self::I8(values) => Ok(values.into_iter().map(f32::from).collect()),
            Self::I32(values) => values.into_iter().map(i64::from).enumerate().map(whole).collect(),
            Self::I64(values) => values.into_iter().enumerate().map(whole).collect(),
        }
    }
}

/// The value of 16 bits in IEEE 754's binary16: a sign, 5 bits of exponent, 10 of fraction.
fn half(bits: u16) -> f32 {
    /// 2^-24, the unit of subnormal halves.
    const UNIT: f32 = 1.0 / 16_777_216.0;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction as f32 * UNIT,
        0x1f => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 127 - 15) << 23 | fraction << 13),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}

impl ValuesView<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    pub(super) fn element_type(self) -> i32 {
        match self {
            Self::F32(_) => 0,
            Self::F64(_) => 1,
        }
    }

    pub(super) fn write(self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::F32(values) => values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes())),
            Self::F64(values) => values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_those_of_ieee() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x03ff, 6.097_555e-5),
            (0x0001, 5.960_464_5e-8),
            (0x0000, 0.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan() && half(0x8000).is_sign_negative());
    }

    #[test]
    fn numbers_become_float32_where_it_holds_them() {
        let check = |values: Values, expected: Result<&[f32], &str>| {
            let got = values.into_f32().map_err(|error| error.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), expected);
        };
        check(Values::F64(vec![0.1, -1e-50, f64::INFINITY]), Ok(&[0.1, 0.0, f32::INFINITY]));
        check(Values::F64(vec![0.0, 1e39]), Err("element 2 is 1e39, which 32-bit floats cannot hold"));
        check(Values::F16(vec![0x3c00]), Ok(&[1.0]));
        check(Values::U8(vec![255]), Ok(&[255.0]));
        check(Values::I8(vec![-128]), Ok(&[-128.0]));
        check(Values::I32(vec![-(1 << 24), 1 << 30]), Ok(&[-16_777_216.0, 1_073_741_824.0]));
        check(
            Values::I32(vec![(1 << 24) + 1]),
            Err("element 1 is 16777217, which 32-bit floats cannot hold"),
        );
        check(Values::I64(vec![1 << 40, i64::MIN]), Ok(&[1_099_511_627_776.0, -9_223_372_036_854_775_808.0]));
        check(
            Values::I64(vec![i64::MAX]),
            Err("element 1 is 9223372036854775807, which 32-bit floats cannot hold"),
        );
    }
}
