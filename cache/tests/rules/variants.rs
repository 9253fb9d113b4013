//! What tells stored responses apart: keys, variants, and which of them a change makes stale.

use tidegate_cache::key::{Seed, Url, write_url};
use tidegate_cache::rules::{KeyPart, QueryKey};
use tidegate_cache::vary::{self, Codings};
use tidegate_cache::{Bypass, Key, Rules, invalidation};
use wire::Method;

use crate::support::{Request, Response, text};

const URL: Url<'_> = Url { scheme: "https", host: b"a", port: None, path: b"/p", query: None };

fn key(url: &Url<'_>, fields: &[&str], rules: &Rules) -> (String, usize) {
    let (request, mut out) = (Request::get(fields), Vec::new());
    let key = Key::write(&mut out, url, &request.ask(), rules, &Seed::new(7));
    assert_eq!(key.url_hash, Seed::new(7).hash(key.url()));
    assert_eq!(key.hash, Seed::new(7).hash(key.bytes));
    (text(key.bytes).to_owned(), key.url_len as usize)
}

fn spec(vary: &str, fields: &[&str]) -> Result<Option<Box<[u8]>>, Bypass> {
    let response = Response::new(200, &[&format!("Vary: {vary}")]);
    vary::spec(&response.head, &response.bytes, &Request::get(fields).ask())
}

fn matches(vary: &str, first: &[&str], second: &[&str]) -> bool {
    let spec = spec(vary, first).unwrap().unwrap();
    let (first, second) = (Request::get(first), Request::get(second));
    let seed = Seed::new(7);
    assert!(vary::matches(&spec, &first.ask()));
    assert_eq!(vary::hash(&spec, &first.ask(), 1, &seed), vary::hash_of(&spec, 1, &seed));
    let same = vary::matches(&spec, &second.ask());
    assert_eq!(same, vary::hash(&spec, &second.ask(), 1, &seed) == vary::hash_of(&spec, 1, &seed));
    same
}

/// RFC 9111 section 2.
#[test]
fn a_key_is_the_url_as_it_was_sent() {
    let rules = Rules::default();
    for (path, query, wanted) in [
        ("/p", None, "https://a/p"),
        ("", None, "https://a/"),
        ("/p", Some(""), "https://a/p?"),
        ("/p//q/../%61", Some("b=1&&a=2"), "https://a/p//q/../%61?b=1&&a=2"),
    ] {
        let url = Url { path: path.as_bytes(), query: query.map(str::as_bytes), ..URL };
        assert_eq!(key(&url, &["X-A: 1"], &rules), (wanted.to_owned(), wanted.len()));
    }
    assert_ne!(Seed::new(1).hash(b"https://a/"), Seed::new(2).hash(b"https://a/"));
}

#[test]
fn a_route_chooses_the_parameters_of_the_key() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let only = QueryKey::Only(names(&["page", "q *"]));
    let except = QueryKey::Except(names(&["utm_*", "fbclid"]));
    for (rule, sort, query, wanted) in [
        (&only, false, "x=1&page=2&y", "?page=2"),
        (&only, false, "x=1", ""),
        // As the app reads the names.
        (&only, false, "p%61ge=2&q+r=1&q%20=2&q%=3", "?p%61ge=2&q+r=1&q%20=2"),
        (&except, false, "a=1&utm_source=x&utm%5Fb&fbclid=y&fbclid2", "?a=1&fbclid2"),
        (&except, true, "b=2&utm_x&a=2&b=1&a=1", "?a=2&a=1&b=2&b=1"),
        (&QueryKey::All, true, "b&a", "?a&b"),
        (&QueryKey::All, true, "", ""),
        (&QueryKey::None, false, "a=1", ""),
    ] {
        let rules = Rules { query: rule.clone(), sort_query: sort, ..Rules::default() };
        let url = Url { query: Some(query.as_bytes()), ..URL };
        assert_eq!(key(&url, &[], &rules).0, format!("https://a/p{wanted}"), "{query}");
    }
    let many: Vec<String> = (0..65).rev().map(|name| format!("n{name:02}")).collect();
    let rules = Rules { sort_query: true, ..Rules::default() };
    let of = |query: &str| key(&Url { query: Some(query.as_bytes()), ..URL }, &[], &rules).0;
    assert!(of(&many[1..].join("&")).starts_with("https://a/p?n00&n01"));
    assert!(of(&many.join("&")).starts_with("https://a/p?n64&n63"));
}

