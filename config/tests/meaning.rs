//! What configurations mean: the smallest one, the usual one, substitution, short forms, merging.

use core::time::Duration;
use std::io;
use std::path::Path;

use tidegate_config::{
    Action, BalanceKey, EndpointAddress, HeaderEdit, HostField, ListenAddress, Loaded, Plan, Rewrite, parse,
    parse_endpoint, parse_listen,
};

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
    assert_eq!(plan.upstreams[0].balance_key, BalanceKey::Header("x-tenant-id".to_owned()));
    assert!(plan.server.trusted.contains("10.1.2.3".parse().unwrap()));
    assert!(plan.server.trusted.contains("::1".parse().unwrap()));
    assert_eq!(plan.routes[1].name, "/api/{id}/*");
    assert_eq!(plan.routes[1].rule.methods, ["GET", "POST"]);
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
