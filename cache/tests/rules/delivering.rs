//! Conditions, validation, ranges, and what a stored response is sent with.

use tidegate_cache::condition::{self, Verdict};
use tidegate_cache::freshness::Times;
use tidegate_cache::range::{self, Choice, MAX_RANGES, Slice};
use tidegate_cache::rules::SetCookie;
use tidegate_cache::status::{self, Forwarded, Outcome, Why};
use tidegate_cache::{Bypass, Rules, freshness, storable};

use crate::support::{NOW, NOW_TIMES, Request, Response, Stored, dated, judge, text};

fn verdict(stored: &[&str], request: &[&str]) -> Verdict {
    let stored = Stored::new(&[stored, &["Cache-Control: max-age=60"]].concat());
    condition::evaluate(&Request::get(request).ask(), &stored.terms, &stored.head, 200)
}

/// RFC 9110 sections 13.1.2 and 13.2.2: If-None-Match, by weak comparison.
#[test]
fn a_client_that_has_it_already_is_told_so() {
    use Verdict::{Deliver, NotModified};
    for (etag, value, wanted) in [
        ("\"a\"", "\"a\"", NotModified),
        ("\"a\"", "W/\"a\"", NotModified),
        ("W/\"a\"", "\"a\"", NotModified),
        ("\"a\"", "\"b\", \"a\"", NotModified),
        ("\"a\"", "\"b\",\"a\"", NotModified),
        ("\"a,b\"", "\"x\", \"a,b\"", NotModified),
        ("\"a\"", "*", NotModified),
        ("\"a\"", "\"b\"", Deliver),
        ("\"a\"", "a", Deliver),
        ("\"a\"", "\"a", Deliver),
        ("\"a\"", "w/\"a\"", Deliver),
        ("\"a\"", "\"x\"y, \"a\"", Deliver),
        ("a", "a", Deliver),
    ] {
        let (etag, value) = (format!("ETag: {etag}"), format!("If-None-Match: {value}"));
        assert_eq!(verdict(&[&etag], &[&value]), wanted, "{etag} {value}");
    }
    assert_eq!(verdict(&["ETag: \"a\""], &["If-None-Match: \"x\"", "If-None-Match: \"a\""]), NotModified);
    assert_eq!(verdict(&[], &["If-None-Match: \"a\""]), Deliver);
    // Two tags are none.
    assert_eq!(verdict(&["ETag: \"a\"", "ETag: \"a\""], &["If-None-Match: \"a\""]), Deliver);
}

/// RFC 9110 section 13.1.3, RFC 9111 section 4.3.2: If-Modified-Since, only without If-None-Match.
#[test]
fn a_client_that_has_it_since_it_changed_is_told_so() {
    use Verdict::{Deliver, NotModified};
    let changed = dated("Last-Modified", -100);
    let (before, same, later) =
        (dated("If-Modified-Since", -101), dated("If-Modified-Since", -100), dated("If-Modified-Since", 5));
    assert_eq!(verdict(&[&changed], &[&before]), Deliver);
    assert_eq!(verdict(&[&changed], &[&same]), NotModified);
    assert_eq!(verdict(&[&changed], &[&later]), NotModified);
    assert_eq!(verdict(&[&changed], &["If-Modified-Since: x"]), Deliver);
    assert_eq!(verdict(&[&changed], &[&same, &same]), Deliver);
    assert_eq!(verdict(&[&changed, "ETag: \"a\""], &[&same, "If-None-Match: \"b\""]), Deliver);
    // Without Last-Modified it is as old as its Date.
    assert_eq!(verdict(&[&dated("Date", -50)], &[&dated("If-Modified-Since", -50)]), NotModified);
    assert_eq!(verdict(&[&dated("Date", -50)], &[&dated("If-Modified-Since", -51)]), Deliver);
}

/// RFC 9110 sections 13.1.1, 13.1.4 and 13.2.2.
#[test]
fn a_condition_that_only_the_origin_can_deny_is_forwarded() {
    use Verdict::{Deliver, Forward, NotModified};
    let changed = dated("Last-Modified", -100);
    let stored = &["ETag: \"a\"", &*changed];
    for (request, wanted) in [
        (&["If-Match: \"a\""][..], Deliver),
        (&["If-Match: *"], Deliver),
        (&["If-Match: \"b\""], Forward),
        (&["If-Match: W/\"a\""], Forward),
        (&[&dated("If-Unmodified-Since", -100)], Deliver),
        (&[&dated("If-Unmodified-Since", -101)], Forward),
        (&["If-Unmodified-Since: x"], Deliver),
        (&["If-Match: \"a\"", &dated("If-Unmodified-Since", -101)], Deliver),
        (&["If-Match: \"a\"", "If-None-Match: \"a\""], NotModified),
    ] {
        assert_eq!(verdict(stored, request), wanted, "{request:?}");
    }
    assert_eq!(verdict(&["ETag: W/\"a\""], &["If-Match: W/\"a\""]), Forward);
    assert_eq!(verdict(&[], &[&dated("If-Unmodified-Since", 0)]), Forward);
}

