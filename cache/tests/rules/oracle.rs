//! An independent reading of the RFC: `http-cache-semantics` judges the same requests and responses, and every
//! difference has its row in [`DIFFERENCES`], with the section that decides for us.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tidegate_cache::control::{Directives, Wishes};
use tidegate_cache::freshness::{Use, decide};
use tidegate_cache::{Ask, Rules};

use crate::support::{NOW, NOW_TIMES, Request, Response, dated};

/// What both are asked.
#[derive(Clone, Debug)]
struct Case {
    request: Vec<String>,
    status: u16,
    response: Vec<String>,
    after_s: u64,
}

/// What they say: whether it may be kept, and whether it may be delivered without asking the origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Verdict {
    kept: bool,
    served: bool,
}

/// Where the two differ, and why we are right.
struct Difference {
    /// The section that decides, and how.
    why: &'static str,
    /// What we say where it holds.
    ours: Verdict,
    /// Whether it holds.
    holds: fn(&Case) -> bool,
    /// A case of it: request, status, response, seconds later.
    example: (&'static [&'static str], u16, &'static [&'static str], u64),
}

const KEPT: Verdict = Verdict { kept: true, served: false };
const SERVED: Verdict = Verdict { kept: true, served: true };
const REFUSED: Verdict = Verdict { kept: false, served: false };

const DIFFERENCES: &[Difference] = &[
    Difference {
        why: "RFC 9111 section 3: any final status may be kept that says how long, or public",
        ours: SERVED,
        holds: |case| matches!(case.status, 500 | 599) && (explicit(case) || said(case).public),
        example: (&[], 500, &["Cache-Control: max-age=60"], 1),
    },
    Difference {
        why: "RFC 9111 section 3: the same, once it is stale",
        ours: KEPT,
        holds: |case| matches!(case.status, 500 | 599) && (explicit(case) || said(case).public),
        example: (&[], 500, &["Cache-Control: max-age=60"], 61),
    },
    Difference {
        why: "RFC 9111 section 5.2.2.3: who understands the status ignores no-store beside must-understand",
        ours: SERVED,
        holds: |case| case.status != 599 && said(case).must_understand && said(case).no_store,
        example: (&[], 200, &["Cache-Control: must-understand, no-store, max-age=60"], 1),
    },
    Difference {
        why: "RFC 9111 section 5.2.2.3: the same, once it is stale",
        ours: KEPT,
        holds: |case| case.status != 599 && said(case).must_understand && said(case).no_store,
        example: (&[], 200, &["Cache-Control: must-understand, no-store, max-age=60"], 61),
    },
    Difference {
        why: "RFC 9111 section 4.1: what varies on everything never fits, so it is not kept",
        ours: REFUSED,
        holds: |case| has(case, "Vary: *"),
        example: (&[], 200, &["Cache-Control: max-age=60", "Vary: *"], 1),
    },
    Difference {
        why: "RFC 9111 section 7.3: a cookie is for one client; only the route may say otherwise",
        ours: REFUSED,
        holds: |case| has(case, "Set-Cookie: a=1"),
        example: (&[], 200, &["Cache-Control: max-age=60", "Set-Cookie: a=1"], 1),
    },
    Difference {
        why: "RFC 9111 section 3, last paragraph: what can neither be served nor validated need not be kept",
        ours: REFUSED,
        holds: |case| !case.response.iter().any(|line| line.starts_with("ETag")) && useless(case),
        example: (&[], 200, &[], 1),
    },
    Difference {
        why: "RFC 9111 section 4.2: with a tag and no date to guess from there is no lifetime",
        ours: REFUSED,
        holds: |case| !explicit(case) && !said(case).no_cache && !guessed(case),
        example: (&[], 200, &["ETag: \"a\""], 1),
    },
    Difference {
        why: "RFC 9111 section 5.2.2.8: proxy-revalidate takes nothing from what is fresh",
        ours: SERVED,
        holds: |case| said(case).proxy_revalidate,
        example: (&[], 200, &["Cache-Control: max-age=60, proxy-revalidate"], 1),
    },
    Difference {
        why: "RFC 9111 sections 5.2.2.8 and 5.2.2.10: not even max-stale gets what is stale of these",
        ours: KEPT,
        holds: |case| {
            (said(case).proxy_revalidate || said(case).s_maxage.is_some()) && wished(case).max_stale.is_some()
        },
        example: (&["Cache-Control: max-stale"], 200, &["Cache-Control: s-maxage=60"], 61),
    },
    Difference {
        why: "RFC 9111 section 5.2.2.4: no-cache is validated, whatever the client would take",
        ours: KEPT,
        holds: |case| said(case).no_cache && wished(case).max_stale.is_some(),
        example: (&["Cache-Control: max-stale"], 200, &["Cache-Control: no-cache", "ETag: \"a\""], 1),
    },
    Difference {
        why: "RFC 9111 section 5.2.1.3: what is stale is not fresh for any longer, not even for nothing",
        ours: KEPT,
        holds: |case| wished(case).min_fresh.is_some() && wished(case).max_stale.is_some(),
        example: (&["Cache-Control: max-stale=60, min-fresh=0"], 200, &["Cache-Control: max-age=5"], 6),
    },
    Difference {
        why: "RFC 9111 section 4.2.3: a Date long past is an age as well",
        ours: KEPT,
        holds: |case| case.response.contains(&dated("Date", -50)),
        example: (&[], 200, &["Cache-Control: max-age=60", "Date: DATE-50"], 20),
    },
    Difference {
        why: "RFC 9111 section 4.2.2: no more than a day is guessed",
        ours: KEPT,
        holds: |case| !explicit(case) && case.after_s >= 86_400,
        example: (&[], 200, &["Last-Modified: DATE-9000000"], 100_000),
    },
    Difference {
        why: "RFC 9111 section 5.4: Pragma beside Cache-Control says nothing",
        ours: SERVED,
        holds: |case| {
            has_request(case, "Pragma: no-cache")
                && case.request.iter().any(|line| line.starts_with("Cache-C"))
        },
        example: (&["Pragma: no-cache", "Cache-Control: max-age=30"], 200, &["Cache-Control: max-age=60"], 1),
    },
    Difference {
        why: "RFC 9111 section 5.4: Pragma of a response says nothing",
        ours: SERVED,
        holds: |case| has(case, "Pragma: no-cache"),
        example: (&[], 200, &["Pragma: no-cache", "Expires: DATE+60"], 1),
    },
    Difference {
        why: "RFC 9111 section 4.2.1: of two lifetimes the shorter counts, not the first",
        ours: KEPT,
        holds: |case| repeats(&case.response),
        example: (&[], 200, &["Cache-Control: max-age=60, max-age=5", "ETag: \"a\""], 6),
    },
    Difference {
        why: "RFC 9111 section 3.5: that a lifetime is said twice allows nobody to share what was authorised",
        ours: REFUSED,
        holds: |case| repeats(&case.response) && has_request(case, "Authorization: Basic eA=="),
        example: (&["Authorization: Basic eA=="], 200, &["Cache-Control: max-age=60, max-age=5"], 1),
    },
    Difference {
        why: "RFC 9111 section 5.2.1.1: of two wishes the stricter counts, not the first",
        ours: KEPT,
        holds: |case| repeats(&case.request),
        example: (&["Cache-Control: max-age=60, max-age=5"], 200, &["Cache-Control: max-age=60"], 6),
    },
    Difference {
        why: "RFC 9111 section 5.2.1.2: what the client takes stale is served, whatever is said twice",
        ours: SERVED,
        holds: |case| repeats(&case.response) && wished(case).max_stale.is_some(),
        example: (&["Cache-Control: max-stale=5"], 200, &["Cache-Control: max-age=9, max-age=5"], 9),
    },
];

