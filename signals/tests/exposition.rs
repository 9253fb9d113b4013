//! `/metrics` held against the rules of the text format, and counters against what was counted.

#![expect(clippy::float_cmp, reason = "counts are whole numbers, which a float holds exactly")]

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{HashMap, HashSet};

use cache::{Bypass, Usage};
use tidegate_signals::{
    BreakerReading, Cached, EndpointReading, Finished, LimitedKey, Metric, NONE, OTHER, Observed,
    QueueReading, Reload, RoomReading, RouteSlot, Signals, Stage, SurgeReading, Times, Who,
};
use traffic::Refusal;
use traffic::breaker::Counts;
use traffic::room::Reading;
use wire::Malformed;

/// Samples of a page by name and labels, as written.
type Samples = HashMap<String, f64>;

/// Reads a page as strictly as the format allows: every family begins with HELP and TYPE and is given once, its samples
/// follow at once, labels are escaped, nothing repeats, histograms are cumulative and agree with their count.
fn checked(page: &str) -> Samples {
    let mut families = HashSet::new();
    let mut samples = Samples::new();
    let (mut family, mut kind) = ("", "");
    let mut lines = page.lines().peekable();
    assert!(page.ends_with('\n'));
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            (family, _) = help.split_once(' ').expect("a help text");
            assert!(families.insert(family), "{family} is given twice");
            let next = lines.next().expect("a type behind the help");
            let typed = next.strip_prefix("# TYPE ").expect("a type behind the help");
            kind = typed.strip_prefix(family).expect("the type of the same family").trim();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{next}");
            continue;
        }
        let (head, value) = line.rsplit_once(' ').expect("a value");
        let value = value.parse::<f64>().unwrap_or_else(|error| panic!("{line}: {error}"));
        let name = head.split('{').next().expect("a name");
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{name} stands under {family}"));
        let allowed: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(allowed.contains(&suffix), "{name} is no sample of a {kind}");
        let names = labels(&head[name.len()..]).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let metric = Metric::ALL.iter().find(|metric| metric.name() == family).expect("a metric of the enum");
        let mut expected = metric.labels().to_vec();
        expected.extend((suffix == "_bucket").then_some("le"));
        assert_eq!(names, expected, "{line}");
        assert!(samples.insert(head.to_owned(), value).is_none(), "{head} is given twice");
    }
    check_histograms(page, &samples);
    samples
}

fn check_histograms(page: &str, samples: &Samples) {
    let mut last = 0.0;
    for line in page.lines().filter(|line| line.contains("_bucket{")) {
        let (head, value) = line.rsplit_once(' ').expect("a value");
        let value = value.parse::<f64>().expect("a number");
        if head.contains("le=\"0.0005\"") {
            last = 0.0;
        }
        assert!(value >= last, "{line} is below its predecessor");
        last = value;
        if let Some(series) = head.strip_suffix(",le=\"+Inf\"}") {
            let count = format!("{}}}", series.replacen("_bucket{", "_count{", 1));
            assert_eq!(samples.get(&count), Some(&value), "{count}");
        }
    }
}

/// Names and unescaped values inside the braces.
fn labels(text: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        assert_eq!(text, "");
        return found;
    };
    loop {
        let (name, behind) = rest.split_once("=\"").expect("a value in quotes");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        let mut value = String::new();
        let mut characters = behind.char_indices();
        let end = loop {
            match characters.next().expect("a closing quote") {
                (_, '\\') => match characters.next().expect("something behind the backslash").1 {
                    'n' => value.push('\n'),
                    escaped @ ('\\' | '"') => value.push(escaped),
                    other => panic!("\\{other} is no escape"),
                },
                (at, '"') => break at,
                (_, other) => value.push(other),
            }
        };
        found.push((name, value));
        rest = &behind[end + 1..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => break,
        }
    }
    assert_eq!(rest, "}");
    found
}

