//! What configurations mean: the smallest one, the usual one, substitution, short forms, merging.

use core::time::Duration;
use std::io;
use std::path::Path;

use cache::rules::{Cookies, KeyPart, QueryKey};
use tidegate_config::{
    Action, Algorithm, EndpointAddress, HeaderEdit, HostField, ListenAddress, Loaded, Plan, RequestKey,
    Rewrite, parse, parse_endpoint, parse_listen,
};
use traffic::limit::Rule;
use traffic::queue::Priority;

const SMALLEST: &str = r#"
[[listener]]
address = "0.0.0.0:8080"

[upstream.app]
endpoints = ["127.0.0.1:3001", { address = "127.0.0.1:3002", weight = 2 }]

[[route]]
path = "/"
upstream = "app"
"#;

fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("3000".to_owned()),
        "THREADS" => Some("7".to_owned()),
        "WATCH" => Some("true".to_owned()),
        "INJECT" => Some("x\"\nadmin = \"off".to_owned()),
        _ => None,
    }
}

fn file(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("errors/502.html") => Ok(b"<h1>sorry</h1>".to_vec()),
        Some("public/") => Err(io::ErrorKind::IsADirectory.into()),
        Some("errors/large.html") => Ok(vec![b'x'; 256 * 1024 + 1]),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn loaded(text: &str) -> Loaded {
    parse(text, "tidegate.toml", &env, &file).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn plan(text: &str) -> Plan {
    loaded(text).plan
}

/// The smallest configuration with more keys in its upstream and its route.
fn with(upstream: &str, route: &str) -> Plan {
    plan(&format!(
        "[[listener]]\naddress = \":8080\"\n[upstream.app]\nendpoints = [\":3000\"]\n{upstream}\n[[route]]\n{route}\n"
    ))
}

#[test]
fn three_tables_are_enough() {
    let loaded = loaded(SMALLEST);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let plan = loaded.plan;
    assert_eq!(plan.listeners[0].address, ListenAddress::Tcp("0.0.0.0:8080".parse().unwrap()));
    let weights: Vec<u32> = plan.upstreams[0].endpoints.iter().map(|endpoint| endpoint.weight).collect();
    assert_eq!(weights, [1, 2]);
    assert_eq!(plan.routes[0].action, Action::Upstream(0));
    assert_eq!((plan.routes[0].name.as_str(), plan.routes[0].line), ("/", 8));
    assert_eq!(plan.server.admin, Some("127.0.0.1:9900".parse().unwrap()));
    assert_eq!(plan.server.access_log, None);
}

#[test]
fn the_simple_plan_is_the_smallest_file() {
    let simple = Plan::simple(parse_listen(":8080").unwrap(), vec![parse_endpoint(":3000").unwrap()]);
    let mut written = with("", "upstream = \"app\"");
    written.routes[0].line = 0;
    assert_eq!(format!("{simple:?}"), format!("{written:?}"));
}

#[test]
fn defaults_are_those_of_the_brains() {
    let plan = with("health = \"/h\"", "upstream = \"app\"");
    assert_eq!(plan.server.limits.wire, wire::Limits::default());
    assert_eq!(plan.upstreams[0].traffic, traffic::upstream::Settings::default());
    assert_eq!(plan.upstreams[0].health, Some(traffic::health::Settings::http("/h")));
    let hash = with("balance = { by = \"hash\", key = \"path\" }", "upstream = \"app\"");
    let bound = traffic::balance::Policy::HASH_BOUND;
    assert_eq!(hash.upstreams[0].traffic.policy, traffic::balance::Policy::Hash { bound });
    let ewma = with("balance = \"peak-ewma\"", "upstream = \"app\"");
    let decay = traffic::balance::Policy::EWMA_DECAY;
    assert_eq!(ewma.upstreams[0].traffic.policy, traffic::balance::Policy::PeakEwma { decay });
}

#[test]
fn the_example_at_a_glance_works() {
    let text = format!(
        "{SMALLEST}{}",
        r#"
[server]
threads = "auto"
admin = "127.0.0.1:9900"
trusted_proxies = ["10.0.0.0/8", "::1"]

[upstream.app.balance]
by = "hash"
key = "header:X-Tenant-Id"

[upstream.app.health]
path = "/health"
interval = "5s"

[[route]]
path = "/api/{id}/*"
method = ["GET", "POST"]
upstream = "app"
"#
    );
    let plan = plan(&text);
    assert_eq!(plan.upstreams[0].balance_key, Some(RequestKey::Header("x-tenant-id".to_owned())));
    assert!(plan.server.trusted.contains("10.1.2.3".parse().unwrap()));
    assert!(plan.server.trusted.contains("::1".parse().unwrap()));
    assert_eq!(plan.routes[1].name, "/api/{id}/*");
    assert_eq!(plan.routes[1].rule.methods, ["GET", "POST"]);
}

#[test]
fn the_tenant_is_whatever_the_server_says() {
    let text = |server: &str| {
        let upstream = "[upstream.app]\nbalance = { by = \"hash\", key = \"tenant\" }";
        format!("[server]\n{server}\n{}", SMALLEST.replace("[upstream.app]", upstream))
    };
    let plan = plan(&text("tenant = \"cookie:org\""));
    assert_eq!(plan.upstreams[0].balance_key, Some(RequestKey::Cookie("org".to_owned())));
    for server in ["", "tenant = \"tenant\""] {
        assert!(parse(&text(server), "tidegate.toml", &env, &file).is_err(), "{server}");
    }
}

#[test]
fn variables_stand_for_strings_numbers_and_flags() {
    let text = r#"
[server]
threads = "${THREADS}"
watch = "${WATCH}"
[server.limits]
headers = "${HEADERS:-64}"
[[listener]]
address = ":${LISTEN:-8080}"
[[route]]
respond = { body = "$${PORT} is ${PORT}" }
"#;
    let plan = plan(text);
    assert_eq!((plan.server.threads, plan.server.watch, plan.server.limits.wire.headers), (7, true, 64));
    assert_eq!(plan.listeners[0].address, ListenAddress::Tcp("0.0.0.0:8080".parse().unwrap()));
    assert!(matches!(&plan.routes[0].action, Action::Respond { body, .. } if body == "${PORT} is 3000"));
}

#[test]
fn a_variable_cannot_add_keys() {
    let plan = plan("[[listener]]\naddress = \":80\"\n[[route]]\nrespond = { body = \"${INJECT}\" }\n");
    assert!(plan.server.admin.is_some());
    assert!(matches!(&plan.routes[0].action, Action::Respond { body, .. } if body.contains("admin")));
}

#[test]
fn a_route_changes_only_the_deadlines_and_retries_that_it_names() {
    let upstream = "timeouts = { connect = \"1s\", response = \"7s\" }\nretry = { attempts = 5 }";
    let route = "upstream = \"app\"\ntimeouts = { response = \"2m\" }\nretry = { budget = 0.5 }";
    let plan = with(upstream, route);
    let timeouts = &plan.routes[0].timeouts;
    assert_eq!((timeouts.connect, timeouts.response), (Duration::from_secs(1), Duration::from_mins(2)));
    assert_eq!(timeouts.body, Duration::from_mins(1));
    let retry = &plan.routes[0].retry;
    assert_eq!((retry.attempts, retry.budget_share), (5, 0.5));
    assert_eq!(plan.upstreams[0].timeouts.response, Duration::from_secs(7));
}

#[test]
fn off_switches_off() {
    let plan = with("retry = \"off\"\noutlier = \"off\"\nhealth = \"off\"", "upstream = \"app\"");
    let upstream = &plan.upstreams[0];
    assert_eq!((upstream.traffic.retry.attempts, plan.routes[0].retry.attempts), (1, 1));
    let outlier = &upstream.traffic.outlier;
    assert_eq!((outlier.consecutive_failures, outlier.connect_failures), (0, 0));
    assert!(outlier.failure_share > 1.0 && upstream.health.is_none());
    let plan = with("", "upstream = \"app\"\nretry = \"off\"");
    assert_eq!((plan.upstreams[0].traffic.retry.attempts, plan.routes[0].retry.attempts), (3, 1));
}

#[test]
fn short_forms_stand_for_tables() {
    let short = with("balance = \"sticky\"\nhealth = \"/up\"\nhost = \"endpoint\"", "redirect = \"/new\"");
    let long = with(
        "balance = { by = \"sticky\" }\nhealth = { path = \"/up\" }\nhost = \"endpoint\"",
        "redirect = { to = \"/new\", status = 308 }",
    );
    assert_eq!(format!("{short:?}"), format!("{long:?}"));
    assert_eq!(short.upstreams[0].host, HostField::Endpoint);
    assert_eq!(short.upstreams[0].sticky_cookie.as_ref().unwrap().name, "tidegate");
    let tcp = with("health = \"tcp\"", "respond = 404");
    assert_eq!(tcp.upstreams[0].health.as_ref().unwrap().kind, traffic::health::Kind::Tcp);
    assert!(matches!(tcp.routes[0].action, Action::Respond { status: 404, .. }));
}

#[test]
fn every_host_of_a_route_is_a_rule_of_its_own() {
    let plan = with("", "name = \"site\"\nhost = [\"example.org\", \"*.example.org\"]\nupstream = \"app\"");
    let names: Vec<&str> = plan.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["site example.org", "site *.example.org"]);
    let plan = with("", "host = \"example.org\"\npath = \"/x/*\"\nupstream = \"app\"");
    assert_eq!(plan.routes[0].name, "example.org/x/*");
}

#[test]
fn routes_without_a_name_are_told_apart_by_what_they_match() {
    let plan = with(
        "",
        "path = \"/r\"\nmethod = \"POST\"\nupstream = \"app\"\n[[route]]\npath = \"/r\"\nupstream = \"app\"\n\
         [[route]]\npath = \"/r\"\nheader = { \"X-Beta\" = \"on\" }\nupstream = \"app\"",
    );
    let names: Vec<&str> = plan.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["/r POST", "/r", "/r x-beta=on"]);
}