#[test]
fn a_route_adds_parts_to_the_key() {
    let rules = |part: KeyPart| Rules { key: vec![part], ..Rules::default() };
    let header = rules(KeyPart::Header("x-a".to_owned()));
    let cookie = rules(KeyPart::Cookie("c".to_owned()));
    let fixed = rules(KeyPart::Fixed("beta".to_owned()));
    for (rules, fields, wanted) in [
        (&header, &[][..], "\0-"),
        (&header, &["X-A:"], "\0="),
        (&header, &["X-A: 1", "x-a: 2"], "\0=1,2"),
        (&cookie, &["Cookie: a=1; cc=3"], "\0-"),
        (&cookie, &["Cookie: a=1; c=2;c=3", "Cookie: c="], "\0=2;3;"),
        (&fixed, &[], "\0=beta"),
    ] {
        assert_eq!(key(&URL, fields, rules), (format!("https://a/p{wanted}"), 11), "{fields:?}");
    }
    let two = Rules { key: [header.key.clone(), cookie.key.clone()].concat(), ..Rules::default() };
    assert_eq!(key(&URL, &["X-A: 1"], &two).0, "https://a/p\0=1\0-");
}

#[test]
fn devices_are_told_apart_by_what_they_say() {
    let rules = Rules { key: vec![KeyPart::Device], ..Rules::default() };
    for (fields, wanted) in [
        (&[][..], "desktop"),
        (&["User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/120 Safari/537"], "desktop"),
        (&["User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17) Mobile/15E"], "mobile"),
        (&["User-Agent: Mozilla/5.0 (iPad; CPU OS 17) Mobile/15E"], "tablet"),
        (&["User-Agent: Mozilla/5.0 (Linux; Android 14; SM-X900) Safari/537"], "tablet"),
        (&["User-Agent: Mozilla/5.0 (Linux; Android 14; K) Mobile Safari/537"], "mobile"),
        (&["User-Agent: X", "Sec-CH-UA-Mobile: ?1"], "mobile"),
        (&["User-Agent: X Mobile", "Sec-CH-UA-Mobile: ?0"], "desktop"),
    ] {
        assert_eq!(key(&URL, fields, &rules).0, format!("https://a/p\0={wanted}"), "{fields:?}");
    }
}

/// RFC 9111 section 4.1.
#[test]
fn a_variant_is_for_requests_with_the_same_fields() {
    for (vary, first, second, wanted) in [
        ("X-A", &["X-A: 1"][..], &["x-a:  1 "][..], true),
        ("X-A", &["X-A: 1"], &["X-A: 1", "X-B: 2"], true),
        ("X-A", &["X-A: 1"], &["X-A: 2"], false),
        ("X-A", &["X-A: 1"], &["X-A: 12"], false),
        ("X-A", &["X-A: 12"], &["X-A: 1"], false),
        ("X-A", &["X-A: a"], &["X-A: A"], false),
        // Absent matches absent alone.
        ("X-A", &[], &[], true),
        ("X-A", &[], &["X-A:"], false),
        ("X-A", &["X-A:"], &[], false),
        // Lines are joined, and space around commas means nothing.
        ("X-A", &["X-A: a, b"], &["X-A: a", "X-A: b"], true),
        ("X-A", &["X-A: a ,b"], &["X-A: a,  b"], true),
        ("X-A", &["X-A: \"a, b\""], &["X-A: \"a,b\""], false),
        ("X-A", &["X-A: a b"], &["X-A: ab"], false),
        ("X-A, X-B", &["X-A: 1", "X-B: 2"], &["X-B: 2", "X-A: 1"], true),
        ("X-A, X-B", &["X-A: 1"], &["X-B: 1"], false),
        (
            "Accept-Language",
            &["Accept-Language: de-CH, en;q=0.5"],
            &["Accept-Language: DE-ch,en; q=0.5"],
            true,
        ),
        ("Accept-Language", &["Accept-Language: de"], &[], false),
        (
            "Accept-Encoding",
            &["Accept-Encoding: gzip, deflate, br"],
            &["Accept-Encoding: br;q=0.1,gzip"],
            true,
        ),
        ("Accept-Encoding", &["Accept-Encoding: gzip"], &["Accept-Encoding: gzip, br"], false),
        ("Accept-Encoding", &["Accept-Encoding: deflate"], &[], true),
    ] {
        assert_eq!(matches(vary, first, second), wanted, "{vary}: {first:?} {second:?}");
    }
}

/// RFC 9110 section 12.5.5.
#[test]
fn names_of_vary_are_a_set_in_one_order() {
    let fields = &["X-A: 1", "X-B: 2"];
    let one = spec("X-B, x-a,, X-A", fields).unwrap().unwrap();
    assert_eq!(Some(one.clone()), spec("x-a,X-B", fields).unwrap());
    let members: Vec<_> = vary::members(&one).collect();
    assert_eq!(members, [(b"x-a".as_slice(), Some(b"1".as_slice())), (b"x-b", Some(b"2"))]);
    assert!(vary::same_names(&one, &spec("X-A, X-B", &[]).unwrap().unwrap()));
    assert!(!vary::same_names(&one, &spec("X-A", fields).unwrap().unwrap()));
    assert_eq!(spec("", fields), Ok(None));
    assert_eq!(spec("X-A, *", fields), Err(Bypass::VaryStar));
}