/// RFC 9110 section 13.2.1.
#[test]
fn only_success_has_conditions() {
    let stored = Stored::new(&["ETag: \"a\"", "Cache-Control: max-age=60"]);
    let request = Request::get(&["If-None-Match: \"a\""]);
    assert_eq!(condition::evaluate(&request.ask(), &stored.terms, &stored.head, 404), Verdict::Deliver);
}

/// RFC 9111 section 4.3.1.
#[test]
fn a_validation_asks_with_the_stored_validators() {
    let ask = |fields: &[&str]| {
        let (stored, mut out) = (Stored::new(fields), Vec::new());
        condition::write_validation(&stored.terms, &stored.head, &mut out);
        text(&out).to_owned()
    };
    let changed = dated("Last-Modified", -100);
    let since = changed.replace("Last-Modified", "If-Modified-Since");
    let fresh = "Cache-Control: max-age=60";
    assert_eq!(ask(&["ETag: W/\"a\"", &changed]), format!("If-None-Match: W/\"a\"\r\n{since}\r\n"));
    assert_eq!(ask(&["ETag: \"a\"", fresh]), "If-None-Match: \"a\"\r\n");
    assert_eq!(ask(&[fresh]), "");
}

/// RFC 9111 section 4.3.4.
#[test]
fn a_304_is_about_the_response_whose_validator_it_names() {
    let (changed, other) = (dated("Last-Modified", -100), dated("Last-Modified", -99));
    for (stored, answer, wanted) in [
        (&["ETag: \"a\""][..], &["ETag: \"a\""][..], true),
        (&["ETag: \"a\""], &["ETag: \"b\""], false),
        (&["ETag: W/\"a\""], &["ETag: \"a\""], false),
        (&["ETag: W/\"a\""], &["ETag: W/\"a\""], true),
        (&["ETag: \"a\""], &["ETag: W/\"a\""], true),
        (&["ETag: \"a\""], &[], true),
        (&["ETag: \"a\""], &[&changed], true),
        (&[&changed], &["ETag: \"a\""], false),
        (&[&changed], &[&changed], true),
        (&[&changed], &[&other], false),
        (&[&changed], &[], true),
        (&["ETag: \"a\"", &changed], &["ETag: \"a\"", &other], true),
    ] {
        let stored = Stored::new(&[stored, &["Cache-Control: max-age=60"]].concat());
        let answer = Response::new(304, answer);
        let found = condition::freshens(&stored.terms, &stored.head, &answer.head, &answer.bytes);
        assert_eq!(found, wanted, "{} {}", text(&stored.head), text(&answer.bytes));
    }
}

/// RFC 9111 section 3.1.
#[test]
fn what_is_about_one_connection_is_not_kept() {
    let response = Response::new(
        200,
        &[
            "Connection: keep-alive, X-Hop",
            "X-Hop: 1",
            "Keep-Alive: timeout=5",
            "Transfer-Encoding: chunked",
            "Proxy-Authenticate: Basic",
            "Proxy-Authentication-Info: x",
            "Tidegate-Cache-Control: max-age=60",
            "Age: 5",
            "X-Kept:  a b ",
            "Cache-Status: Origin; hit",
        ],
    );
    let mut out = Vec::new();
    storable::write_head(&response.head, &response.bytes, &Rules::default(), NOW, &mut out);
    // RFC 9110 section 6.6.1: with the moment of arrival where there is no Date.
    let wanted =
        format!("HTTP/1.1 200 OK\r\nX-Kept: a b\r\nCache-Status: Origin; hit\r\n{}\r\n", dated("Date", 0));
    assert_eq!(text(&out), wanted);
}

