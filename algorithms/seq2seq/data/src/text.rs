//! Tokens of a line, separated by white space.

/// The tokens of a line, separated by white space as in Python's `str.split()`.
pub fn tokens(line: &str) -> Tokens<'_> {
    Tokens { line, at: 0 }
}

/// Iterator of [`tokens`].
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.line.as_bytes();
        let mut start = self.at;
        loop {
            match space_at(bytes, start) {
                0 => break,
                width => start += width,
            }
        }
        let mut end = next_candidate(bytes, start);
        while end < bytes.len() && space_at(bytes, end) == 0 {
            end = next_candidate(bytes, end + 1);
        }
        self.at = end;
        (start < end).then(|| &self.line[start..end])
    }
}

/// The first place from `at` on where white space could begin: a byte up to the space or beyond ASCII; or the end. It checks eight
/// bytes at a time, since a loop over bytes ends at another count for every word and is mispredicted.
#[inline]
fn next_candidate(bytes: &[u8], mut at: usize) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    while let Some(&eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(eight);
        // A subtraction borrows beyond a byte only if that byte is a candidate, so the lowest mark is right.
        let up_to_space = word.wrapping_sub(EACH * 0x21) & !word;
        let marks = (up_to_space | word) & (EACH * 0x80);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte > b' ' && byte.is_ascii()) {
        at += 1;
    }
    at
}

/// The kinds of bytes, by what can begin with them.
const ORDINARY: u8 = 0;
const SPACE: u8 = 1;
const PERHAPS_SPACE: u8 = 2;

/// The kind of every byte: one load decides nearly all of them.
static KINDS: [u8; 256] = {
    let mut kinds = [ORDINARY; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'\t'..=b'\r' | 0x1c..=0x1f | b' ' => SPACE,
            0xc2 | 0xe1..=0xe3 => PERHAPS_SPACE,
            _ => ORDINARY,
        };
        byte += 1;
    }
    kinds
};

/// The number of bytes of the white space that begins at `at`: 0 if there is none. Besides Unicode's White_Space this includes the
/// separators U+001C to U+001F, as in Python.
#[inline]
fn space_at(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at).map(|&byte| KINDS[byte as usize]) {
        Some(SPACE) => 1,
        Some(PERHAPS_SPACE) => wide_space_at(&bytes[at..]),
        _ => 0,
    }
}

/// The same for white space of several bytes. In UTF-8 their first bytes only ever begin a character, so looking at every byte in
/// turn finds no white space inside another character.
fn wide_space_at(bytes: &[u8]) -> usize {
    match bytes {
        [0xc2, 0x85 | 0xa0, ..] => 2,
        [0xe1, 0x9a, 0x80, ..]
        | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
        | [0xe2, 0x81, 0x9f, ..]
        | [0xe3, 0x80, 0x80, ..] => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