#[test]
fn a_variant_is_bounded() {
    let names = |count: u32| (0..count).map(|name| format!("x-{name}")).collect::<Vec<_>>().join(",");
    assert!(spec(&names(16), &[]).is_ok());
    assert_eq!(spec(&names(17), &[]), Err(Bypass::TooManyVariants));
    assert_eq!(spec(&"x".repeat(256), &[]), Err(Bypass::TooManyVariants));
    let long = |len: usize| spec("X-A", &[&format!("X-A: {}", "v".repeat(len))]);
    assert!(long(vary::MAX_SPEC_BYTES - 6).is_ok());
    assert_eq!(long(vary::MAX_SPEC_BYTES - 5), Err(Bypass::TooManyVariants));
}

/// RFC 9110 section 12.5.3.
#[test]
fn codings_are_reduced_to_those_that_are_known() {
    for (value, wanted) in [
        (None, "identity"),
        (Some(""), "identity"),
        (Some("identity"), "identity"),
        (Some("gzip, deflate, br, zstd"), "zstd, br, gzip"),
        (Some("GZIP;Q=1.000"), "gzip"),
        (Some("x-gzip"), "gzip"),
        (Some("gzip;q=0, br"), "br"),
        (Some("gzip; q=0.000"), "identity"),
        (Some("gzip;q=0.001"), "gzip"),
        (Some("gzip;q=2"), "identity"),
        (Some("*"), "zstd, br, gzip"),
        (Some("*;q=0"), "identity;q=0"),
        (Some("gzip, *;q=0"), "gzip, identity;q=0"),
        (Some("*, br;q=0"), "zstd, gzip"),
        (Some("identity;q=0, gzip"), "gzip, identity;q=0"),
        (Some("*;q=0, identity"), "identity"),
    ] {
        let field = value.map(|value| format!("Accept-Encoding: {value}"));
        let request = Request::get(field.as_deref().as_slice());
        let mut out = b"x".to_vec();
        vary::write_accept_encoding(&mut out, Codings::of(&request.ask()));
        // In front of it stands the rest of a head.
        let out = text(&out).strip_prefix('x').unwrap();
        assert_eq!(out, wanted, "{value:?}");
        let again = Request::get(&[&format!("Accept-Encoding: {out}")]);
        assert_eq!(Codings::of(&again.ask()), Codings::of(&request.ask()), "{value:?}");
    }
}

/// RFC 9111 section 4.4.
#[test]
fn a_change_makes_the_target_and_what_it_names_stale() {
    let target = Url { path: b"/a/b", query: Some(b"q"), ..URL };
    let removed = |method, status, fields: &[&str]| {
        let (response, mut found, mut scratch) = (Response::new(status, fields), Vec::new(), Vec::new());
        let rules = Rules::default();
        invalidation::targets(
            method,
            &target,
            &response.head,
            &response.bytes,
            &rules,
            &mut scratch,
            |url| {
                found.push(text(url).to_owned());
            },
        );
        found
    };
    let own = "https://a/a/b?q";
    for (location, wanted) in [
        ("/x", Some("https://a/x")),
        ("/x?y#z", Some("https://a/x?y")),
        ("x/./y/../z", Some("https://a/a/x/z")),
        ("../../../x", Some("https://a/x")),
        ("..", Some("https://a/")),
        ("?r", Some("https://a/a/b?r")),
        ("", None),
        ("#z", None),
        ("//a/x", Some("https://a/x")),
        ("HTTPS://A:443/x", Some("https://a/x")),
        ("https://a?r", Some("https://a/?r")),
        ("https://a", Some("https://a/")),
        ("http://a/x", None),
        ("https://b/x", None),
        ("https://a:8443/x", None),
        ("https://a.evil/x", None),
        ("https:x", None),
        ("mailto:a@a", None),
        ("//b/x", None),
    ] {
        for name in ["Location", "Content-Location"] {
            let mut wanted_all = vec![own.to_owned()];
            wanted_all.extend(wanted.map(str::to_owned));
            let found = removed(Method::Post, 201, &[&format!("{name}: {location}")]);
            assert_eq!(found, wanted_all, "{location}");
        }
    }
    for (method, status, wanted) in [
        (Method::Put, 204, true),
        (Method::Delete, 200, true),
        (Method::Patch, 303, true),
        (Method::Other, 200, true),
        (Method::Post, 400, false),
        (Method::Post, 500, false),
        (Method::Get, 200, false),
        (Method::Head, 200, false),
        (Method::Options, 200, false),
    ] {
        assert_eq!(!removed(method, status, &[]).is_empty(), wanted, "{method:?} {status}");
    }
    let mut out = Vec::new();
    write_url(&mut out, &target, &Rules::default());
    assert_eq!(out, own.as_bytes());
}
