//! Page tokens: opaque texts that identify the row after which the next page begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Writes a token with these parts; only the last may contain line breaks.
pub(crate) fn write(parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(parts.join("\n"))
}

/// The parts of a token; none if [`write()`] did not make it from `N` parts.
pub(crate) fn read<const N: usize>(token: &str) -> Option<[String; N]> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let parts: Vec<String> = text.splitn(N, '\n').map(str::to_owned).collect();
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back() {
        let token = write(&["time", "17", "a\nb"]);
        assert_eq!(read(&token), Some(["time".to_owned(), "17".to_owned(), "a\nb".to_owned()]));
        assert_eq!(read::<4>(&write(&["a", "b"])), None);
        for bad in ["", "%", "////", "_w"] {
            assert_eq!(read::<2>(bad), None, "{bad}");
        }
    }
}
