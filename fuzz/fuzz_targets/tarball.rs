//! Archives from anybody: no panic, and nothing outside the folder that the archive is unpacked into.
#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use kokanee_seq2seq_nn::artifact::OpenedFolder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.tar.gz");
    // An odd first byte: the bytes are the compressed archive itself. An even one: they are compressed here, so that the
    // checksum of gzip does not stand in the way.
    let Some((first, rest)) = bytes.split_first() else { return };
    if first % 2 == 1 {
        std::fs::write(&path, rest).expect("write");
    } else {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(rest).expect("compress");
        std::fs::write(&path, gzip.finish().expect("compress")).expect("write");
    }
    let _ = OpenedFolder::open(&path);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("list").collect();
    assert_eq!(left.len(), 1, "something was written beside the archive");
});
