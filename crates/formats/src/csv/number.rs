//! Decimal numbers to single precision, with the same bits as `str::parse`.

use super::CsvFault;

/// Powers of ten that are exact in double precision.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Digits that always fit 64 bits.
const MOST_DIGITS: usize = 19;

/// The number that `bytes` begin with, and its length in bytes; `None` if it is not a plain number, or needs the exact method. Plain
/// numbers are digits with an optional minus, point and exponent.
///
/// The digits as a whole number, rounded to double precision and scaled by an exact power of ten, are off by at most 2 units in the last
/// place (Clinger's fast path, with one rounding more). A double rounds to the same `f32` as the exact number unless it is that close to
/// the middle between two of them. Those numbers are left to `str::parse`, one in many millions.
#[inline]
pub(super) fn prefix(bytes: &[u8]) -> Option<(f32, usize)> {
    let is_negative = bytes.first() == Some(&b'-');
    let begin = usize::from(is_negative);
    let mut digits = 0;
    let mut at = take_digits(bytes, begin, &mut digits);
    let mut count = at - begin;
    let mut scale = 0;
    if bytes.get(at) == Some(&b'.') {
        let end = take_digits(bytes, at + 1, &mut digits);
        let fraction = end - at - 1;
        (at, count, scale) = (end, count + fraction, -(fraction as i32));
    }
    if count == 0 || count > MOST_DIGITS {
        return None;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let (exponent, end) = exponent(bytes, at + 1)?;
        (at, scale) = (end, scale + exponent);
    }
    let value = if digits == 0 { 0.0 } else { scaled(digits, scale)? };
    Some((if is_negative { -value } else { value }, at))
}

/// Appends the digits from `at` on to `digits`; returns their end. Eight bytes are processed together, however many of them are digits: a
/// loop over bytes ends at a different count for every number and is mispredicted.
#[inline]
fn take_digits(bytes: &[u8], mut at: usize, digits: &mut u64) -> usize {
    const POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    while let Some(&eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let (number, count) = leading_digits(eight);
        *digits = digits.wrapping_mul(POWERS[count]).wrapping_add(number);
        at += count;
        if count < 8 {
            return at;
        }
    }
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        *digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// The value of the digits at the beginning of eight bytes, and their number.
#[inline]
fn leading_digits(bytes: [u8; 8]) -> (u64, usize) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let digits = u64::from_le_bytes(bytes) ^ (EACH * 0x30);
    // The upper half of a digit's byte is 0, also after adding 6. A carry only reaches bytes after the first non-digit.
    let others = (digits | digits.wrapping_add(EACH * 0x06)) & (EACH * 0xf0);
    let count = (others.trailing_zeros() / 8) as usize;
    // The shift drops the non-digits at the top and fills zeros in front. It takes two steps, since a shift by all 64 bits is not possible.
    let half = 4 * (8 - count);
    let digits = (digits << half) << half;
    // Pairs of digits become numbers up to 99, which are weighted and added in one multiplication each.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let even = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let odd = (pairs >> 16 & PAIRS).wrapping_mul(1 + (10_000 << 32));
    (even.wrapping_add(odd) >> 32, count)
}

/// The exponent after the `e`, and its end.
fn exponent(bytes: &[u8], mut at: usize) -> Option<(i32, usize)> {
    /// The maximum number of digits that does not overflow.
    const MOST: usize = 4;
    let is_negative = bytes.get(at) == Some(&b'-');
    at += usize::from(is_negative || bytes.get(at) == Some(&b'+'));
    let mut exponent = 0;
    let end = take_digits(bytes, at, &mut exponent);
    let exponent = exponent as i32;
    (1..=MOST).contains(&(end - at)).then_some((if is_negative { -exponent } else { exponent }, end))
}

