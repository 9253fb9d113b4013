//! Any bytes as field lines of a request and of a response, cut at the first zero byte: nothing panics, the windows of
//! what is kept are in order, and its head reads as a head again, as do those that are made of it.

#![no_main]

use cache::freshness::Times;
use cache::key::Url;
use cache::range::{self, Choice};
use cache::{Ask, Rules, condition, invalidation, storable};
use libfuzzer_sys::fuzz_target;
use wire::{Field, Limits, MAX_HEADERS, Method, RequestHead, ResponseHead};

const NOW: u64 = 1_800_000_000_000;

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let request = [&b"GET / HTTP/1.1\r\nHost: a\r\n"[..], &data[..at], b"\r\n\r\n"].concat();
    let response =
        [&b"HTTP/1.1 200 OK\r\n"[..], data.get(at + 1..).unwrap_or_default(), b"\r\n\r\n"].concat();
    let (mut ask, mut head, rules) = (RequestHead::new(), ResponseHead::new(), Rules::default());
    if ask.parse(&request, &Limits::default()) != Ok(true)
        || head.parse(&response, Method::Get, &Limits::default()) != Ok(true)
    {
        return;
    }
    let url = Url { scheme: "https", host: b"a", port: None, path: b"/p/q", query: None };
    invalidation::targets(Method::Post, &url, &head, &response, &rules, &mut Vec::new(), |url| {
        assert!(url.starts_with(b"https://a/"));
    });
    let Ok(ask) = Ask::read(&ask, &request, &rules) else { return };
    let times = Times::new(NOW - 100, NOW);
    let Ok(kept) = storable::judge(&ask, &head, &response, &rules, times) else { return };
    let mut terms = kept.terms;
    assert!(terms.born_ms <= NOW && terms.fresh_until_ms <= terms.stale_until_ms.min(terms.error_until_ms));

    let (mut stored, mut out) = (Vec::new(), Vec::new());
    storable::write_head(&head, &response, &rules, NOW, &mut stored);
    storable::locate_validators(&mut terms, &stored);
    let kept_head = readable(&stored);
    assert!(kept_head.headers.iter().all(|line| !line.field.is_hop_by_hop() && line.field != Field::Age));
    assert!(kept_head.headers.contains(Field::Date));
    condition::evaluate(&ask, &terms, &stored, 200);
    condition::write_not_modified(&stored, &mut out);
    assert_eq!(readable(&out).status, 304);
    out.clear();
    match range::choose(&ask, &terms, &stored, 200, 100) {
        Choice::Whole | Choice::Unsatisfiable => range::write_unsatisfiable(100, &mut out),
        Choice::One(slice) => range::write_head_of_one(&stored, slice, 100, &mut out),
        Choice::Several(slices) => range::write_head_of_several(&stored, &slices, 100, b"x", &mut out),
    }
    assert_eq!(readable(&out).headers.all(Field::ContentLength).count(), 1);

    let vary = kept.vary.as_deref();
    // The response stands for the 304 about itself. Nothing is new in it, so nothing becomes of it but what it was.
    let again = storable::refresh(&ask, (&stored, vary), &head, &response, &rules, times, &mut out);
    assert!(readable(&out).headers.contains(Field::Date));
    if let Ok(again) = again {
        assert_eq!((again.terms.born_ms, again.vary.as_deref()), (terms.born_ms, vary));
        assert_eq!(again.terms.etag.map(|at| at.of(&out)), terms.etag.map(|at| at.of(&stored)));
    }
});

/// What was written, read with the empty line that is still to come.
fn readable(lines: &[u8]) -> ResponseHead {
    let limits = Limits { head_bytes: u32::MAX, headers: MAX_HEADERS as u16, ..Limits::default() };
    let mut head = ResponseHead::new();
    assert_eq!(head.parse(&[lines, b"\r\n"].concat(), Method::Head, &limits), Ok(true));
    head
}
