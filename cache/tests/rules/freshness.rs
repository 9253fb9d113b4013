//! How old, how fresh, and what a request may be given (RFC 9111 sections 4.2 and 5.2, RFC 5861).

use tidegate_cache::freshness::{self, Cause, Times, Use, age_s, decide, http_date_s, ttl_s};
use tidegate_cache::{Bypass, Rules, Terms, UnixMs};

use crate::support::{NOW, NOW_TIMES, Request, Response, dated, judge, judge_by};

fn after(terms: &Terms, seconds: u64, request: &[&str]) -> Use {
    decide(terms, &Request::get(request).ask(), NOW + seconds * 1000)
}

fn lifetime_s(fields: &[&str]) -> u64 {
    let terms = judge(fields).unwrap_or_else(|why| panic!("{fields:?}: {why:?}"));
    (terms.fresh_until_ms - terms.born_ms) / 1000
}

/// RFC 9111 sections 4.2.1 and 5.3.
#[test]
fn a_lifetime_comes_from_the_most_specific_of_what_is_said() {
    let (expires, date) = (dated("Expires", 40), dated("Date", -20));
    let changed = dated("Last-Modified", -1020);
    let (past, validator) = (dated("Expires", -40), "ETag: \"a\"");
    for (fields, wanted) in [
        (&["Cache-Control: s-maxage=10, max-age=20", &expires, &changed][..], 10),
        (&["Cache-Control: max-age=20", &expires, &changed, &dated("Date", 0)], 20),
        (&["Cache-Control: public", &expires, &date, &changed], 60),
        // Without a Date, since it came.
        (&[&expires], 40),
        (&[&past, validator], 0),
        (&["Expires: 0", validator], 0),
        (&["Expires: -1", &expires, validator], 0),
        (&["Expires: Thu, 99 Foo 2099 00:00:00 GMT", validator], 0),
        (&[&expires, &dated("Expires", 10)], 10),
        // A tenth of the time since it changed.
        (&[&changed, &date], 100),
        (&[&dated("Last-Modified", -1000)], 100),
        (&[&dated("Last-Modified", -100 * 86_400)], 86_400),
        (&[&dated("Last-Modified", 500), validator], 0),
    ] {
        assert_eq!(lifetime_s(fields), wanted, "{fields:?}");
    }
}

/// RFC 9111 section 4.2.3.
#[test]
fn age_counts_what_upstream_caches_the_clock_and_the_way_say() {
    let times = |delay_ms: UnixMs| Times::new(NOW - delay_ms, NOW);
    for (fields, delay_ms, wanted) in [
        (&[][..], 0, 0),
        (&["Age: 10"], 0, 10),
        (&["Age: 10"], 2_000, 12),
        (&[&dated("Date", -30), "Age: 10"], 2_000, 30),
        (&[&dated("Date", -5), "Age: 10"], 2_000, 12),
        (&[&dated("Date", 30)], 1_500, 1),
        // RFC 9111 section 5.1: the first of several, and nothing if it is no number.
        (&["Age: 7, 9"], 0, 7),
        (&["Age: 7", "Age: 9"], 0, 7),
        (&["Age: -7"], 0, 0),
        (&["Age: 7.5"], 0, 0),
        // Since 1970, which is as far back as a moment goes.
        (&["Age: 99999999999999999999"], 0, NOW / 1000),
    ] {
        let mut fields = fields.to_vec();
        fields.extend(["Cache-Control: max-age=60", "ETag: \"a\""]);
        let response = Response::new(200, &fields);
        let terms = response.judged(&Request::get(&[]), &Rules::default(), times(delay_ms)).unwrap().terms;
        assert_eq!(age_s(&terms, NOW), wanted, "{fields:?} {delay_ms}");
        assert_eq!(age_s(&terms, NOW + 3_999), age_s(&terms, NOW) + 3 + u64::from(delay_ms % 1000 > 0));
    }
    // An age that reaches back before 1970 counts whole all the same.
    let terms = judge(&["Cache-Control: max-age=2147483648", "Age: 2147483648", "ETag: \"a\""]).unwrap();
    assert_eq!(after(&terms, 0, &[]), Use::Validate(Cause::Expired));
}

/// RFC 9111 section 4.2.
#[test]
fn a_response_is_fresh_until_its_age_is_its_lifetime() {
    let terms = judge(&["Cache-Control: max-age=60", "Age: 10"]).unwrap();
    assert_eq!(after(&terms, 49, &[]), Use::Fresh);
    assert_eq!(after(&terms, 50, &[]), Use::Validate(Cause::Expired));
    assert_eq!(ttl_s(&terms, NOW), 50);
    assert_eq!(ttl_s(&terms, NOW + 50_001), -1);
}

