//! Human-readable numbers.

use std::time::Duration;

/// Bytes in units of 1024: `17 B`, `1.5 KiB`, `2.0 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 and more would be written 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A count with its thousands separated: `1,234,567`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time span in its two largest units: `12.3s`, `3m05s`, `1h02m`, `2d03h`. Rounded to the
/// smaller unit before it is cut into two, so `60.0s` never appears.
pub fn duration(span: Duration) -> String {
    let tenths = (span.as_millis() + 50) / 100;
    if tenths < 600 {
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    let pair = |unit_seconds: u128| {
        let units = (span.as_millis() + unit_seconds * 500) / (unit_seconds * 1000);
        (units / 60, units % 60)
    };
    let (minutes, seconds) = pair(1);
    if minutes < 60 {
        return format!("{minutes}m{seconds:02}s");
    }
    let (hours, minutes) = pair(60);
    if hours < 24 {
        return format!("{hours}h{minutes:02}m");
    }
    let hours = (span.as_secs_f64() / 3600.0).round() as u64;
    format!("{}d{:02}h", hours / 24, hours % 24)
}

/// A share of 1 in per cent with one decimal: `14.9%`.
pub fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Copy + std::fmt::Debug>(write: impl Fn(T) -> String, cases: &[(T, &str)]) {
        for &(value, expected) in cases {
            assert_eq!(write(value), expected, "{value:?}");
        }
    }

    #[test]
    fn bytes_keep_one_decimal() {
        check(
            bytes,
            &[
                (0, "0 B"),
                (1023, "1023 B"),
                (1024, "1.0 KiB"),
                (1536, "1.5 KiB"),
                (1024 * 1024 - 1, "1.0 MiB"),
                (5 << 30, "5.0 GiB"),
                (u64::MAX, "16.0 EiB"),
            ],
        );
    }

    #[test]
    fn counts_have_separators() {
        check(
            count,
            &[
                (0, "0"),
                (999, "999"),
                (1000, "1,000"),
                (123_456, "123,456"),
                (1_234_567, "1,234,567"),
                (u64::MAX, "18,446,744,073,709,551,615"),
            ],
        );
    }

    #[test]
    fn durations_have_two_units_and_round_over_their_limits() {
        check(
            |milliseconds| duration(Duration::from_millis(milliseconds)),
            &[
                (0, "0.0s"),
                (12_340, "12.3s"),
                (59_949, "59.9s"),
                (59_950, "1m00s"),
                (185_000, "3m05s"),
                (3_599_499, "59m59s"),
                (3_599_500, "1h00m"),
                (3_720_000, "1h02m"),
                (86_399_000, "1d00h"),
                (183_600_000, "2d03h"),
            ],
        );
        assert!(duration(Duration::MAX).ends_with('h'));
    }

    #[test]
    fn percents() {
        check(percent, &[(0.0, "0.0%"), (0.1494, "14.9%"), (1.0, "100.0%")]);
    }
}
