//! Frames and records from anybody: no panic, and what was read and is written again reads the same.
#![no_main]

use kokanee_formats::recordio::RecordReader;
use kokanee_seq2seq_data::record::{SequencePair, TargetRule};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = RecordReader::new(bytes, "fuzz");
    while let Ok(Some(raw)) = reader.read_record() {
        let Ok(pair) = SequencePair::decode(&raw.payload, TargetRule::Optional) else { continue };
        if let Ok(record) = pair.to_record() {
            let again = SequencePair::from_record(&record, TargetRule::Optional).expect("we read what we write");
            assert_eq!(again, pair);
        }
    }
});
