//! Which requests the cache has a part in, and which responses are kept (RFC 9111 sections 3 and 5.2).

use tidegate_cache::control::{Directives, MAX_SECONDS};
use tidegate_cache::key::tag_hash;
use tidegate_cache::rules::{Cookies, SetCookie};
use tidegate_cache::{Bypass, Rules};

use crate::support::{NOW, NOW_TIMES, Request, Response, dated, judge, judge_by};

fn said(fields: &[&str]) -> Directives {
    let response = Response::new(200, fields);
    Directives::of_response(&response.head.headers, &response.bytes)
}

/// RFC 9111 section 3, and what the route says.
#[test]
fn requests_that_the_cache_has_no_part_in_are_named() {
    let cookies = Rules { cookies: Cookies::Bypass, ..Rules::default() };
    let plain = Rules::default();
    for (line, fields, rules, wanted) in [
        ("GET /", &[][..], &plain, None),
        ("HEAD /", &[], &plain, None),
        ("GET /", &["Content-Length: 0"], &plain, None),
        ("GET /", &["Cookie: a=1", "Authorization: Basic eA=="], &plain, None),
        ("POST /", &["Content-Length: 0"], &plain, Some(Bypass::Method)),
        ("OPTIONS *", &[], &plain, Some(Bypass::Method)),
        ("GET /", &["Content-Length: 1"], &plain, Some(Bypass::RequestBody)),
        ("GET /", &["Transfer-Encoding: chunked"], &plain, Some(Bypass::RequestBody)),
        ("GET /", &["Connection: upgrade", "Upgrade: websocket"], &plain, Some(Bypass::Upgrade)),
        ("GET /", &["Cookie: a=1"], &cookies, Some(Bypass::RequestCookie)),
        ("GET /", &[], &cookies, None),
        ("GET /", &["Cache-Control: no-store"], &plain, Some(Bypass::RequestNoStore)),
        (
            "GET /",
            &["Cache-Control: max-age=0", "Cache-Control: foo, No-Store"],
            &plain,
            Some(Bypass::RequestNoStore),
        ),
    ] {
        assert_eq!(Request::new(line, fields).ask_by(rules).err(), wanted, "{line} {fields:?}");
    }
}

/// RFC 9111 section 5.2.1.
#[test]
fn the_strictest_wish_of_a_request_counts() {
    for (fields, no_cache, max_age, max_stale, min_fresh) in [
        (&["Cache-Control: max-age=5, max-age=3"][..], false, Some(3), None, None),
        (&["Cache-Control: max-age=x"], false, Some(0), None, None),
        (&["Cache-Control: max-stale"], false, None, Some(u64::MAX), None),
        (&["Cache-Control: max-stale=7, max-stale"], false, None, Some(7), None),
        (&["Cache-Control: max-stale=x"], false, None, Some(0), None),
        (&["Cache-Control: min-fresh=7", "Cache-Control: min-fresh=9"], false, None, None, Some(9)),
        (&["Cache-Control: min-fresh=x"], false, None, None, None),
        (&["Cache-Control: max-age=99999999999999999999"], false, Some(MAX_SECONDS), None, None),
        (&["Pragma: no-cache"], true, None, None, None),
        (&["Pragma: x, No-Cache"], true, None, None, None),
        // RFC 9111 section 5.4: beside Cache-Control it says nothing.
        (&["Pragma: no-cache", "Cache-Control: max-age=1"], false, Some(1), None, None),
    ] {
        let request = Request::get(fields);
        let wishes = *request.ask().wishes();
        let found = (wishes.no_cache, wishes.max_age, wishes.max_stale, wishes.min_fresh);
        assert_eq!(found, (no_cache, max_age, max_stale, min_fresh), "{fields:?}");
    }
}

/// The route's `ignore_request_directives`.
#[test]
fn a_route_need_not_listen_to_requests() {
    let rules = Rules { ignore_request_directives: true, ..Rules::default() };
    let request = Request::get(&["Cache-Control: no-store, no-cache, only-if-cached", "Pragma: no-cache"]);
    let ask = request.ask_by(&rules).unwrap();
    assert_eq!(*ask.wishes(), tidegate_cache::control::Wishes::default());
    assert!(Request::get(&["Cache-Control: only-if-cached"]).ask().only_if_cached());
}