#[test]
fn edits_come_in_the_order_remove_set_add() {
    let route = "upstream = \"app\"\nresponse_headers = { add = { b = \"2\" }, set = { z = \"1\", a = \"1\" }, remove = [\"server\"] }";
    let edits = &with("", route).routes[0].response_headers;
    let text = |text: &str| text.to_owned();
    assert_eq!(
        *edits,
        [
            HeaderEdit::Remove(text("server")),
            HeaderEdit::Set(text("z"), text("1")),
            HeaderEdit::Set(text("a"), text("1")),
            HeaderEdit::Add(text("b"), text("2")),
        ]
    );
}

#[test]
fn paths_are_stripped_and_rewritten() {
    let plan = with("", "path = \"/api/*\"\nstrip = \"/api/\"\nupstream = \"app\"");
    assert_eq!(plan.routes[0].rewrite, Rewrite::Strip("/api".to_owned()));
    let plan = with("", "path = \"/u/{id}/*\"\nrewrite = \"/users/{id}/{rest}\"\nupstream = \"app\"");
    assert_eq!(plan.routes[0].rewrite, Rewrite::Replace("/users/{id}/{rest}".to_owned()));
}

#[test]
fn error_pages_are_read_when_the_file_is() {
    let plan = with("", "upstream = \"app\"\nerror_pages = { 502 = \"errors/502.html\" }");
    let page = &plan.routes[0].error_pages[0];
    assert_eq!((page.status, page.content_type.as_str()), (502, "text/html; charset=utf-8"));
    assert_eq!(page.body, b"<h1>sorry</h1>");
}

