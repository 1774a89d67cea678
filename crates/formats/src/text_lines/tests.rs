use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::decompressed::BUFFER_BYTES;

const SIZE: ChunkSize = ChunkSize { lines: 2, bytes: 1 << 20 };

/// Reads all lines of a file with these bytes, two at a time.
fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.txt");
    std::fs::write(&path, bytes).expect("writes");
    let attempt = || {
        let mut file = TextFile::open(&path)?;
        let mut lines = Vec::new();
        while let Some(chunk) = file.read_chunk(SIZE)? {
            lines.extend(chunk.text(&path)?.lines().map(str::to_owned));
        }
        assert_eq!(file.lines(), lines.len() as u64);
        assert_eq!(file.newly_consumed(), bytes.len() as u64);
        Ok::<_, TextError>(lines)
    };
    let place = format!("{}/", folder.path().display());
    attempt().map_err(|error| error.to_string().replace(&place, ""))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("compresses");
    encoder.finish().expect("compresses")
}

#[test]
fn lines_are_read_plain_or_compressed() {
    let expected = |lines: &[&str]| Ok(lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>());
    for (bytes, lines) in [
        (&b""[..], &[][..]),
        (b"\n", &[""]),
        (b"a\nb\n\nc", &["a", "b", "", "c"]),
        (b"a\r\nb\r\n", &["a", "b"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", &["a", "\u{feff}b"]),
        (b"\xef\xbb\xbf", &[]),
    ] {
        assert_eq!(read(bytes), expected(lines));
        assert_eq!(read(&gzip(bytes)), expected(lines), "compressed");
    }
    let two_members = [gzip(b"a\nb"), gzip(b"c\nd\n")].concat();
    assert_eq!(read(&two_members), expected(&["a", "bc", "d"]));
}

#[test]
fn unreadable_text_is_refused_with_its_place() {
    let check = |bytes: &[u8], expected: &str| assert_eq!(read(bytes), Err(expected.to_owned()));
    check(
        b"one\ntwo\nthr\xc3\xa4 \xff\n",
        "x.txt:3:7: byte 0xff is not valid UTF-8 here; save the file as UTF-8 (iconv -f … -t utf-8)",
    );
    check(
        b"one\ntw\xc3",
        "x.txt:2:3: byte 0xc3 is not valid UTF-8 here; save the file as UTF-8 (iconv -f … -t utf-8)",
    );
    check(
        &vec![b'a'; MAX_LINE_BYTES + 1],
        "x.txt:1:1048576: the line is longer than 1048576 bytes; expected one sentence a line. Is this a text file?",
    );
    // The limit is exact, wherever the line lies in the reader's buffer.
    for before in [0, 1, BUFFER_BYTES - 1] {
        let line = |bytes: usize| [&vec![b'\n'; before][..], &vec![b'a'; bytes], b"\nb\n"].concat();
        assert_eq!(read(&line(MAX_LINE_BYTES)).map(|lines| lines.len()), Ok(before + 2));
        let error = read(&line(MAX_LINE_BYTES + 1)).expect_err("must be refused");
        assert!(error.starts_with(&format!("x.txt:{}:1048576: the line is longer", before + 1)), "{error}");
    }
    let whole = gzip(&b"some words\n".repeat(1000));
    let error = read(&whole[..whole.len() - 12]).expect_err("must be refused");
    assert!(error.starts_with("x.txt:") && error.contains("cannot decompress the rest: "), "{error}");
    let error = TextFile::open(&std::env::temp_dir()).map(|_| ()).expect_err("must be refused");
    assert!(error.to_string().ends_with("cannot open the text file: it is a folder"), "{error}");
}

#[test]
fn the_documented_limit_of_a_line_is_the_programs() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/preparing-data.md");
    let page = std::fs::read_to_string(page).expect("reads");
    let limit = format!("a line of more than {} MiB", MAX_LINE_BYTES >> 20);
    assert!(page.contains(&limit), "the page does not say {limit:?}");
    let refused = TextFault::TooLong { limit: MAX_LINE_BYTES as u64 }.to_string();
    assert!(refused.contains("1048576 bytes"), "{refused}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, compressed: bool) {
        let begin = if compressed { &[0x1f, 0x8b][..] } else { &[] };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        std::fs::write(&path, [begin, &bytes].concat()).expect("writes");
        if let Ok(mut file) = TextFile::open(&path) {
            while let Ok(Some(chunk)) = file.read_chunk(SIZE) {
                let _ = chunk.text(&path);
            }
        }
    }
}
