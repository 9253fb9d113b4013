//! Any bytes as field lines of a request and of a response, cut at the first zero byte: nothing panics, the windows of
//! what is kept are in order, and its head reads as a head again.

#![no_main]

use cache::freshness::Times;
use cache::key::Url;
use cache::{Ask, Rules, condition, invalidation, range, storable};
use libfuzzer_sys::fuzz_target;
use wire::{Limits, Method, RequestHead, ResponseHead};

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
    condition::evaluate(&ask, &terms, &stored, 200);
    range::choose(&ask, &terms, &stored, 200, 100);
    condition::write_not_modified(&stored, &mut out);
    let _ =
        storable::refresh(&ask, (&stored, kept.vary.as_deref()), &head, &response, &rules, times, &mut out);
    stored.extend_from_slice(b"\r\n");
    let limits = Limits { head_bytes: u32::MAX, ..Limits::default() };
    assert_eq!(ResponseHead::new().parse(&stored, Method::Head, &limits), Ok(true));
});
