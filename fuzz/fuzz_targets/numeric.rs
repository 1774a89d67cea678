//! Rows of numbers from anybody, in every format: no panic, and the same rows from a file however it arrives.
#![no_main]

use std::path::Path;

use kokanee_formats::json_instances::{read_json, read_json_lines};
use kokanee_formats::numeric::{Batch, NumericError, NumericFormat, NumericReader, read_records};
use kokanee_formats::rows::Limits;
use kokanee_formats::{libsvm, mxnet};
use libfuzzer_sys::fuzz_target;

const WIDTH: usize = 3;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, input)) = bytes.split_first() else { return };
    match which % 6 {
        0 => check_file(input, NumericFormat::Csv { label_size: 0 }),
        1 => check_file(input, NumericFormat::RecordIo),
        2 => drop(read_json(input, WIDTH, Limits::default())),
        3 => drop(read_json_lines(input, WIDTH, Limits::default())),
        4 => drop((read_records(input, WIDTH, Limits::default()), mxnet::parse(input))),
        _ => drop(libsvm::read(input, Path::new("fuzz"), None)),
    }
});

fn check_file(bytes: &[u8], format: NumericFormat) {
    let together = read(bytes, format, usize::MAX);
    let apart = read(bytes, format, 1);
    match (together, apart) {
        (Ok(together), Ok(apart)) => assert_eq!(together, apart),
        (Err(together), Err(apart)) => assert_eq!(together.to_string(), apart.to_string()),
        (together, apart) => panic!("together: {together:?}; apart: {apart:?}"),
    }
}

/// All rows, at most `most` at a time.
fn read(bytes: &[u8], format: NumericFormat, most: usize) -> Result<Batch, NumericError> {
    let mut reader = NumericReader::new(bytes, Path::new("fuzz"), format, None);
    let mut batch = Batch::default();
    while reader.read(&mut batch, most)? > 0 {}
    Ok(batch)
}
