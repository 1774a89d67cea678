//! Bodies in AWS's chunks from anybody, in pieces of every size: no panic, and the same content however the body was cut.
#![no_main]

use bytes::Bytes;
use kokanee_control::s3::{AwsChunked, S3Error};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((step, body)) = bytes.split_first() else { return };
    let whole = read(body, body.len().max(1));
    let pieces = read(body, usize::from(*step) + 1);
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(whole), Err(pieces)) => assert_eq!(whole.code, pieces.code),
        _ => panic!("whole: {whole:?}; in pieces: {pieces:?}"),
    }
});

type Content = (Vec<u8>, Vec<(String, String)>);

fn read(body: &[u8], step: usize) -> Result<Content, S3Error> {
    let mut chunked = AwsChunked::default();
    let mut content = Vec::new();
    for piece in body.chunks(step) {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(data) = chunked.next_data(&mut piece)? {
            content.extend_from_slice(&data);
        }
    }
    Ok((content, chunked.finish()?))
}