/// `digits` times 10 to the power of `scale`, in single precision.
#[inline]
fn scaled(digits: u64, scale: i32) -> Option<f32> {
    /// The bits of a double that an `f32` has no room for, and the middle of their range.
    const BEYOND: u64 = (1 << 29) - 1;
    const MIDDLE: u64 = 1 << 28;
    /// More units in the last place than the error of the double.
    const MARGIN: u64 = 8;
    /// The range in which an `f32` is normal and finite.
    const NORMAL: std::ops::Range<f64> = 1e-37..1e38;
    let power = *POWERS.get(scale.unsigned_abs() as usize)?;
    let value = if scale < 0 { digits as f64 / power } else { digits as f64 * power };
    let is_safe = (value.to_bits() & BEYOND).abs_diff(MIDDLE) > MARGIN;
    (is_safe && NORMAL.contains(&value)).then_some(value as f32)
}

/// The reason why a field is not a number.
pub(super) enum NumberFault {
    NotANumber,
    NotFinite,
    TooLarge,
}

/// The number in a field; blanks and quotation marks around it are ignored.
pub(super) fn of(field: &str) -> Result<f32, NumberFault> {
    let text = field.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    let value: f32 = text.parse().map_err(|_| NumberFault::NotANumber)?;
    if value.is_finite() {
        Ok(value)
    } else if text.bytes().any(|byte| byte.is_ascii_digit()) {
        Err(NumberFault::TooLarge)
    } else {
        Err(NumberFault::NotFinite)
    }
}

impl NumberFault {
    pub(super) fn at(self, column: usize, field: &str, is_first_line: bool) -> CsvFault {
        /// Maximum characters of a field in a message.
        const SHOWN: usize = 40;
        let text: String = field.trim().chars().take(SHOWN).collect();
        match self {
            NumberFault::NotANumber => {
                let hint = if is_first_line && text.contains(char::is_alphabetic) {
                    ". It looks like a header, and CSV must not have one"
                } else {
                    ""
                };
                CsvFault::NotANumber { column, text, hint }
            }
            NumberFault::NotFinite => CsvFault::NotFinite { column, text },
            NumberFault::TooLarge => CsvFault::TooLarge { column, text },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Checks that the fast method, where it applies, gives the bits of the slow one.
    #[track_caller]
    fn check(text: &str) {
        if let Some((value, taken)) = prefix(text.as_bytes()) {
            let expected: f32 = text[..taken].parse().unwrap_or_else(|_| panic!("{text:?} is not a number"));
            assert_eq!(value.to_bits(), expected.to_bits(), "{text:?}: {value:e} for {expected:e}");
        }
    }

    #[test]
    fn plain_numbers_take_the_fast_way() {
        for text in ["0", "-0.0", "12", "123456789012", "0.8444218515250481", "-1.5e3", "7.", ".25", "1E-7"] {
            let (_, taken) = prefix(format!("{text},2").as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(taken, text.len(), "{text}");
            check(text);
        }
        for text in
            ["", ".", "-", "+1", "x", "1e", "1e+", "inf", "12345678901234567890", "1e39", "1e-45", "16777217"]
        {
            assert_eq!(prefix(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn numbers_near_the_middle_of_two_floats_are_right() {
        for bits in (0x0080_0000..0x7f00_0000_u32).step_by(0x0001_2345) {
            let (low, high) = (f64::from(f32::from_bits(bits)), f64::from(f32::from_bits(bits + 1)));
            let middle = f64::midpoint(low, high);
            for value in [middle, middle.next_up(), middle.next_down(), low, high] {
                check(&format!("{value}"));
                check(&format!("{value:e}"));
                check(&format!("{value:.10e}"));
                check(&format!("{value:.18e}"));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn random_digits_are_right(text in "-?[0-9]{0,12}(\\.[0-9]{0,14})?(e[+-]?[0-9]{1,3})?") {
            check(&text);
        }

        #[test]
        fn doubles_as_programs_write_them_are_right(value in any::<f64>(), small in -1e6..1e6_f64) {
            check(&format!("{value:e}"));
            check(&small.to_string());
            check(&(small as f32).to_string());
        }

        #[test]
        fn digits_are_counted_and_read(bytes: [u8; 8], count in 0..=8_usize, number in 0..100_000_000_u64) {
            let mut bytes = bytes;
            bytes[..count].copy_from_slice(&format!("{number:08}").as_bytes()[..count]);
            let count = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(8);
            let number = std::str::from_utf8(&bytes[..count]).unwrap().parse().unwrap_or(0);
            prop_assert_eq!(leading_digits(bytes), (number, count));
        }
    }
}
