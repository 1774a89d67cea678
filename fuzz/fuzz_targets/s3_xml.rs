//! XML and forms of S3's clients from anybody: no panic, and memory in proportion to the body.
#![no_main]

use kokanee_control::s3::{Element, FormData};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, body)) = bytes.split_first() else { return };
    if which % 2 == 0 {
        if let Ok(element) = Element::parse(body) {
            assert!(elements(&element) <= body.len());
        }
        return;
    }
    let Ok(mut form) = FormData::new("multipart/form-data; boundary=x") else { return };
    for piece in body.chunks(usize::from(which / 2) + 1) {
        form.push(piece);
        while let Ok(Some(_)) = form.next_piece() {}
    }
});

fn elements(element: &Element) -> usize {
    1 + element.children.iter().map(elements).sum::<usize>()
}
