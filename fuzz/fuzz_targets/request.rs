//! Request bodies from anybody, in every content type and in pieces of every size: no panic, and the same instances however the
//! body was cut.
#![no_main]

use kokanee_http::ServeError;
use kokanee_seq2seq_serve::codec::{Form, Placed, Reader};
use libfuzzer_sys::fuzz_target;

const FORMS: [Form; 4] = [Form::Json, Form::JsonLines, Form::RecordIo, Form::Text];

fuzz_target!(|bytes: &[u8]| {
    let [which, step, body @ ..] = bytes else { return };
    let form = FORMS[usize::from(*which) % FORMS.len()];
    let whole = Reader::read_all(form, body);
    let pieces = read_in_pieces(form, body, usize::from(*step) + 1);
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(whole), Err(pieces)) => assert_eq!(whole.code, pieces.code),
        _ => panic!("whole: {whole:?}; in pieces: {pieces:?}"),
    }
});

fn read_in_pieces(form: Form, body: &[u8], step: usize) -> Result<Vec<Placed>, ServeError> {
    let mut reader = Reader::new(form);
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
