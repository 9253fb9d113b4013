//! Any bytes as Cache-Control and as a dictionary of structured fields: nothing panics, no number is larger than it
//! may be, and a directive that is added at the end is not overlooked, of a response and of a request.

#![no_main]

use cache::control::{Directives, Item, MAX_SECONDS, Wishes, dictionary};
use libfuzzer_sys::fuzz_target;
use wire::{Limits, Method, RequestHead, ResponseHead};

fuzz_target!(|data: &[u8]| {
    let _ = dictionary(data, |name, item| {
        assert!(!name.is_empty());
        assert!(!matches!(item, Item::Integer(value) if value.unsigned_abs() > 999_999_999_999_999));
    });
    for field in ["Cache-Control", "CDN-Cache-Control"] {
        let Some(said) = directives(field, data, b"") else { return };
        for seconds in [said.max_age, said.s_maxage, said.stale_while_revalidate, said.stale_if_error] {
            assert!(seconds.is_none_or(|seconds| seconds <= MAX_SECONDS));
        }
    }
    // Only a string that is closed behind it could hide it.
    if !data.contains(&b'"') {
        let said = directives("Cache-Control", data, b",no-store").expect("it was a head before");
        assert!(said.no_store);
        let wishes = wishes(data, b",no-store").expect("it was a head before");
        assert!(wishes.no_store);
    }
    let Some(wishes) = wishes(data, b"") else { return };
    for seconds in [wishes.max_age, wishes.min_fresh] {
        assert!(seconds.is_none_or(|seconds| seconds <= MAX_SECONDS));
    }
    // Without a number, a client takes whatever is stale.
    assert!(wishes.max_stale.is_none_or(|seconds| seconds <= MAX_SECONDS || seconds == u64::MAX));
});

fn directives(field: &str, value: &[u8], more: &[u8]) -> Option<Directives> {
    let bytes = [b"HTTP/1.1 200 OK\r\n", field.as_bytes(), b": ", value, more, b"\r\n\r\n"].concat();
    let mut head = ResponseHead::new();
    let parsed = head.parse(&bytes, Method::Head, &Limits::default());
    let whole = head.len as usize == bytes.len() && head.headers.len() == 1;
    (parsed == Ok(true) && whole).then(|| Directives::of_response(&head.headers, &bytes))
}

fn wishes(value: &[u8], more: &[u8]) -> Option<Wishes> {
    let bytes = [b"GET / HTTP/1.1\r\nHost: a\r\nCache-Control: ", value, more, b"\r\n\r\n"].concat();
    let mut head = RequestHead::new();
    let parsed = head.parse(&bytes, &Limits::default());
    let whole = head.len as usize == bytes.len() && head.headers.len() == 2;
    (parsed == Ok(true) && whole).then(|| Wishes::of_request(&head.headers, &bytes))
}
