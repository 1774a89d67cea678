//! Points in time in the forms that HTTP and S3 use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kokanee_formats::utc;

/// Nanoseconds since 1970, later than every time that this function has returned before. It distinguishes two writes of a key.
pub(crate) fn now_ns() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let last = LAST.fetch_max(now, Ordering::Relaxed);
    if now > last { now } else { LAST.fetch_add(1, Ordering::Relaxed) + 1 }
}

/// Seconds since 1970.
pub(crate) fn now_seconds() -> u64 {
    ns_of(SystemTime::now()) / 1_000_000_000
}

/// Converts to the system's time.
pub(crate) fn system_time(ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns)
}

/// Nanoseconds since 1970; 0 before that.
pub(crate) fn ns_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Writes a time for XML: `2018-06-08T20:15:33.123Z`. `aws s3 sync` compares the milliseconds.
pub(crate) fn iso(ns: u64) -> String {
    let ms = ns / 1_000_000;
    format!("{}.{:03}Z", utc(ms / 1000).replace(' ', "T"), ms % 1000)
}

/// Writes a time for headers: `Fri, 08 Jun 2018 20:15:33 GMT`.
pub(crate) fn http_date(ns: u64) -> String {
    httpdate::fmt_http_date(system_time(ns))
}

/// Reads a date from a header, in seconds since 1970.
pub(crate) fn parse_http_date(text: &str) -> Option<u64> {
    httpdate::parse_http_date(text).ok().map(|time| ns_of(time) / 1_000_000_000)
}

/// Reads `20180608T201533Z` or `2018-06-08T20:15:33.123Z`, in seconds since 1970.
pub(crate) fn parse_iso(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    let digits: String = whole.chars().filter(|character| !matches!(character, '-' | ':')).collect();
    let (date, time) = digits.split_once('T')?;
    if date.len() != 8 || time.len() != 6 || !digits.bytes().all(|byte| byte == b'T' || byte.is_ascii_digit())
    {
        return None;
    }
    let part = |text: &str| text.parse::<u64>().ok();
    let (year, month, day) = (part(&date[..4])?, part(&date[4..6])?, part(&date[6..])?);
    let (hour, minute, second) = (part(&time[..2])?, part(&time[2..4])?, part(&time[4..])?);
    if !(1970..).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
    {
        return None;
    }
    // Howard Hinnant's `days_from_civil`: years begin on 1 March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        let ns = 1_528_488_933_123_456_789;
        assert_eq!(iso(ns), "2018-06-08T20:15:33.123Z");
        assert_eq!(http_date(ns), "Fri, 08 Jun 2018 20:15:33 GMT");
        let seconds = Some(1_528_488_933);
        assert_eq!(parse_http_date("Fri, 08 Jun 2018 20:15:33 GMT"), seconds);
        assert_eq!(parse_iso("20180608T201533Z"), seconds);
        assert_eq!(parse_iso("2018-06-08T20:15:33.123Z"), seconds);
        for seconds in (0..4_107_542_400).step_by(86_399 * 13) {
            assert_eq!(parse_iso(&iso(seconds * 1_000_000_000)), Some(seconds));
        }
        for text in ["", "Z", "20180608", "20181308T201533Z", "2018é608T201533Z", "20180608T2015Z"] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }

    #[test]
    fn no_two_times_are_the_same() {
        let times: Vec<u64> = (0..1000).map(|_| now_ns()).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
    }
}