/// RFC 9111 sections 1.2.2, 4.2.1 and 5.2.
#[test]
fn directives_are_read_the_way_that_keeps_less() {
    for (value, no_store, max_age) in [
        ("max-age=60", false, Some(60)),
        ("MAX-AGE=60", false, Some(60)),
        ("max-age=\"60\"", false, Some(60)),
        (" , max-age=60 ,, ", false, Some(60)),
        ("max-age=60, max-age=30", false, Some(30)),
        ("max-age=060", false, Some(60)),
        ("max-age=4294967296", false, Some(MAX_SECONDS)),
        ("max-age=18446744073709551617", false, Some(MAX_SECONDS)),
        ("max-age", false, Some(0)),
        ("max-age=", false, Some(0)),
        ("max-age=-1", false, Some(0)),
        ("max-age=1.5", false, Some(0)),
        ("max-age='60'", false, Some(0)),
        ("max-age= 60", false, Some(0)),
        ("max-age =60", false, Some(0)),
        ("max-age=60 s", false, Some(0)),
        ("max-age=\"60\" s", false, Some(0)),
        ("max-age=60;no-store", false, Some(0)),
        ("x-max-age=60", false, None),
        ("no-store", true, None),
        ("no-store=1", true, None),
        ("No-Store ", true, None),
        ("ext=\"no-store, max-age=5\"", false, None),
        ("ext=\"a\\\"no-store, b\", max-age=7", false, Some(7)),
        // A quotation mark that is not closed hides nothing.
        ("ext=\"max-age=5, no-store", true, None),
        ("ext=\"a\\\", no-store", true, None),
        ("a\"b, no-store, c\"d", true, None),
    ] {
        let said = said(&[&format!("Cache-Control: {value}")]);
        assert_eq!((said.no_store, said.max_age), (no_store, max_age), "{value}");
    }
    let lines =
        said(&["Cache-Control: max-age=9, private=\"x-a\"", "Cache-Control: no-cache=\"set-cookie, b\""]);
    assert!(lines.private && lines.no_cache && lines.max_age == Some(9));
}

/// RFC 9213 sections 2.1 and 2.2.
#[test]
fn a_targeted_field_takes_the_place_of_the_others() {
    let expires = dated("Expires", 500);
    for (fields, wanted_s) in [
        (&["Cache-Control: max-age=1", "CDN-Cache-Control: max-age=2"][..], 2),
        (&["CDN-Cache-Control: max-age=2", "Tidegate-Cache-Control: max-age=3"], 3),
        (&["Cache-Control: no-store", "CDN-Cache-Control: max-age=2"], 2),
        (&["Cache-Control: max-age=1", "CDN-Cache-Control: max-age=2", "CDN-Cache-Control: s-maxage=4"], 4),
        // The last of two counts, as in any dictionary.
        (&["CDN-Cache-Control: no-store, max-age=2, no-store=?0"], 2),
        (&["CDN-Cache-Control: max-age=2, max-age=9"], 9),
        // Empty, or not a dictionary: as if it were not there.
        (&["Cache-Control: max-age=1", "CDN-Cache-Control:"], 1),
        (&["Cache-Control: max-age=1", "CDN-Cache-Control: max-age=2,"], 1),
        (&["Cache-Control: max-age=1", "CDN-Cache-Control: Max-Age=2"], 1),
        (&["CDN-Cache-Control: max-age=2", "Tidegate-Cache-Control: &"], 2),
        (&["CDN-Cache-Control: max-age=-5, stale-while-revalidate=1"], 0),
    ] {
        let terms = judge(fields).unwrap_or_else(|why| panic!("{fields:?}: {why:?}"));
        assert_eq!(terms.fresh_until_ms, NOW + wanted_s * 1000, "{fields:?}");
    }
    assert_eq!(judge(&["Cache-Control: max-age=1", "CDN-Cache-Control: no-store"]), Err(Bypass::NoStore));
    // A directive of the wrong type is not used, and then nobody says how long: Expires is not looked at.
    assert_eq!(judge(&["CDN-Cache-Control: max-age=\"2\"", &expires]), Err(Bypass::NoLifetime));
    assert_eq!(judge(&["CDN-Cache-Control: foo", "Cache-Control: max-age=5"]), Err(Bypass::NoLifetime));
}

