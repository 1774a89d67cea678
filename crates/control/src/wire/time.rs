//! Points in time in the forms of XML and queries.

use kokanee_formats::utc;

/// Seconds since 1970 as `2018-06-08T20:15:33Z`.
pub(super) fn iso(seconds: f64) -> String {
    format!("{}Z", utc(seconds.max(0.0) as u64).replace(' ', "T"))
}

/// Reads `2018-06-08T20:15:33Z`, with or without a fraction or an offset, or seconds since 1970.
pub(super) fn seconds(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    let (date, time) = text.split_once(['T', ' '])?;
    let (time, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, "Z"),
    };
    let mut date = date.splitn(3, '-').map(str::parse::<u32>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut parts = time.splitn(3, ':');
    let (hours, minutes) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
    let rest = parts.next().map_or(Ok(0.0), str::parse::<f64>).ok()?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hours > 23 || minutes > 59 || !(0.0..61.0).contains(&rest) {
        return None;
    }
    // Howard Hinnant's `days_from_civil`: years begin on 1 March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year / 400, year % 400);
    let days = era * 146_097 + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1;
    let days = f64::from(days) - 719_468.0;
    let whole = days * 86_400.0 + f64::from(hours * 3600 + minutes * 60) + rest;
    Some(whole - offset_seconds(offset)?)
}

/// `Z`, `+02:00`, `-0530`.
fn offset_seconds(text: &str) -> Option<f64> {
    if text == "Z" {
        return Some(0.0);
    }
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let digits: String = text.get(1..)?.chars().filter(|character| *character != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits[..2].parse::<u32>().ok()?, digits[2..].parse::<u32>().ok()?);
    Some(sign * f64::from(hours * 3600 + minutes * 60))
}