/// RFC 9111 section 5.2.1, each directive on its own and together.
#[test]
fn a_request_says_how_fresh_it_wants_it() {
    let terms = judge(&["Cache-Control: max-age=60"]).unwrap();
    let age = Use::Validate(Cause::RequestMaxAge);
    for (value, seconds, wanted) in [
        ("no-cache", 1, Use::Validate(Cause::RequestNoCache)),
        ("max-age=10", 10, Use::Fresh),
        ("max-age=10", 11, age),
        ("max-age=0", 0, Use::Fresh),
        ("max-age=0", 1, age),
        ("max-age=10, max-stale=100", 11, age),
        ("min-fresh=10", 50, Use::Fresh),
        ("min-fresh=10", 51, Use::Validate(Cause::RequestMinFresh)),
        ("max-stale=10", 69, Use::StaleWanted),
        ("max-stale=10", 70, Use::Validate(Cause::Expired)),
        ("max-stale", 100_000, Use::StaleWanted),
        ("max-age=1000", 61, Use::Validate(Cause::Expired)),
        ("max-age=100, max-stale=50", 99, Use::StaleWanted),
    ] {
        let header = format!("Cache-Control: {value}");
        assert_eq!(after(&terms, seconds, &[&header]), wanted, "{value} after {seconds} s");
    }
    assert_eq!(after(&terms, 1, &["Pragma: no-cache"]), Use::Validate(Cause::RequestNoCache));
}

/// RFC 5861 section 3.
#[test]
fn stale_is_served_while_it_is_refreshed() {
    let terms = judge(&["Cache-Control: max-age=60, stale-while-revalidate=30"]).unwrap();
    assert_eq!(after(&terms, 59, &[]), Use::Fresh);
    assert_eq!(after(&terms, 60, &[]), Use::StaleWhileRevalidate);
    assert_eq!(after(&terms, 89, &[]), Use::StaleWhileRevalidate);
    assert_eq!(after(&terms, 90, &[]), Use::Validate(Cause::Expired));
    // What the request says about age counts as well.
    assert_eq!(after(&terms, 65, &["Cache-Control: max-age=1000"]), Use::Validate(Cause::Expired));
    assert_eq!(after(&terms, 65, &["Cache-Control: max-stale=10"]), Use::StaleWhileRevalidate);
    assert_eq!(after(&terms, 75, &["Cache-Control: max-stale=10"]), Use::Validate(Cause::Expired));
    assert_eq!(after(&terms, 95, &["Cache-Control: max-stale=90"]), Use::StaleWanted);
}

/// RFC 5861 section 4.
#[test]
fn stale_stands_in_for_an_origin_that_fails() {
    let terms = judge(&["Cache-Control: max-age=60, stale-if-error=30"]).unwrap();
    assert_eq!(after(&terms, 61, &[]), Use::Validate(Cause::Expired));
    assert!(freshness::may_stand_in(&terms, NOW + 89_999));
    assert!(!freshness::may_stand_in(&terms, NOW + 90_000));
    for status in 100..600 {
        assert_eq!(freshness::is_failure(status), [500, 502, 503, 504].contains(&status));
    }
}

/// The route's `grace` and `stale_if_error`, beside RFC 9111 section 4.2.4.
#[test]
fn the_routes_windows_hold_where_the_response_does_not_say_otherwise() {
    let rules = Rules { grace_ms: Some(7_000), stale_if_error_ms: Some(9_000), ..Rules::default() };
    for (value, stale_s, error_s) in [
        ("max-age=60", 7, 9),
        ("max-age=60, stale-while-revalidate=1", 1, 9),
        ("max-age=60, stale-while-revalidate=0, stale-if-error=0", 0, 0),
        ("max-age=60, stale-while-revalidate=x", 0, 9),
        ("max-age=60, must-revalidate", 0, 0),
        ("max-age=60, proxy-revalidate", 0, 0),
        ("s-maxage=60", 0, 0),
        // Said by the response itself, beside s-maxage.
        ("s-maxage=60, stale-while-revalidate=5", 5, 0),
        ("s-maxage=60, stale-if-error=5", 0, 5),
        ("max-age=60, must-revalidate, stale-while-revalidate=5, stale-if-error=5", 0, 0),
    ] {
        let terms = judge_by(&rules, 200, &[&format!("Cache-Control: {value}")]).unwrap().terms;
        let windows =
            (terms.stale_until_ms - terms.fresh_until_ms, terms.error_until_ms - terms.fresh_until_ms);
        assert_eq!(windows, (stale_s * 1000, error_s * 1000), "{value}");
    }
}