#[test]
fn a_date_that_is_about_one_connection_leaves_room_for_the_moment_of_arrival() {
    let fields = ["Cache-Control: max-age=60", "Connection: date", &dated("Date", -9)];
    let (stored, answer) = (Stored::new(&fields), Response::new(304, &fields));
    let wanted = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{}\r\n", dated("Date", 0));
    assert_eq!(text(&stored.head), wanted);

    let (request, rules, mut out) = (Request::get(&[]), Rules::default(), Vec::new());
    let (old, later) = ((&*stored.head, None), Times::new(NOW + 5_000, NOW + 5_000));
    let (head, buf) = (&answer.head, &answer.bytes);
    storable::refresh(&request.ask(), old, head, buf, &rules, later, &mut out).unwrap();
    assert!(text(&out).ends_with(&format!("{}\r\n", dated("Date", 5))), "{}", text(&out));
}

/// RFC 9111 sections 3.2 and 4.3.4.
#[test]
fn a_304_updates_fields_but_not_those_of_the_body() {
    let date = dated("Date", -100);
    let stored = Stored::new(&[
        "Content-Length: 5",
        "Content-Encoding: br",
        "X-A: 1",
        "X-A: 2",
        "X-Same: 1",
        "Cache-Control: max-age=200",
        "ETag: \"a\"",
        &date,
    ]);
    let new_date = dated("Date", 30);
    let answer = Response::new(
        304,
        &[
            "Content-Length: 9",
            "Content-Encoding: gzip",
            "Content-Range: bytes 0-1/9",
            "Connection: X-Hop",
            "X-Hop: 1",
            "Set-Cookie: a=1",
            "Age: 7",
            "x-a: 3",
            "Cache-Control: max-age=90",
            "ETag: \"a\"",
            &new_date,
        ],
    );
    let (request, rules, mut out) =
        (Request::get(&[]), Rules { set_cookie: SetCookie::Strip, ..Rules::default() }, Vec::new());
    let times = Times::new(NOW + 30_000, NOW + 31_000);
    let terms = storable::refresh(
        &request.ask(),
        (&stored.head, None),
        &answer.head,
        &answer.bytes,
        &rules,
        times,
        &mut out,
    )
    .unwrap()
    .terms;
    let wanted = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nX-Same: 1\r\n\
         x-a: 3\r\nCache-Control: max-age=90\r\nETag: \"a\"\r\n{new_date}\r\n"
    );
    assert_eq!(text(&out), wanted);
    // Age is what the 304 says and took, not what the first response said.
    assert_eq!(freshness::age_s(&terms, NOW + 31_000), 8);
    assert_eq!(terms.fresh_until_ms, terms.born_ms + 90_000);
    assert_eq!(terms.etag.map(|span| span.of(&out)), Some(b"\"a\"".as_slice()));
}

#[test]
fn a_304_can_end_the_keeping() {
    let stored = Stored::new(&["Cache-Control: max-age=60", "ETag: \"a\""]);
    for (line, wanted) in [
        ("Cache-Control: no-store", Bypass::NoStore),
        ("Cache-Control: private", Bypass::Private),
        ("Set-Cookie: a=1", Bypass::SetCookie),
    ] {
        let answer = Response::new(304, &[line]);
        let (request, rules, mut out) = (Request::get(&[]), Rules::default(), Vec::new());
        let old = (&*stored.head, None);
        let (head, buf) = (&answer.head, &answer.bytes);
        let refreshed = storable::refresh(&request.ask(), old, head, buf, &rules, NOW_TIMES, &mut out);
        assert_eq!(refreshed, Err(wanted));
        // The one who asked gets what the origin said.
        assert!(text(&out).contains(line), "{}", text(&out));
    }
}

/// RFC 9110 section 15.4.5.
#[test]
fn a_304_has_the_fields_that_update_a_stored_response() {
    let head = |fields: &[&str]| {
        let (stored, mut out) = (Stored::new(fields), Vec::new());
        condition::write_not_modified(&stored.head, &mut out);
        text(&out).to_owned()
    };
    let (date, changed) = (dated("Date", 0), dated("Last-Modified", -100));
    let fields =
        ["Cache-Control: max-age=60", "Content-Type: a/b", "Content-Length: 5", &changed, "Vary: x", &date];
    assert_eq!(
        head(&fields),
        format!(
            "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\n{changed}\r\nVary: x\r\n{date}\r\n"
        )
    );
    assert!(!head(&[&fields[..], &["ETag: \"a\""]].concat()).contains("Last-Modified"));
}

