//! Calls from anybody, in JSON and as forms: no panic, and an error or an answer for each.
#![no_main]

use axum::http::Request;
use kokanee_control::wire::{Call, Scope, place};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let (Some(target), Some(credential), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let request = Request::post("/").header("x-amz-target", target).header("authorization", credential).body(());
    let Ok(request) = request else { return };
    let (head, ()) = request.into_parts();
    let _ = place(&head);
    let scope = Scope::of(&head);
    for call in [Call::from_json(&head, body), Call::from_form(scope.service.as_deref(), body)] {
        match call {
            Ok(call) => drop(call.check()),
            Err((protocol, error)) => drop(protocol.refuse(None, &error, "id")),
        }
    }
});