/// RFC 9111 sections 5.2.2.2, 5.2.2.8 and 5.2.2.10.
#[test]
fn what_must_be_revalidated_is_never_served_stale() {
    for value in ["max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60"] {
        let terms = judge(&[&format!("Cache-Control: {value}")]).unwrap();
        assert_eq!(after(&terms, 59, &["Cache-Control: max-stale"]), Use::Fresh, "{value}");
        assert_eq!(
            after(&terms, 60, &["Cache-Control: max-stale"]),
            Use::Validate(Cause::Expired),
            "{value}"
        );
        assert!(!freshness::may_stand_in(&terms, NOW + 60_000), "{value}");
    }
}

/// RFC 9111 section 5.2.2.4.
#[test]
fn no_cache_is_validated_before_each_use() {
    for value in ["no-cache, max-age=60", "no-cache=\"x-a\", max-age=60, stale-if-error=60"] {
        let terms = judge(&[&format!("Cache-Control: {value}"), "ETag: \"a\""]).unwrap();
        assert_eq!(after(&terms, 0, &[]), Use::Validate(Cause::NoCache), "{value}");
        assert_eq!(after(&terms, 0, &["Cache-Control: max-stale"]), Use::Validate(Cause::NoCache), "{value}");
        assert!(!freshness::may_stand_in(&terms, NOW), "{value}");
    }
}

/// RFC 9111 section 3.5.
#[test]
fn an_authorised_request_gets_only_what_is_for_everybody() {
    let authorised = &["Authorization: Basic eA=="];
    let plain = judge(&["Cache-Control: max-age=60"]).unwrap();
    assert_eq!(after(&plain, 1, authorised), Use::Pass(Bypass::Authorization));
    let public = judge(&["Cache-Control: max-age=60, public"]).unwrap();
    assert_eq!(after(&public, 1, authorised), Use::Fresh);
}

/// RFC 9111 section 4, on collapsed requests.
#[test]
fn only_those_read_along_whom_the_response_fits_without_validation() {
    let follows = |response: &[&str], first: &[&str], second: &[&str]| {
        let response = Response::new(200, response);
        let kept = response.judged(&Request::get(first), &Rules::default(), NOW_TIMES).unwrap();
        freshness::may_follow(&kept, &Request::get(second).ask(), NOW)
    };
    let language = &["Cache-Control: max-age=60", "Vary: Accept-Language"];
    assert!(follows(language, &["Accept-Language: de"], &["Accept-Language: DE "]));
    assert!(!follows(language, &["Accept-Language: de"], &["Accept-Language: en"]));
    assert!(!follows(&["Cache-Control: max-age=60"], &[], &["Authorization: Basic eA=="]));
    assert!(!follows(&["Cache-Control: no-cache", "ETag: \"a\""], &[], &[]));
    assert!(!follows(&["Cache-Control: max-age=0", "ETag: \"a\""], &[], &[]));
    assert!(follows(&["Cache-Control: max-age=1"], &[], &[]));
}

/// RFC 9110 section 5.6.7.
#[test]
fn dates_have_three_forms() {
    for value in
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
    {
        assert_eq!(http_date_s(value.as_bytes()), Some(784_111_777), "{value}");
    }
    for value in ["", "0", "-1", "784111777", "Sun, 06 Nov 1994 25:49:37 GMT", "\u{e9}"] {
        assert_eq!(http_date_s(value.as_bytes()), None, "{value}");
    }
}

/// The clock on the wall was set back by an hour: dates are compared with it, ages go on.
#[test]
fn a_date_is_compared_with_the_clock_on_the_wall() {
    const HOUR_S: i64 = 3_600;
    let behind = Times { asked_ms: NOW, arrived_ms: NOW, wall_ms: NOW - 3_600_000 };
    for (fields, age, lifetime) in [
        (&[&*dated("Date", -HOUR_S), "Cache-Control: max-age=60"][..], 0, 60),
        (&[&dated("Date", -HOUR_S - 7), "Cache-Control: max-age=60"], 7, 60),
        (&[&dated("Date", 0), "Cache-Control: max-age=60"], 0, 60),
        // Without a Date, since it came.
        (&[&dated("Expires", 30 - HOUR_S)], 0, 30),
        (&[&dated("Last-Modified", -HOUR_S - 1000)], 0, 100),
    ] {
        let response = Response::new(200, fields);
        let terms = response.judged(&Request::get(&[]), &Rules::default(), behind).unwrap().terms;
        assert_eq!(age_s(&terms, NOW), age, "{fields:?}");
        assert_eq!((terms.fresh_until_ms - terms.born_ms) / 1000, lifetime, "{fields:?}");
    }
}