fn said(case: &Case) -> Directives {
    let response = response(case);
    Directives::of_response(&response.head.headers, &response.bytes)
}

fn wished(case: &Case) -> Wishes {
    let request = request(case);
    Wishes::of_request(&request.head.headers, &request.bytes)
}

fn has(case: &Case, line: &str) -> bool {
    case.response.iter().any(|found| found == line)
}

fn has_request(case: &Case, line: &str) -> bool {
    case.request.iter().any(|found| found == line)
}

fn explicit(case: &Case) -> bool {
    let said = said(case);
    said.s_maxage.is_some()
        || said.max_age.is_some()
        || case.response.iter().any(|line| line.starts_with("Expires"))
}

fn guessed(case: &Case) -> bool {
    case.response.iter().any(|line| line.starts_with("Last-Modified"))
}

/// Neither fresh on arrival nor with a window in which it may be served stale; or nobody says how long.
fn useless(case: &Case) -> bool {
    let mut dated = case.clone();
    dated.response.push("ETag: \"a\"".to_owned());
    dated.request.clear();
    dated.after_s = 0;
    !guessed(case) && ours(&dated) != SERVED
}

fn repeats(lines: &[String]) -> bool {
    let mut names: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("Cache-Control: "))
        .flat_map(|value| value.split(','))
        .map(|member| member.split('=').next().unwrap_or_default().trim())
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() < count
}

fn request(case: &Case) -> Request {
    Request::get(&case.request.iter().map(String::as_str).collect::<Vec<_>>())
}

fn response(case: &Case) -> Response {
    Response::new(case.status, &case.response.iter().map(String::as_str).collect::<Vec<_>>())
}

fn ours(case: &Case) -> Verdict {
    let (request, response, rules) = (request(case), response(case), Rules::default());
    let Ok(ask) = Ask::read(&request.head, &request.bytes, &rules) else { return REFUSED };
    match response.judged(&request, &rules, NOW_TIMES) {
        Ok(kept) => {
            let used = decide(&kept.terms, &ask, NOW + case.after_s * 1000);
            Verdict { kept: true, served: matches!(used, Use::Fresh | Use::StaleWanted) }
        }
        Err(_) => REFUSED,
    }
}