#[test]
fn endpoints_take_every_form() {
    let text = SMALLEST.replace("\"127.0.0.1:3001\"", "\"unix:/run/app.sock\", \"app.internal:3000\"");
    let addresses: Vec<_> = plan(&text).upstreams[0].endpoints.iter().map(|e| e.address.clone()).collect();
    assert_eq!(
        addresses,
        [
            EndpointAddress::Unix("/run/app.sock".into()),
            EndpointAddress::Name("app.internal".to_owned(), 3000),
            EndpointAddress::Ip("127.0.0.1:3002".parse().unwrap()),
        ]
    );
}

/// The text of prebuilt lines.
fn text(lines: &[u8]) -> &str {
    core::str::from_utf8(lines).unwrap()
}

#[test]
fn cache_true_keeps_what_the_app_allows() {
    let plan = with("", "upstream = \"app\"\ncache = true");
    let cache = plan.routes[0].cache.as_ref().unwrap();
    assert_eq!(cache.rules, cache::Rules::default());
    assert!(cache.status && cache.purge.is_none());
    assert_eq!((plan.cache.memory_bytes, plan.cache.disk), (256 << 20, None));
    assert!(with("", "upstream = \"app\"\ncache = false").routes[0].cache.is_none());
    assert!(with("", "upstream = \"app\"").routes[0].cache.is_none());
}