/// RFC 9111 section 3, each reason.
#[test]
fn responses_that_may_not_be_kept_are_named() {
    let changed = dated("Last-Modified", -1000);
    for (status, fields, wanted) in [
        (200, &["Cache-Control: max-age=60"][..], None),
        (200, &["Cache-Control: s-maxage=60"], None),
        (200, &["Cache-Control: public", &changed], None),
        (302, &["Cache-Control: public", &changed], None),
        (200, &[&changed], None),
        (599, &["Cache-Control: max-age=60"], None),
        (500, &["Cache-Control: max-age=60"], None),
        (200, &["Cache-Control: no-cache", "ETag: \"a\""], None),
        (200, &["Cache-Control: max-age=0", "ETag: \"a\""], None),
        (200, &["Cache-Control: max-age=0, stale-if-error=60"], None),
        (200, &["Cache-Control: max-age=60, no-store"], Some(Bypass::NoStore)),
        (200, &["Cache-Control: max-age=60, private"], Some(Bypass::Private)),
        (200, &["Cache-Control: max-age=60, private=\"x-a\""], Some(Bypass::Private)),
        (206, &["Cache-Control: max-age=60"], Some(Bypass::Partial)),
        (304, &["Cache-Control: max-age=60"], Some(Bypass::Status)),
        (103, &["Cache-Control: max-age=60"], Some(Bypass::Status)),
        (302, &[&changed], Some(Bypass::Status)),
        (500, &[&changed], Some(Bypass::Status)),
        (200, &["ETag: \"a\""], Some(Bypass::NoLifetime)),
        (200, &["Cache-Control: public"], Some(Bypass::NoLifetime)),
        (200, &["Cache-Control: max-age=0"], Some(Bypass::Expired)),
        (200, &["Cache-Control: max-age=60", "Age: 60"], Some(Bypass::Expired)),
        (200, &["Cache-Control: no-cache, max-age=60"], Some(Bypass::Expired)),
        (200, &["Cache-Control: max-age=60", "Vary: accept, *"], Some(Bypass::VaryStar)),
        (200, &["Cache-Control: max-age=60", "Set-Cookie: a=1"], Some(Bypass::SetCookie)),
        (200, &["Cache-Control: public, max-age=60", "Set-Cookie: a=1"], Some(Bypass::SetCookie)),
    ] {
        let judged = judge_by(&Rules::default(), status, fields);
        assert_eq!(judged.as_ref().err().copied(), wanted, "{status} {fields:?} {judged:?}");
    }
}

/// RFC 9111 section 5.2.2.3.
#[test]
fn must_understand_asks_for_a_known_status_and_then_stands_above_no_store() {
    let rules = Rules::default();
    let fields = &["Cache-Control: must-understand, no-store, max-age=60"];
    assert!(judge_by(&rules, 200, fields).is_ok());
    assert_eq!(judge_by(&rules, 299, fields), Err(Bypass::Status));
    assert_eq!(judge_by(&rules, 299, &["Cache-Control: must-understand, max-age=60"]), Err(Bypass::Status));
    assert!(judge_by(&rules, 299, &["Cache-Control: max-age=60"]).is_ok());
}

/// RFC 9111 section 3.5.
#[test]
fn what_was_authorised_is_kept_only_if_it_says_so() {
    let request = Request::get(&["Authorization: Basic eA=="]);
    for (value, kept) in [
        ("max-age=60", false),
        ("max-age=60, proxy-revalidate", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
    ] {
        let response = Response::new(200, &[&format!("Cache-Control: {value}")]);
        let judged = response.judged(&request, &Rules::default(), NOW_TIMES);
        assert_eq!(judged.as_ref().err().copied(), (!kept).then_some(Bypass::Authorization), "{value}");
        assert!(!kept || judged.unwrap().terms.public);
    }
}

/// RFC 9110 section 15.1.
#[test]
fn some_statuses_are_kept_though_nothing_says_how_long() {
    let changed = dated("Last-Modified", -1000);
    for status in 200..600 {
        let kept = matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501);
        assert_eq!(judge_by(&Rules::default(), status, &[&changed]).is_ok(), kept, "{status}");
    }
}