fn theirs(case: &Case) -> Verdict {
    let mut request = http::Request::get("http://a/");
    for line in &case.request {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let request = request.body(()).unwrap();
    let mut response = http::Response::builder().status(case.status);
    for line in &case.response {
        let (name, value) = line.split_once(": ").unwrap();
        response = response.header(name, value);
    }
    let response = response.body(()).unwrap();
    let moment = |ms: u64| -> SystemTime { UNIX_EPOCH + Duration::from_millis(ms) };
    let policy = CachePolicy::new_options(&request, &response, moment(NOW), CacheOptions::default());
    let kept = policy.is_storable();
    let before = policy.before_request(&request, moment(NOW + case.after_s * 1000));
    Verdict { kept, served: kept && matches!(before, BeforeRequest::Fresh(_)) }
}

/// Puts dates in place of `DATE-50`.
fn example(difference: &Difference) -> Case {
    let (request, status, response, after_s) = difference.example;
    let line = |line: &&str| match line.split_once(": DATE") {
        Some((name, offset)) => dated(name, offset.parse().unwrap()),
        None => (*line).to_owned(),
    };
    Case {
        request: request.iter().map(line).collect(),
        status,
        response: response.iter().map(line).collect(),
        after_s,
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let seconds = select(vec![0_u32, 5, 30, 60, 100]);
    let timed = (select(vec!["max-age", "s-maxage"]), seconds.clone())
        .prop_map(|(name, seconds)| format!("{name}={seconds}"));
    let flag = select(vec![
        "public",
        "private",
        "no-store",
        "no-cache",
        "must-revalidate",
        "proxy-revalidate",
        "must-understand",
        "max-age=x",
        "max-age=\"30\"",
        "x=1",
    ])
    .prop_map(str::to_owned);
    let control = vec(prop_oneof![3 => timed, 2 => flag], 1..4)
        .prop_map(|all| format!("Cache-Control: {}", all.join(", ")));
    let single = select(vec![
        "ETag: \"a\"".to_owned(),
        "Age: 20".to_owned(),
        "Vary: *".to_owned(),
        "Vary: X-A".to_owned(),
        "Set-Cookie: a=1".to_owned(),
        "Pragma: no-cache".to_owned(),
        dated("Date", 0),
        dated("Date", -50),
        dated("Expires", 60),
        dated("Expires", -60),
        "Expires: 0".to_owned(),
        dated("Last-Modified", -500),
        dated("Last-Modified", -9_000_000),
    ]);
    let response = vec(prop_oneof![1 => control, 2 => single], 0..5).prop_map(one_line_each);
    let wish = (select(vec!["max-age", "min-fresh", "max-stale"]), seconds)
        .prop_map(|(name, seconds)| format!("{name}={seconds}"));
    let wish = prop_oneof![
        4 => wish,
        1 => select(vec!["no-cache", "no-store", "max-stale", "x"]).prop_map(str::to_owned)
    ];
    let wishes = vec(wish, 1..3).prop_map(|all| format!("Cache-Control: {}", all.join(", ")));
    let other =
        select(vec!["Pragma: no-cache", "Authorization: Basic eA==", "X-A: 1"]).prop_map(str::to_owned);
    let request = vec(prop_oneof![wishes, other], 0..3).prop_map(one_line_each);
    let status = select(vec![200, 200, 200, 301, 302, 404, 410, 500, 501, 599]);
    let after_s = select(vec![0_u64, 1, 4, 5, 6, 10, 29, 31, 40, 51, 59, 60, 61, 100, 1_000, 100_000]);
    (request, status, response, after_s).prop_map(|(request, status, response, after_s)| Case {
        request,
        status,
        response,
        after_s,
    })
}

/// The first line of each name: which of several is meant is asked in the scenes.
fn one_line_each(lines: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        let name = line.split(':').next().unwrap_or_default();
        if !kept.iter().any(|other| other.split(':').next() == Some(name)) {
            kept.push(line);
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn an_independent_reading_agrees_or_a_section_decides(case in cases()) {
        let (ours, theirs) = (ours(&case), theirs(&case));
        let explained = DIFFERENCES.iter().any(|difference| difference.ours == ours && (difference.holds)(&case));
        prop_assert!(ours == theirs || explained, "ours {:?}, theirs {:?}", ours, theirs);
    }
}

/// A row whose example does not differ any more has to go.
#[test]
fn every_difference_is_one() {
    for difference in DIFFERENCES {
        let case = example(difference);
        assert_ne!(ours(&case), theirs(&case), "{}", difference.why);
        assert_eq!(ours(&case), difference.ours, "{}", difference.why);
        assert!((difference.holds)(&case), "{}", difference.why);
    }
}