#[test]
fn what_a_route_says_about_caching_goes_over_what_the_store_says() {
    let text = SMALLEST.replace(
        "[[route]]",
        "[cache]\nmax_body = \"1 MiB\"\nwait = \"1s\"\nwaiters = 7\nhit_for_miss = \"3s\"\n[[route]]",
    );
    let rules =
        |cache: &str| plan(&format!("{text}cache = {cache}\n")).routes[0].cache.clone().unwrap().rules;
    let plain = rules("true");
    assert_eq!(
        (plain.body_bytes, plain.wait_ms, plain.waiters, plain.hit_for_miss_ms),
        (1 << 20, 1000, 7, 3000)
    );
    let own = rules(
        "{ ttl = \"30s\", grace = \"5m\", negative = \"1s\", stale_if_error = \"1d\", max_body = \"2 MiB\" }",
    );
    assert_eq!((own.ttl_ms, own.grace_ms), (Some(30_000), Some(300_000)));
    assert_eq!((own.negative_ttl_ms, own.stale_if_error_ms), (Some(1000), Some(86_400_000)));
    assert_eq!(own.body_bytes, 2 << 20);
}

#[test]
fn apps_with_sessions_keep_requests_with_cookies_apart() {
    let cookies = |cache: &str| {
        let plan = with("", &format!("upstream = \"app\"\ncache = {cache}"));
        plan.routes[0].cache.as_ref().unwrap().rules.cookies
    };
    assert_eq!(cookies("true"), Cookies::Ignore);
    assert_eq!(cookies("{ template = \"session-app\" }"), Cookies::Bypass);
    assert_eq!(cookies("{ template = \"session-app\", cookies = \"ignore\" }"), Cookies::Ignore);
    assert_eq!(cookies("{ cookies = \"bypass\" }"), Cookies::Bypass);
}

#[test]
fn keys_have_parts() {
    let plan = with(
        "",
        "upstream = \"app\"\ncache = { key = { headers = [\"X-Tenant\"], cookies = [\"Lang\"], device = true, query = \"none\" }, purge = [\"10.0.0.0/8\"] }",
    );
    let cache = plan.routes[0].cache.as_ref().unwrap();
    let parts = [KeyPart::Header("x-tenant".to_owned()), KeyPart::Cookie("Lang".to_owned()), KeyPart::Device];
    assert_eq!(cache.rules.key, parts);
    assert_eq!(cache.rules.query, QueryKey::None);
    assert!(cache.purge.as_ref().unwrap().allows("10.1.2.3".parse().unwrap()));
}

/// Routes that a URL alone does not tell apart may go to different places.
#[test]
fn routes_by_method_or_header_have_keys_of_their_own() {
    let key = |by: &str| {
        let text =
            format!("upstream = \"app\"\nname = \"one\"\ncache = {{ key = {{ device = true }} }}\n{by}");
        with("", &text).routes[0].cache.clone().unwrap().rules.key
    };
    let own = KeyPart::Fixed("one".to_owned());
    assert_eq!(key(""), [KeyPart::Device]);
    assert_eq!(key("path = \"/a/*\"\nhost = \"example.org\""), [KeyPart::Device]);
    assert_eq!(key("header = { x-beta = \"1\" }"), [KeyPart::Device, own.clone()]);
    assert_eq!(key("method = \"GET\""), [KeyPart::Device, own]);
}

#[test]
fn bodies_that_are_kept_fit_into_the_store() {
    let text = SMALLEST.replace("[[route]]", "[cache]\nmemory = \"8 MiB\"\n[[route]]");
    let plan = plan(&format!("{text}cache = true\n"));
    assert_eq!(plan.routes[0].cache.as_ref().unwrap().rules.body_bytes, 8 << 20);
    assert_eq!(plan.cache.shards, 1);
}

#[test]
fn files_are_found_below_the_prefix_of_the_route() {
    let rewrite =
        |path: &str| with("", &format!("path = \"{path}\"\nfiles = \"public/\"")).routes[0].rewrite.clone();
    assert_eq!(rewrite("/static/*"), Rewrite::Strip("/static".to_owned()));
    assert_eq!(rewrite("/u/{id}/*"), Rewrite::Replace("/{rest}".to_owned()));
    assert_eq!(rewrite("/"), Rewrite::None);
    assert_eq!(rewrite("/favicon.ico"), Rewrite::None);
    let own = with("", "path = \"/static/*\"\nfiles = \"public/\"\nrewrite = \"/static/{rest}\"");
    assert_eq!(own.routes[0].rewrite, Rewrite::Replace("/static/{rest}".to_owned()));
}