/// RFC 9110 section 14.1.2 and 14.2.
#[test]
fn ranges_are_cut_from_the_whole() {
    let slice = |start, end| Slice { start, end };
    let one = |start, end| Choice::One(slice(start, end));
    let several = |slices: &[(u64, u64)]| {
        Choice::Several(slices.iter().map(|&(start, end)| slice(start, end)).collect())
    };
    for (value, wanted) in [
        ("bytes=0-4", one(0, 5)),
        ("BYTES=0-4", one(0, 5)),
        ("bytes=5-", one(5, 10)),
        ("bytes=-3", one(7, 10)),
        ("bytes=-99", one(0, 10)),
        ("bytes=9-99999999999999999999999", one(9, 10)),
        ("bytes= 0-0 ,", one(0, 1)),
        ("bytes=0-1,20-", one(0, 2)),
        ("bytes=0-1, 4-5", several(&[(0, 2), (4, 6)])),
        ("bytes=8-9,0-1", several(&[(8, 10), (0, 2)])),
        // Those that touch or overlap are joined.
        ("bytes=0-3,4-5", one(0, 6)),
        ("bytes=0-3,2-5", one(0, 6)),
        ("bytes=6-9,0-1,4-5", several(&[(4, 10), (0, 2)])),
        ("bytes=0-1,4-5,1-4", one(0, 6)),
        ("bytes=10-", Choice::Unsatisfiable),
        ("bytes=-0", Choice::Unsatisfiable),
        ("bytes=99999999999999999999999-", Choice::Unsatisfiable),
        // Not in order: as if it were not there.
        ("bytes=", Choice::Whole),
        ("bytes=4-2", Choice::Whole),
        ("bytes=0-1,x", Choice::Whole),
        ("bytes=-", Choice::Whole),
        ("bytes=1 - 2", Choice::Whole),
        ("bytes=+1-2", Choice::Whole),
        ("bytes 0-1", Choice::Whole),
        ("lines=0-1", Choice::Whole),
        // Too many that overlap.
        ("bytes=0-,1-,2-,3-", Choice::Whole),
    ] {
        assert_eq!(range::select(value.as_bytes(), 10), wanted, "{value}");
    }
    assert_eq!(range::select(b"bytes=0-", 0), Choice::Unsatisfiable);
    assert_eq!(range::select(b"bytes=-1", 0), Choice::Whole);
    let many = |count: u64| {
        let specs: Vec<String> = (0..count).map(|at| format!("{0}-{0}", 2 * at)).collect();
        range::select(format!("bytes={}", specs.join(",")).as_bytes(), 1000)
    };
    assert!(matches!(many(MAX_RANGES as u64), Choice::Several(slices) if slices.len() == MAX_RANGES));
    assert_eq!(many(MAX_RANGES as u64 + 1), Choice::Whole);
}

/// RFC 9110 sections 13.1.5 and 14.2.
#[test]
fn a_range_of_another_version_gets_the_whole() {
    let (changed, date) = (dated("Last-Modified", -100), dated("Date", -99));
    let same = dated("If-Range", -100);
    let part = Choice::One(Slice { start: 0, end: 1 });
    for (stored, request, wanted) in [
        (&["ETag: \"a\""][..], &["If-Range: \"a\""][..], &part),
        (&["ETag: \"a\""], &["If-Range: \"b\""], &Choice::Whole),
        (&["ETag: \"a\""], &["If-Range: W/\"a\""], &Choice::Whole),
        (&["ETag: W/\"a\""], &["If-Range: W/\"a\""], &Choice::Whole),
        (&["ETag: \"a\""], &["If-Range: \"a\"", "If-Range: \"a\""], &Choice::Whole),
        (&[], &["If-Range: \"a\""], &Choice::Whole),
        (&["ETag: \"a\""], &["If-Range: x"], &Choice::Whole),
        (&[&changed, &date], &[&same], &part),
        (&[&changed, &date], &[&dated("If-Range", -99)], &Choice::Whole),
        // It may have changed twice within that second.
        (&[&changed, &dated("Date", -100)], &[&same], &Choice::Whole),
        (&["ETag: \"a\""], &["Range: bytes=2-3"], &Choice::Whole),
    ] {
        let stored = Stored::new(&[stored, &["Cache-Control: max-age=200"]].concat());
        let request = Request::get(&[request, &["Range: bytes=0-0"]].concat());
        let found = range::choose(&request.ask(), &stored.terms, &stored.head, 200, 10);
        assert_eq!(found, *wanted, "{}", text(&request.bytes));
    }
    let stored = Stored::new(&["Cache-Control: max-age=60"]);
    for (line, status) in [("HEAD /", 200), ("GET /", 404)] {
        let request = Request::new(line, &["Range: bytes=0-0"]);
        let found = range::choose(&request.ask(), &stored.terms, &stored.head, status, 10);
        assert_eq!(found, Choice::Whole, "{line} {status}");
    }
}

