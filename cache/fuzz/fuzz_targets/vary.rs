//! Any bytes as field lines of two requests, cut at the first zero byte: a variant fits the request that it was made
//! for, and the other one if and only if that would have made the same. Bytes that are no spec do no harm either.

#![no_main]

use cache::key::Seed;
use cache::vary::{self, Codings};
use cache::{Ask, Rules};
use libfuzzer_sys::fuzz_target;
use wire::{Limits, Method, RequestHead, ResponseHead};

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nVary: X-A, Accept-Encoding, Accept-Language, Cookie, User-Agent\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    let plain = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut first, mut second) = (RequestHead::new(), RequestHead::new());
    let rules = Rules::default();
    assert_eq!(first.parse(plain, &Limits::default()), Ok(true));
    vary::matches(data, &Ask::read(&first, plain, &rules).expect("a plain GET"));

    let at = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let request = |lines: &[u8]| [&b"GET / HTTP/1.1\r\nHost: a\r\n"[..], lines, b"\r\n\r\n"].concat();
    let (one, other) = (request(&data[..at]), request(data.get(at + 1..).unwrap_or_default()));
    if first.parse(&one, &Limits::default()) != Ok(true)
        || second.parse(&other, &Limits::default()) != Ok(true)
    {
        return;
    }
    let (Ok(one), Ok(other)) = (Ask::read(&first, &one, &rules), Ask::read(&second, &other, &rules)) else {
        return;
    };
    let mut head = ResponseHead::new();
    assert_eq!(head.parse(RESPONSE, Method::Get, &Limits::default()), Ok(true));
    let spec = |ask: &Ask<'_>| vary::spec(&head, RESPONSE, ask).ok().flatten();
    let (Some(first), Some(second)) = (spec(&one), spec(&other)) else { return };
    assert!(vary::matches(&first, &one));
    assert_eq!(vary::matches(&first, &other), first == second);
    assert_eq!(vary::matches(&second, &one), first == second);
    let seed = Seed::new(1);
    assert_eq!(vary::hash(&second, &one, 5, &seed), vary::hash_of(&first, 5, &seed));
    vary::write_accept_encoding(&mut Vec::new(), Codings::of(&one));
});