#[test]
fn files_are_kept_for_ever_when_their_name_changes_with_them() {
    let files =
        |keys: &str| match &with("", &format!("files = {{ root = \"public/\"{keys} }}")).routes[0].action {
            Action::Files(files) => files.clone(),
            other => panic!("{other:?}"),
        };
    let plain = files("");
    assert_eq!(plain.hashed_cache_control, "public, max-age=31536000, immutable");
    assert_eq!(plain.cache_control, "public, max-age=3600");
    assert_eq!((plain.index.as_deref(), plain.fallback, plain.not_found), (Some("index.html"), None, None));
    assert!(plain.precompressed && !plain.clean_urls);
    assert_eq!(files(", cache = \"0s\", index = \"off\"").cache_control, "no-cache");
    assert_eq!(files(", index = \"off\"").index, None);
}

#[test]
fn compression_is_the_servers_unless_the_route_says_otherwise() {
    let text = "[server]\ncompress = { algorithms = [\"gzip\"] }\n[[listener]]\naddress = \":8080\"\n\
                [upstream.app]\nendpoints = [\":3000\"]\n\
                [[route]]\npath = \"/a\"\nupstream = \"app\"\n\
                [[route]]\npath = \"/b\"\nupstream = \"app\"\ncompress = false\n\
                [[route]]\npath = \"/c\"\nupstream = \"app\"\ncompress = true\n\
                [[route]]\npath = \"/d\"\nrespond = 204\n\
                [[route]]\npath = \"/e/*\"\nfiles = \"public/\"\n";
    let plan = plan(text);
    let codings: Vec<Vec<Algorithm>> = plan
        .routes
        .iter()
        .map(|route| {
            let codings =
                route.compress.as_ref().map(|compress| compress.codings.as_slice()).unwrap_or_default();
            codings.iter().map(|coding| coding.algorithm).collect()
        })
        .collect();
    let all = vec![Algorithm::Zstd, Algorithm::Brotli, Algorithm::Gzip];
    assert_eq!(codings, [vec![Algorithm::Gzip], vec![], all, vec![], vec![Algorithm::Gzip]]);
    let types = &plan.routes[2].compress.as_ref().unwrap().types;
    assert!(types.contains(b"application/problem+json") && !types.contains(b"text/event-stream"));
}

