//! Calls from anybody, in JSON, as forms and in CBOR: no panic, and an error or an answer for each.
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
    let path = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
    let in_cbor = Request::post(path).body(()).expect("a path").into_parts().0;
    let calls = [
        Call::from_json(&head, body),
        Call::from_form(scope.service.as_deref(), body),
        Call::from_cbor(&in_cbor, body),
    ];
    for call in calls {
        match call {
            Ok(call) => drop(call.check()),
            Err((protocol, error)) => drop(protocol.refuse(None, &error, "id")),
        }
    }
});
