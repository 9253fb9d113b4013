//! What holds for any input: nothing panics, time only makes things staler, and what is chosen lies within what is
//! there.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tidegate_cache::control::{Directives, dictionary};
use tidegate_cache::freshness::{Times, Use, age_s, decide, http_date_s, may_stand_in};
use tidegate_cache::key::{Seed, Url};
use tidegate_cache::range::{self, Choice};
use tidegate_cache::rules::{KeyPart, QueryKey};
use tidegate_cache::{Ask, Key, Rules, condition, invalidation, storable, vary};
use wire::{Limits, Method, RequestHead, ResponseHead};

use crate::support::{NOW, Request, Response, dated};

/// A value for a field: words that mean something, cut up and with noise between them.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let word = select(vec![
        "max-age=60",
        "max-age",
        "=",
        ",",
        ", ",
        ";",
        "\"",
        "\\",
        "no-store",
        "private",
        "s-maxage=10",
        "no-cache",
        "stale-while-revalidate=30",
        "max-stale=5",
        "min-fresh=3",
        "bytes=",
        "0-",
        "-5",
        "4-9",
        "W/\"a\"",
        "\"a\"",
        "*",
        "gzip;q=0.5",
        "br",
        "identity;q=0",
        "99999999999999999999",
        "?1",
        "(a b)",
        ":aGk=:",
        "accept",
        "x-a",
        "/a/../b",
        "http://a/",
        "//",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "-1",
        "%2",
        "a=1&b",
        "1.5",
    ]);
    let noise = vec(prop_oneof![0x20_u8..0x7f, 0x80_u8.., Just(b'\t')], 0..3);
    vec(prop_oneof![6 => word.prop_map(|word| word.as_bytes().to_vec()), 1 => noise], 0..6)
        .prop_map(|words| words.concat())
}