#[test]
fn security_fields_are_lines_ready_to_send() {
    let plan = with("", "upstream = \"app\"\nsecurity_headers = true");
    assert!(plan.server.security.is_none());
    let security = plan.routes[0].security.as_ref().unwrap();
    insta::assert_snapshot!(text(&security.lines).replace("\r\n", "\n"), @r#"
    X-Content-Type-Options: nosniff
    X-Frame-Options: SAMEORIGIN
    Referrer-Policy: strict-origin-when-cross-origin
    Permissions-Policy: camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()
    Content-Security-Policy: frame-ancestors 'self'
    "#);
    assert_eq!(text(&security.hsts_line), "Strict-Transport-Security: max-age=31536000\r\n");
    let each: Vec<u8> = security.fields.iter().flat_map(|field| field.line.to_vec()).collect();
    assert_eq!(each, *security.lines);
    for field in &security.fields {
        assert!(text(&field.line).to_ascii_lowercase().starts_with(&format!("{}: ", field.name)));
    }
}

#[test]
fn a_policy_of_ones_own_is_joined_with_the_frames() {
    let policy = |keys: &str| {
        let plan = with("", &format!("upstream = \"app\"\nsecurity_headers = {{ {keys} }}"));
        let lines = text(&plan.routes[0].security.as_ref().unwrap().lines).to_owned();
        lines
            .lines()
            .filter(|line| line.starts_with("Content-S") || line.starts_with("X-Frame"))
            .collect::<Vec<_>>()
            .join("|")
    };
    assert_eq!(
        policy("csp = \"default-src 'self';\""),
        "X-Frame-Options: SAMEORIGIN|Content-Security-Policy: default-src 'self'; frame-ancestors 'self'"
    );
    assert_eq!(
        policy("csp = \"Frame-Ancestors https://a.test\""),
        "Content-Security-Policy: Frame-Ancestors https://a.test"
    );
    assert_eq!(
        policy("frame_ancestors = [\"self\", \"HTTPS://A.test:443\"]"),
        "Content-Security-Policy: frame-ancestors 'self' https://a.test"
    );
    assert_eq!(
        policy("frame_ancestors = \"none\""),
        "X-Frame-Options: DENY|Content-Security-Policy: frame-ancestors 'none'"
    );
    assert_eq!(policy("frame_ancestors = \"off\""), "");
}

#[test]
fn answers_without_a_route_have_the_servers_security_fields() {
    let plan = plan(&format!(
        "[server]\nsecurity_headers = true\n{SMALLEST}[[route]]\npath = \"/x\"\nupstream = \"app\"\nsecurity_headers = false\n"
    ));
    assert!(plan.server.security.is_some() && plan.routes[0].security == plan.server.security);
    assert!(plan.routes[1].security.is_none());
}

#[test]
fn cors_is_lines_ready_to_send() {
    let plan = with(
        "",
        "upstream = \"app\"\ncors = { origins = [\"HTTPS://Example.org:443\", \"http://localhost:5173\"], credentials = true, expose = [\"x-a\", \"x-b\"] }",
    );
    let cors = plan.routes[0].cors.as_ref().unwrap();
    assert_eq!(cors.allow_origin(b"https://example.org"), Some(&b"https://example.org"[..]));
    assert_eq!(cors.allow_origin(b"http://localhost"), None);
    assert_eq!(
        text(&cors.lines),
        "Access-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: x-a, x-b\r\n"
    );
    assert_eq!(
        text(&cors.preflight_lines),
        "Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Methods: GET, HEAD, POST\r\n\
         Access-Control-Allow-Headers: content-type\r\nAccess-Control-Max-Age: 600\r\n"
    );
    let everybody = with("", "upstream = \"app\"\ncors = { origins = \"*\" }");
    let everybody = everybody.routes[0].cors.as_ref().unwrap();
    assert_eq!((everybody.allow_origin(b"null"), text(&everybody.lines)), (Some(&b"*"[..]), ""));
}

#[test]
fn a_surge_tightens_what_it_names_and_loosens_nothing() {
    let plan = plan(
        r#"
[server]
limit = [{ by = "global", concurrency = 5, rate = "100/s" }]
limits.connection_rate = "50/s"
[[listener]]
address = ":8080"
[upstream.app]
endpoints = [":3000"]
queue = { limit = 100, timeout = "3s", target = "2s" }
[upstream.small]
endpoints = [":3001"]
queue = { limit = 10, timeout = "500ms" }
[upstream.free]
endpoints = [":3002"]
queue = "off"
[[route]]
upstream = "app"
limit = [{ rate = "3/m", burst = 1 }, { name = "slow", bandwidth = "1 MiB/s" }]
fallback = { upstream = "small" }
waiting_room = { name = "club", rate = "50/s", secret = "0123456789abcdef" }
[[route]]
path = "/sale/*"
upstream = "free"
priority = "low"
waiting_room = { name = "sale", rate = "8/s", when = "surge", secret = "0123456789abcdef" }
[surge.sale]
limits = "50%"
connection_rate = "10/s"
queue = { limit = 50, timeout = "1s" }
waiting_rooms = 0.1
shed = "low"
"#,
    );
    let surge = plan.surge("sale").unwrap();
    let under = plan.under(surge);
    let second = Duration::from_secs(1);
    let settings = &under.server.limit[0].settings;
    assert_eq!((settings.rule, settings.concurrency), (Rule::new(50, second, 50), 2));
    assert_eq!(under.routes[0].limit[0].settings.rule, Rule::new(3, Duration::from_mins(2), 1));
    assert_eq!(under.routes[0].limit[1], plan.routes[0].limit[1], "bandwidths stay");
    assert_eq!(under.server.limits.connection_rate, Rule::new(10, second, 10));
    let queues = under.upstreams.iter().map(|upstream| &upstream.traffic.queue);
    let queues: Vec<_> = queues.map(|queue| (queue.limit, queue.timeout, queue.target)).collect();
    let (half, target) = (Duration::from_millis(500), Duration::from_millis(100));
    assert_eq!(queues[..2], [(50, second, second), (10, half, target)]);
    assert_eq!(under.upstreams[2].traffic.queue, plan.upstreams[2].traffic.queue);
    assert_eq!(under.rooms.iter().map(|room| room.settings.rate).collect::<Vec<_>>(), [5.0, 8.0]);
    assert_eq!(plan.routes.iter().map(|route| route.room).collect::<Vec<_>>(), [Some(0), None]);
    assert_eq!(under.routes.iter().map(|route| route.room).collect::<Vec<_>>(), [Some(0), Some(1)]);
    assert_eq!((plan.shed, under.shed), (None, Some(Priority::Low)));
    assert_eq!(
        plan.tightens(surge),
        "limits times 0.5, at most 10 new connections of a client, and as many again after 1s, at most 50 wait for a \
         slot, nobody waits longer than 1s for a slot, waiting rooms times 0.1, low priority is refused, people wait in sale"
    );
}