/// The route's `ttl` and `negative ttl`: for responses that say nothing, and for nothing else.
#[test]
fn the_routes_ttl_is_for_origins_that_say_nothing() {
    let rules = Rules { ttl_ms: Some(30_000), negative_ttl_ms: Some(5_000), ..Rules::default() };
    let changed = dated("Last-Modified", -1000);
    for (status, fields, wanted) in [
        (200, &[][..], Ok(30_000)),
        (200, &[&*changed], Ok(30_000)),
        (301, &[], Ok(30_000)),
        (404, &[], Ok(5_000)),
        (501, &[], Ok(5_000)),
        (404, &["Cache-Control: max-age=1"], Ok(1_000)),
        (200, &["Cache-Control: max-age=1"], Ok(1_000)),
        (200, &["Cache-Control: max-age=0"], Err(Bypass::Expired)),
        (200, &["Expires: 0"], Err(Bypass::Expired)),
        (200, &["Cache-Control: no-store"], Err(Bypass::NoStore)),
        (200, &["Cache-Control: private"], Err(Bypass::Private)),
        (200, &["Cache-Control: no-cache"], Err(Bypass::Expired)),
        (302, &[], Err(Bypass::Status)),
        (500, &[], Err(Bypass::Status)),
        (503, &[], Err(Bypass::Status)),
        (200, &["Content-Type: text/html"], Ok(30_000)),
        (200, &["Content-Type: Text/Event-Stream ; charset=utf-8"], Err(Bypass::NoLifetime)),
        (200, &["Content-Type: text/event-stream", "Cache-Control: max-age=1"], Ok(1_000)),
    ] {
        let judged = judge_by(&rules, status, fields).map(|kept| kept.terms.fresh_until_ms - NOW);
        assert_eq!(judged, wanted, "{status} {fields:?}");
    }
    let only_positive = Rules { ttl_ms: Some(30_000), ..Rules::default() };
    assert_eq!(judge_by(&only_positive, 404, &[]), Err(Bypass::NoLifetime));
}

#[test]
fn a_set_cookie_is_kept_by_nobody_and_may_be_dropped_by_the_route() {
    let rules = Rules { set_cookie: SetCookie::Strip, ..Rules::default() };
    let response = Response::new(200, &["Cache-Control: max-age=60", "Set-Cookie: a=1", "X-A: 1"]);
    assert!(response.judged(&Request::get(&[]), &rules, NOW_TIMES).is_ok());
    let mut head = Vec::new();
    tidegate_cache::storable::write_head(&response.head, &response.bytes, &rules, NOW, &mut head);
    let head = crate::support::text(&head);
    assert!(head.contains("X-A: 1\r\n") && !head.contains("Set-Cookie"), "{head}");
}

#[test]
fn tags_are_hashed_and_bounded() {
    let kept = judge_by(
        &Rules::default(),
        200,
        &["Cache-Control: max-age=60", "Cache-Tag: a, b c,,a", "Surrogate-Key: d  e a", "Cache-Tag: f"],
    )
    .unwrap();
    let mut wanted = [b"a".as_slice(), b"b c", b"d", b"e", b"f"].map(tag_hash);
    wanted.sort_unstable();
    assert_eq!(*kept.tags, wanted);
    // Entries on disk hold these, so they may never change.
    assert_eq!(tag_hash(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(tag_hash(b"foobar"), 0x8594_4171_f739_67e8);

    let many = |count: u32| {
        let names: Vec<String> = (0..count).map(|tag| format!("t{tag}")).collect();
        let names = format!("Surrogate-Key: {}", names.join(" "));
        judge_by(&Rules::default(), 200, &["Cache-Control: max-age=60", &names])
    };
    assert_eq!(many(64).unwrap().tags.len(), 64);
    assert_eq!(many(65), Err(Bypass::TooManyTags));
}

#[test]
fn every_reason_has_its_own_word_and_place() {
    for (at, why) in Bypass::ALL.into_iter().enumerate() {
        assert_eq!(why.index(), at);
        assert_eq!(Bypass::ALL.into_iter().filter(|other| other.code() == why.code()).count(), 1);
        assert!(!why.what().is_empty());
    }
}

#[test]
fn only_what_will_be_so_again_is_remembered() {
    assert!(Bypass::Private.is_lasting(200) && Bypass::Status.is_lasting(302));
    assert!(!Bypass::Authorization.is_lasting(200) && !Bypass::Truncated.is_lasting(200));
    assert!(!Bypass::Status.is_lasting(503));
}