/// Endpoints as the binary would give them.
struct Scene(Vec<(&'static str, &'static str, &'static str, bool)>);

impl Observed for Scene {
    fn surges(&self, each: &mut dyn FnMut(SurgeReading<'_>)) {
        let off = SurgeReading { profile: "night", tightens: "", on: None, left: None };
        each(off);
        each(SurgeReading { profile: "sale", on: Some(Duration::from_secs(5)), ..off });
    }

    fn queues(&self, each: &mut dyn FnMut(QueueReading<'_>)) {
        each(QueueReading {
            upstream: "app",
            limit: Some(8),
            is_adaptive: true,
            taken: 7,
            in_flight: 9,
            waiting: [1, 2, 3],
            most_waiting: 1_000,
        });
    }

    fn limits(&self) -> traffic::limit::Usage {
        traffic::limit::Usage { entries: 3, memory_bytes: 4_096, overflowed: 2, ..Default::default() }
    }

    fn limited(&self, _most: usize) -> Vec<LimitedKey> {
        Vec::new()
    }

    fn cache(&self) -> Usage {
        let mut usage = Usage {
            entries: 7,
            memory_bytes: 1_000,
            used_bytes: 15,
            head_bytes: 1,
            body_bytes: 2,
            overhead_bytes: 3,
            filling_bytes: 4,
            leaving_bytes: 5,
            hits_total: 4,
            hit_age_ms_total: 6_500,
            evictions_total: 9,
            ..Usage::default()
        };
        usage.refused_total[Bypass::NoStore.index()] = 8;
        usage
    }

    fn rooms(&self, each: &mut dyn FnMut(RoomReading<'_>)) {
        let wait = Duration::from_millis(2_500);
        let reading =
            Reading { waiting: 125, inside: 30, wait, admitted: 400, told: 900, invalid: [0, 0, 6, 0, 0, 0] };
        each(RoomReading { name: "main", reading });
    }

    fn breakers(&self, each: &mut dyn FnMut(BreakerReading<'_>)) {
        let counts = Counts { opened: [2, 0, 1], half_opened: 3, closed: 1, short_circuited: 44 };
        each(BreakerReading { upstream: "app", state: "open", why: "it is", counts, left: None });
    }

    fn endpoints(&self, each: &mut dyn FnMut(EndpointReading<'_>)) {
        for &(upstream, address, state, available) in &self.0 {
            let (why, in_flight, weight, backup) = ("", 3, 2, false);
            let ewma = Some(Duration::from_micros(1_500));
            each(EndpointReading {
                upstream,
                address,
                state,
                available,
                why,
                in_flight,
                weight,
                backup,
                ewma,
            });
        }
    }
}

fn finished() -> Finished<'static> {
    Finished {
        status: 200,
        tries: 1,
        reused: true,
        received_bytes: 10,
        sent_bytes: 100,
        times: Times { total: Duration::from_millis(3), wait: Duration::from_millis(2), ..Times::default() },
        client: Some(IpAddr::from([127, 0, 0, 1])),
        method: b"GET",
        target: b"/",
        host: b"example.com",
        version: 11,
        ..Finished::default()
    }
}

#[test]
fn a_fresh_process_gives_a_valid_page() {
    let samples = checked(&Signals::new(2).render(&Scene(Vec::new())));
    assert_eq!(samples["tidegate_connections_open"], 0.0);
    assert_eq!(samples["tidegate_last_reload_successful"], 1.0);
    assert_eq!(samples["tidegate_surge_on{profile=\"night\"}"], 0.0);
    assert_eq!(samples["tidegate_surge_on{profile=\"sale\"}"], 1.0);
    assert_eq!(samples["tidegate_requests_total{route=\"(none)\",class=\"5xx\"}"], 0.0);
}

#[test]
fn limits_are_counted_by_route_and_name_and_their_keys_nowhere() {
    let signals = Signals::new(1);
    let (own, server) = (signals.limit("/api/*", "client"), signals.limit("(server)", "client"));
    let shard = signals.shard(0);
    shard.limit_admitted(own);
    shard.limit_admitted(own);
    shard.limit_refused(own);
    shard.limit_dry(server);
    let samples = checked(&signals.render(&Scene(Vec::new())));
    let count = |route: &str, result: &str| {
        samples[&*format!(
            "tidegate_limit_requests_total{{route=\"{route}\",limit=\"client\",result=\"{result}\"}}"
        )]
    };
    assert_eq!(["admitted", "limited", "dry-run"].map(|result| count("/api/*", result)), [2.0, 1.0, 0.0]);
    assert_eq!(["admitted", "limited", "dry-run"].map(|result| count("(server)", result)), [0.0, 0.0, 1.0]);
    assert_eq!(samples["tidegate_limit_entries"], 3.0);
    assert_eq!(samples["tidegate_limit_overflows_total"], 2.0);
    signals.keep_limits(&[own]);
    assert_eq!(signals.limit("/api/*", "client"), own);
}

#[test]
fn events_of_several_threads_are_counted_exactly() {
    const EVENTS: u64 = 20_000;
    let signals = Signals::new(4);
    let (route, upstream) = (signals.route("example.com/x"), signals.upstream("app"));
    let endpoint = signals.endpoint(upstream, "127.0.0.1:3001");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let shard = signals.shard(thread);
            scope.spawn(move || {
                let finished = Finished {
                    route: Some(route),
                    upstream: Some(upstream),
                    endpoint: Some(endpoint),
                    ..finished()
                };
                for number in 0..EVENTS {
                    shard.connection_opened();
                    shard.upstream_reused(upstream);
                    let status = if number % 10 == 0 { 502 } else { 200 };
                    shard.finished(&Finished { status, ..finished });
                    shard.connection_closed();
                }
            });
        }
        // Readers may come at any time and see a valid page.
        for _ in 0..20 {
            checked(&signals.render(&Scene(Vec::new())));
        }
    });
    let all = (4 * EVENTS) as f64;
    let samples = checked(&signals.render(&Scene(Vec::new())));
    let expected = [
        ("tidegate_connections_total", all),
        ("tidegate_connections_open", 0.0),
        ("tidegate_requests_total{route=\"example.com/x\",class=\"2xx\"}", all * 0.9),
        ("tidegate_requests_total{route=\"example.com/x\",class=\"5xx\"}", all * 0.1),
        ("tidegate_request_duration_seconds_count{route=\"example.com/x\"}", all),
        ("tidegate_request_duration_seconds_bucket{route=\"example.com/x\",le=\"0.0025\"}", 0.0),
        ("tidegate_request_duration_seconds_bucket{route=\"example.com/x\",le=\"0.005\"}", all),
        ("tidegate_request_body_bytes_total{route=\"example.com/x\"}", all * 10.0),
        ("tidegate_response_bytes_total{route=\"example.com/x\"}", all * 100.0),
        ("tidegate_request_ends_total{who=\"complete\",stage=\"done\"}", all),
        ("tidegate_upstream_requests_total{upstream=\"app\",class=\"2xx\"}", all * 0.9),
        ("tidegate_upstream_wait_seconds_count{upstream=\"app\"}", all),
        ("tidegate_upstream_connections_total{upstream=\"app\",origin=\"reused\"}", all),
        (
            "tidegate_endpoint_requests_total{upstream=\"app\",endpoint=\"127.0.0.1:3001\",class=\"5xx\"}",
            all * 0.1,
        ),
    ];
    for (name, value) in expected {
        assert_eq!(samples.get(name).map(|found| found.round()), Some(value.round()), "{name}");
    }
    let seconds = samples["tidegate_request_duration_seconds_sum{route=\"example.com/x\"}"];
    assert!((seconds - all * 0.003).abs() < 1e-6, "{seconds}");
    assert!(!samples.keys().any(|name| name.starts_with("tidegate_upstream_connect_seconds")));
}

#[test]
fn names_of_people_are_escaped() {
    let signals = Signals::new(1);
    let route = signals.route("a \"b\" \\ c\nd");
    signals.shard(0).finished(&Finished { route: Some(route), ..finished() });
    let samples = checked(&signals.render(&Scene(Vec::new())));
    assert_eq!(samples["tidegate_requests_total{route=\"a \\\"b\\\" \\\\ c\\nd\",class=\"2xx\"}"], 1.0);
}

#[test]
fn what_the_cache_did_is_counted_by_route() {
    let signals = Signals::new(2);
    let route = Some(signals.route("/x"));
    signals.shard(0).finished(&Finished { route, ..finished() });
    for (shard, cached) in [
        (0, Cached::Hit),
        (1, Cached::Hit),
        (0, Cached::Stale),
        (1, Cached::Collapsed),
        (0, Cached::Revalidated),
        (0, Cached::Miss),
        (0, Cached::Bypass(Bypass::Method)),
    ] {
        signals.shard(shard).finished(&Finished { route, cached: Some(cached), ..finished() });
    }
    let samples = checked(&signals.render(&Scene(Vec::new())));
    let outcome =
        |word: &str| samples[&format!("tidegate_cache_requests_total{{route=\"/x\",outcome=\"{word}\"}}")];
    assert_eq!(Cached::CODES.map(outcome), [2.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(samples["tidegate_cache_hit_bytes_total{route=\"/x\"}"], 400.0);
    assert_eq!(samples["tidegate_cache_bypasses_total{reason=\"method\"}"], 1.0);
    assert!(!samples.keys().any(|name| name.contains("_cache_") && name.contains("(none)")));
    let totals = signals.totals();
    let route = totals.routes.iter().find(|route| &*route.name == "/x").unwrap();
    assert_eq!((route.cacheable(), route.hits(), route.hit_bytes, route.sent_bytes), (7, 4, 400, 800));
}

#[test]
fn what_the_cache_holds_is_read_when_the_page_is() {
    let samples = checked(&Signals::new(1).render(&Scene(Vec::new())));
    for (name, value) in [
        ("tidegate_cache_entries", 7.0),
        ("tidegate_cache_memory_limit_bytes", 1_000.0),
        ("tidegate_cache_memory_bytes{part=\"heads\"}", 1.0),
        ("tidegate_cache_memory_bytes{part=\"leaving\"}", 5.0),
        ("tidegate_cache_hits_total", 4.0),
        ("tidegate_cache_hit_age_seconds_total", 6.5),
        ("tidegate_cache_evictions_total", 9.0),
        ("tidegate_cache_not_kept_total{reason=\"no-store\"}", 8.0),
    ] {
        assert_eq!(samples[name], value, "{name}");
    }
}

#[test]
fn refusals_are_counted_by_code_and_broken_rule() {
    let signals = Signals::new(1);
    let shard = signals.shard(0);
    let (who, stage, status) = (Who::Client, Stage::Head, 400);
    for refusal in [
        Refusal::Malformed(Malformed::ObsFold),
        Refusal::Malformed(Malformed::ObsFold),
        Refusal::ResponseMalformed(Malformed::BadStatus),
        Refusal::NoRoute,
    ] {
        shard.finished(&Finished { who, stage, status, refusal: Some(refusal), ..finished() });
    }
    shard.connection_refused(Refusal::TooManyConnections);
    let samples = checked(&signals.render(&Scene(Vec::new())));
    for (name, value) in [
        ("tidegate_refusals_total{code=\"malformed\"}", 2.0),
        ("tidegate_refusals_total{code=\"response_malformed\"}", 1.0),
        ("tidegate_refusals_total{code=\"no_route\"}", 1.0),
        ("tidegate_refusals_total{code=\"draining\"}", 0.0),
        ("tidegate_malformed_total{side=\"request\",detail=\"obs_fold\"}", 2.0),
        ("tidegate_malformed_total{side=\"response\",detail=\"bad_status\"}", 1.0),
        ("tidegate_connections_refused_total{code=\"too_many_connections\"}", 1.0),
        ("tidegate_request_ends_total{who=\"client\",stage=\"head\"}", 4.0),
        ("tidegate_requests_total{route=\"(none)\",class=\"4xx\"}", 4.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}");
    }
}

#[test]
fn what_befalls_upstreams_and_endpoints_is_counted_by_reason() {
    let signals = Signals::new(2);
    let upstream = signals.upstream("app");
    let endpoint = signals.endpoint(upstream, "10.0.0.1:80");
    for index in 0..2 {
        let shard = signals.shard(index);
        shard.upstream_connected(upstream);
        shard.upstream_closed(upstream, "idle");
        shard.retry(upstream, "connect_failed");
        shard.retry_refused(upstream, "budget");
        shard.resolved(upstream, index == 0);
        shard.endpoint_failed(endpoint, "reset");
        shard.endpoint_ejected(endpoint, "consecutive");
        shard.endpoint_returned(endpoint);
        shard.endpoint_probed(endpoint, index == 0);
        shard.tunnel_opened();
    }
    signals.shard(0).tunnel_closed();
    signals.reloaded(Reload::Applied);
    signals.reloaded(Reload::Refused);
    let scene = Scene(vec![
        ("app", "10.0.0.1:80", "ejected", false),
        ("app", "10.0.0.1:80", "up", true),
        ("app", "10.0.0.2:80", "up", true),
    ]);
    let samples = checked(&signals.render(&scene));
    let at = "upstream=\"app\",endpoint=\"10.0.0.1:80\"";
    for (name, value) in [
        ("tidegate_upstream_connections_total{upstream=\"app\",origin=\"new\"}".to_owned(), 2.0),
        ("tidegate_upstream_connections_closed_total{upstream=\"app\",reason=\"idle\"}".to_owned(), 2.0),
        ("tidegate_upstream_retries_total{upstream=\"app\",reason=\"connect_failed\"}".to_owned(), 2.0),
        ("tidegate_upstream_retries_refused_total{upstream=\"app\",reason=\"budget\"}".to_owned(), 2.0),
        ("tidegate_upstream_resolutions_total{upstream=\"app\",result=\"failed\"}".to_owned(), 1.0),
        (format!("tidegate_endpoint_failures_total{{{at},reason=\"reset\"}}"), 2.0),
        (format!("tidegate_endpoint_ejections_total{{{at},reason=\"consecutive\"}}"), 2.0),
        (format!("tidegate_endpoint_returns_total{{{at}}}"), 2.0),
        (format!("tidegate_endpoint_probes_total{{{at},result=\"passed\"}}"), 1.0),
        (format!("tidegate_endpoint_state{{{at},state=\"ejected\"}}"), 1.0),
        (format!("tidegate_endpoint_available{{{at}}}"), 0.0),
        (format!("tidegate_endpoint_requests_in_flight{{{at}}}"), 3.0),
        (format!("tidegate_endpoint_weight{{{at}}}"), 2.0),
        ("tidegate_room_waiting{room=\"main\"}".to_owned(), 125.0),
        ("tidegate_room_wait_seconds{room=\"main\"}".to_owned(), 2.5),
        ("tidegate_room_cookies_refused_total{room=\"main\",reason=\"forged\"}".to_owned(), 6.0),
        ("tidegate_breaker_state{upstream=\"app\",state=\"open\"}".to_owned(), 1.0),
        ("tidegate_breaker_transitions_total{upstream=\"app\",to=\"probe_failed\"}".to_owned(), 1.0),
        ("tidegate_breaker_short_circuited_total{upstream=\"app\"}".to_owned(), 44.0),
        (format!("tidegate_endpoint_ewma_seconds{{{at}}}"), 0.0015),
        ("tidegate_tunnels_open".to_owned(), 1.0),
        ("tidegate_tunnels_total".to_owned(), 2.0),
        ("tidegate_reloads_total{result=\"refused\"}".to_owned(), 1.0),
        ("tidegate_last_reload_successful".to_owned(), 0.0),
    ] {
        assert_eq!(samples.get(&name), Some(&value), "{name}");
    }
}

#[test]
fn counters_survive_a_reload_that_keeps_the_name() {
    let signals = Signals::new(1);
    let shard = signals.shard(0);
    let before = signals.route("/x");
    shard.finished(&Finished { route: Some(before), ..finished() });
    let after = signals.route("/x");
    signals.keep_routes(&[after]);
    shard.finished(&Finished { route: Some(after), ..finished() });
    let samples = checked(&signals.render(&Scene(Vec::new())));
    assert_eq!(samples["tidegate_requests_total{route=\"/x\",class=\"2xx\"}"], 2.0);
}

#[test]
fn routes_past_the_bound_share_one_name() {
    let signals = Signals::new(1);
    let shard = signals.shard(0);
    for number in 0..tidegate_signals::MAX_ROUTES + 10 {
        signals.route(&format!("/{number}"));
    }
    let late = signals.route("/late");
    assert_eq!(late, RouteSlot::OTHER);
    shard.finished(&Finished { route: Some(late), ..finished() });
    let samples = checked(&signals.render(&Scene(Vec::new())));
    assert_eq!(samples[&format!("tidegate_requests_total{{route=\"{OTHER}\",class=\"2xx\"}}")], 1.0);
    assert_eq!(samples[&format!("tidegate_requests_total{{route=\"{NONE}\",class=\"2xx\"}}")], 0.0);
    // Two places are taken by the names that are always there.
    assert_eq!(samples["tidegate_names_turned_away_total{kind=\"route\"}"], 13.0);
}

#[test]
fn totals_say_what_a_person_asks() {
    let signals = Signals::new(1);
    let (route, upstream) = (signals.route("/x"), signals.upstream("app"));
    for _ in 0..100 {
        let finished = Finished { route: Some(route), upstream: Some(upstream), ..finished() };
        signals.shard(0).finished(&finished);
    }
    let totals = signals.totals();
    let found = totals.routes.iter().find(|route| &*route.name == "/x").unwrap();
    assert_eq!((found.requests(), found.by_class()), (100, [0, 0, 100, 0, 0, 0]));
    let latency = found.latency().unwrap();
    assert!(
        latency.p50 >= Duration::from_micros(2_500) && latency.p99 <= Duration::from_millis(5),
        "{latency:?}"
    );
    assert_eq!(totals.upstreams.iter().find(|upstream| &*upstream.name == "app").unwrap().requests(), 100);
}
