//! Versions of the program, which are recorded in its files.

/// The numbers that a version begins with: `1.18.106` as 1, 18, 106. The rest (`-rc.1`, `+build`) is ignored.
pub fn numbers(version: &str) -> Option<[u64; 3]> {
    let mut numbers = [0; 3];
    let mut parts = version.trim().splitn(3, '.');
    for number in &mut numbers {
        let part = parts.next()?;
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        *number = digits.parse().ok()?;
    }
    Some(numbers)
}

/// Whether a file's version is later than `own`; false if it is not a version.
pub fn is_later(version: &str, own: &str) -> bool {
    matches!((numbers(version), numbers(own)), (Some(version), Some(own)) if version > own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(numbers("1.18.106\n"), Some([1, 18, 106]));
        assert_eq!(numbers("1.18.9-rc.1"), Some([1, 18, 9]));
        for text in ["", "1.18", "one", "1..2", "v1.2.3"] {
            assert_eq!(numbers(text), None, "{text}");
        }
        assert!(is_later("0.10.0", "0.9.9") && !is_later("0.1.0", "0.1.0") && !is_later("later", "0.1.0"));
    }
}