/// RFC 9110 sections 14.4, 14.6, 15.3.7 and 15.5.17.
#[test]
fn parts_are_framed_with_where_they_are_from() {
    let stored = Stored::new(&[
        "Cache-Control: max-age=60",
        "Content-Type: a/b",
        "Content-Length: 10",
        &dated("Date", 0),
    ]);
    let rest = format!("Cache-Control: max-age=60\r\n{{type}}{}\r\n", dated("Date", 0));
    let mut out = Vec::new();
    range::write_head_of_one(&stored.head, Slice { start: 2, end: 5 }, 10, &mut out);
    let kept = rest.replace("{type}", "Content-Type: a/b\r\n");
    assert_eq!(
        text(&out),
        format!("HTTP/1.1 206 Partial Content\r\n{kept}Content-Length: 3\r\nContent-Range: bytes 2-4/10\r\n")
    );

    let slices = [Slice { start: 0, end: 1 }, Slice { start: 8, end: 10 }];
    let mut body = Vec::new();
    for (at, &slice) in slices.iter().enumerate() {
        range::write_part_head(&stored.head, slice, 10, b"xyz", at == 0, &mut body);
        body.extend_from_slice(&b"0123456789"[slice.start as usize..slice.end as usize]);
    }
    range::write_parts_end(b"xyz", &mut body);
    assert_eq!(
        text(&body),
        "--xyz\r\nContent-Type: a/b\r\nContent-Range: bytes 0-0/10\r\n\r\n0\
         \r\n--xyz\r\nContent-Type: a/b\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--xyz--\r\n"
    );
    out.clear();
    range::write_head_of_several(&stored.head, &slices, 10, b"xyz", &mut out);
    let kept = rest.replace("{type}", "");
    assert_eq!(
        text(&out),
        format!(
            "HTTP/1.1 206 Partial Content\r\n{kept}Content-Length: {}\r\n\
             Content-Type: multipart/byteranges; boundary=xyz\r\n",
            body.len()
        )
    );
    out.clear();
    range::write_unsatisfiable(10, &mut out);
    assert_eq!(
        text(&out),
        "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n"
    );
}

/// RFC 9211 section 2.
#[test]
fn cache_status_says_what_became_of_a_request() {
    let line = |outcome, ttl_s, detail| {
        let mut out = Vec::new();
        status::write(outcome, ttl_s, detail, &mut out);
        text(&out).strip_prefix("Cache-Status: Tidegate; ").unwrap().trim_end().to_owned()
    };
    let miss = Forwarded { why: Why::UriMiss, status: None, stored: true, collapsed: true };
    assert_eq!(line(Outcome::Hit, Some(30), None), "hit; ttl=30");
    assert_eq!(line(Outcome::Forwarded(miss), Some(60), None), "fwd=uri-miss; stored; collapsed; ttl=60");
    let stale = Forwarded { why: Why::Stale, status: Some(304), stored: true, collapsed: false };
    assert_eq!(line(Outcome::Forwarded(stale), None, None), "fwd=stale; fwd-status=304; stored");
    let bypass = |why: Bypass| Forwarded { why: why.into(), status: None, stored: false, collapsed: false };
    let code = Bypass::RequestCookie.code();
    assert_eq!(
        line(Outcome::Forwarded(bypass(Bypass::RequestCookie)), None, Some(code)),
        "fwd=bypass; detail=request-cookie"
    );
    assert_eq!(line(Outcome::Forwarded(bypass(Bypass::Method)), None, None), "fwd=method");
    assert_eq!(Why::from(freshness::Cause::RequestMaxAge), Why::Request);
    assert_eq!(Why::from(freshness::Cause::Expired), Why::Stale);
    assert_eq!(line(Outcome::Hit, Some(i64::MIN), None), "hit; ttl=-999999999999999");

    let terms = judge(&["Cache-Control: max-age=60, stale-while-revalidate=60"]).unwrap();
    for (seconds, wanted) in [(30, "hit; ttl=30"), (65, "hit; ttl=-5; detail=stale")] {
        let mut out = Vec::new();
        status::write_hit(&terms, NOW + seconds * 1000, &mut out);
        assert_eq!(text(&out), format!("Cache-Status: Tidegate; {wanted}\r\n"));
    }
}
