//! Request bodies from anybody, in every content type and in pieces of every size: no panic, and the same instances however the
//! body was cut.
#![no_main]

use kokanee_seq2seq_serve::codec::{MediaType, Placed, Reader};
use libfuzzer_sys::fuzz_target;

const TYPES: [MediaType; 4] = [MediaType::Json, MediaType::JsonLines, MediaType::RecordIo, MediaType::Text];

fuzz_target!(|bytes: &[u8]| {
    let [which, step, body @ ..] = bytes else { return };
    let media = TYPES[usize::from(*which) % TYPES.len()];
    let whole = Reader::read_all(media, body);
    let pieces = read_in_pieces(media, body, usize::from(*step) + 1);
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(whole), Err(pieces)) => assert_eq!(whole.code, pieces.code),
        _ => panic!("whole: {whole:?}; in pieces: {pieces:?}"),
    }
});

fn read_in_pieces(media: MediaType, body: &[u8], step: usize) -> Result<Vec<Placed>, kokanee_seq2seq_serve::ServeError> {
    let mut reader = Reader::new(media);
    let mut all = Vec::new();
    for piece in body.chunks(step) {
        reader.push(piece);
        while let Some(placed) = reader.read()? {
            all.push(placed);
        }
    }
    reader.finish();
    while let Some(placed) = reader.read()? {
        all.push(placed);
    }
    Ok(all)
}