fn head_bytes(line: &str, names: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let start = format!("{line}\r\nHost: a\r\n").into_bytes();
    vec((select(names), value()), 0..8).prop_map(move |fields| {
        let mut bytes = start.clone();
        for (name, value) in fields {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(&value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    })
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    head_bytes(
        "GET / HTTP/1.1",
        &[
            "Cache-Control",
            "Pragma",
            "Authorization",
            "Cookie",
            "If-None-Match",
            "If-Match",
            "If-Modified-Since",
            "If-Unmodified-Since",
            "If-Range",
            "Range",
            "Accept-Encoding",
            "Accept-Language",
            "X-A",
            "User-Agent",
        ],
    )
}

fn any_response() -> impl Strategy<Value = Vec<u8>> {
    head_bytes(
        "HTTP/1.1 200 OK",
        &[
            "Cache-Control",
            "CDN-Cache-Control",
            "Tidegate-Cache-Control",
            "Expires",
            "Date",
            "Age",
            "Last-Modified",
            "ETag",
            "Vary",
            "Cache-Tag",
            "Surrogate-Key",
            "Set-Cookie",
            "Location",
            "Content-Location",
            "Connection",
            "X-A",
            "Content-Type",
        ],
    )
}

fn directives() -> impl Strategy<Value = String> {
    let name = select(vec!["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error", "x"]);
    let timed = (name, 0..100_u32).prop_map(|(name, seconds)| format!("{name}={seconds}"));
    let flag =
        select(vec!["no-cache", "must-revalidate", "proxy-revalidate", "public"]).prop_map(str::to_owned);
    vec(prop_oneof![3 => timed, 1 => flag], 1..5).prop_map(|all| format!("Cache-Control: {}", all.join(", ")))
}

fn wishes() -> impl Strategy<Value = String> {
    let name = select(vec!["max-age", "max-stale", "min-fresh"]);
    let timed = (name, 0..100_u32).prop_map(|(name, seconds)| format!("{name}={seconds}"));
    vec(timed, 0..3).prop_map(|all| format!("Cache-Control: {}", all.join(", ")))
}

fn fields() -> impl Strategy<Value = Vec<String>> {
    let name = select(vec!["X-A", "X-B", "Accept-Language", "Accept-Encoding"]);
    let member = select(vec!["a", "b", "A", "gzip", "br;q=0", " ", "\"", ",", "\"a, b\""]);
    vec((name, vec(member, 0..3)), 0..5)
        .prop_map(|lines| lines.iter().map(|(name, words)| format!("{name}: {}", words.concat())).collect())
}

fn get(fields: &[String]) -> Request {
    Request::get(&fields.iter().map(String::as_str).collect::<Vec<_>>())
}

/// How far from fresh a use is.
fn rank(what: Use) -> u8 {
    match what {
        Use::Fresh => 0,
        Use::StaleWhileRevalidate => 1,
        Use::StaleWanted => 2,
        Use::Validate(_) => 3,
        Use::Pass(_) => 4,
    }
}

fn everything(request: &[u8], response: &[u8]) {
    let (mut ask_head, mut head) = (RequestHead::new(), ResponseHead::new());
    if ask_head.parse(request, &Limits::default()) != Ok(true)
        || head.parse(response, Method::Get, &Limits::default()) != Ok(true)
    {
        return;
    }
    let rules = Rules {
        key: vec![KeyPart::Header("x-a".to_owned()), KeyPart::Cookie("a".to_owned()), KeyPart::Device],
        query: QueryKey::Except(vec!["a*".to_owned()]),
        sort_query: true,
        ..Rules::default()
    };
    let url = Url { scheme: "http", host: b"a", port: None, path: b"/p/q", query: Some(response) };
    invalidation::targets(Method::Post, &url, &head, response, &rules, &mut Vec::new(), |url| {
        assert!(url.starts_with(b"http://a/"));
    });
    let Ok(ask) = Ask::read(&ask_head, request, &rules) else { return };
    let (mut key, mut stored, mut out) = (Vec::new(), Vec::new(), Vec::new());
    Key::write(&mut key, &url, &ask, &rules, &Seed::new(1));
    storable::write_head(&head, response, &rules, NOW, &mut stored);
    let times = Times::new(NOW - 5, NOW);
    let Ok(kept) = storable::judge(&ask, &head, response, &rules, times) else { return };
    let mut terms = kept.terms;
    assert!(terms.fresh_until_ms <= terms.stale_until_ms && terms.fresh_until_ms <= terms.error_until_ms);
    storable::locate_validators(&mut terms, &stored);
    condition::evaluate(&ask, &terms, &stored, 200);
    condition::write_validation(&terms, &stored, &mut out);
    condition::freshens(&terms, &stored, &head, response);
    condition::write_not_modified(&stored, &mut out);
    range::choose(&ask, &terms, &stored, 200, 100);
    if let Ok(again) =
        storable::refresh(&ask, (&stored, kept.vary.as_deref()), &head, response, &rules, times, &mut out)
    {
        // What updates itself with itself is what it was.
        assert_eq!((again.terms.fresh_until_ms, &again.vary), (terms.fresh_until_ms, &kept.vary));
    }
}

proptest! {
    #[test]
    fn no_head_makes_a_rule_panic(request in any_request(), response in any_response()) {
        everything(&request, &response);
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..64), value in value(), len in any::<u64>()) {
        for bytes in [&bytes, &value] {
            let _ = dictionary(bytes, |_, _| {});
            let _ = http_date_s(bytes);
            range::select(bytes, len);
            vary::members(bytes).for_each(drop);
        }
    }

    /// RFC 9111 section 4.2.3, and everything that depends on it.
    #[test]
    fn time_only_makes_a_response_staler(
        said in directives(),
        wished in wishes(),
        age in 0..50_u32,
        mut moments in vec(0..300_000_u64, 2..12),
    ) {
        let response = Response::new(200, &[&said, &format!("Age: {age}"), "ETag: \"a\"", &dated("Last-Modified", -500)]);
        let request = Request::get(&[&wished]);
        let times = Times::new(NOW, NOW);
        let terms = response.judged(&request, &Rules::default(), times).unwrap().terms;
        moments.sort_unstable();
        for pair in moments.windows(2) {
            let (before, after) = (NOW + pair[0], NOW + pair[1]);
            prop_assert!(age_s(&terms, before) <= age_s(&terms, after));
            let used = [before, after].map(|now| rank(decide(&terms, &request.ask(), now)));
            prop_assert!(used[0] <= used[1], "{used:?}");
            prop_assert!(may_stand_in(&terms, before) || !may_stand_in(&terms, after));
        }
        prop_assert!(age_s(&terms, NOW) >= u64::from(age));
    }

    /// RFC 9110 section 14: whatever is asked for, what is chosen is not empty, does not touch, and is there.
    #[test]
    fn slices_lie_within_the_whole(
        specs in vec((proptest::option::of(0..40_u64), proptest::option::of(0..40_u64)), 1..20),
        len in 0..40_u64,
    ) {
        let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let specs: Vec<String> =
            specs.into_iter().map(|(first, last)| format!("{}-{}", number(first), number(last))).collect();
        let slices = match range::select(format!("bytes={}", specs.join(",")).as_bytes(), len) {
            Choice::Whole | Choice::Unsatisfiable => vec![],
            Choice::One(slice) => vec![slice],
            Choice::Several(slices) => {
                prop_assert!((2..=range::MAX_RANGES).contains(&slices.len()));
                slices.into_vec()
            }
        };
        for (at, slice) in slices.iter().enumerate() {
            prop_assert!(slice.start < slice.end && slice.end <= len);
            for other in &slices[..at] {
                prop_assert!(slice.end < other.start || other.end < slice.start, "{slices:?}");
            }
        }
        prop_assert!(slices.iter().map(|slice| slice.len()).sum::<u64>() <= len);
    }

    /// RFC 9111 section 4.1.
    #[test]
    fn matching_of_variants_is_symmetric_and_agrees_with_the_hash(one in fields(), other in fields()) {
        let response = Response::new(200, &["Vary: X-A, Accept-Language, x-b, Accept-Encoding"]);
        let (one, other, seed) = (get(&one), get(&other), Seed::new(3));
        let spec = |request: &Request| {
            vary::spec(&response.head, &response.bytes, &request.ask()).unwrap().unwrap()
        };
        let (first, second) = (spec(&one), spec(&other));
        prop_assert!(vary::matches(&first, &one.ask()) && vary::same_names(&first, &second));
        let same = vary::matches(&first, &other.ask());
        prop_assert_eq!(same, vary::matches(&second, &one.ask()));
        prop_assert_eq!(same, first == second);
        prop_assert_eq!(vary::hash(&second, &one.ask(), 9, &seed), vary::hash_of(&first, 9, &seed));
        prop_assert_eq!(same, vary::hash_of(&first, 9, &seed) == vary::hash_of(&second, 9, &seed));
    }

    /// The order of directives says nothing, and more of them never keep more.
    #[test]
    fn directives_in_another_order_say_the_same(said in vec(directives(), 2)) {
        let of = |fields: &[&str]| {
            let response = Response::new(200, fields);
            Directives::of_response(&response.head.headers, &response.bytes)
        };
        let both = of(&[&said[0], &said[1]]);
        prop_assert_eq!(both, of(&[&said[1], &said[0]]));
        let one = of(&[&said[0]]);
        prop_assert!(one.max_age.is_none() || both.max_age <= one.max_age);
        prop_assert!(both.no_cache || !one.no_cache);
    }
}
