//! One finished request as one line, in either format. Fields are listed once, here.

use core::net::IpAddr;
use core::time::Duration;
use std::io::Write as _;
use std::time::SystemTime;

use super::clock::Clock;
use super::escape;
use crate::outcome;
use crate::request::{Cached, Finished};

/// Names behind the slots of a request; empty where there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labels<'a> {
    pub(crate) route: &'a str,
    pub(crate) upstream: &'a str,
    pub(crate) endpoint: &'a str,
}

/// Appends one JSON object and a line feed. Members without a value are left out, except for the numbers.
pub(crate) fn json(
    out: &mut Vec<u8>,
    finished: &Finished<'_>,
    labels: Labels<'_>,
    share: f64,
    clock: &mut Clock,
    now: SystemTime,
) {
    out.extend_from_slice(b"{\"time\":\"");
    clock.rfc3339(out, now);
    out.push(b'"');
    text(out, "end", outcome::code(finished.who, finished.stage).as_bytes());
    number(out, "status", finished.status.into());
    if let Some(refusal) = finished.refusal {
        text(out, "refusal", refusal.code().as_bytes());
        if let Some(detail) = refusal.detail() {
            text(out, "detail", detail.code().as_bytes());
        }
    }
    text(out, "limit", finished.limit.as_bytes());
    text(out, "method", finished.method);
    text(out, "host", finished.host);
    text(out, "target", finished.target);
    text(out, "version", version(finished.version).as_bytes());
    if let Some(client) = finished.client {
        key(out, "client");
        out.push(b'"');
        address(out, client);
        out.push(b'"');
    }
    text(out, "route", labels.route.as_bytes());
    text(out, "upstream", labels.upstream.as_bytes());
    text(out, "endpoint", labels.endpoint.as_bytes());
    if let Some(cached) = finished.cached {
        text(out, "cache", cached.code().as_bytes());
        if let Cached::Bypass(why) = cached {
            text(out, "bypass", why.code().as_bytes());
        }
    }
    number(out, "tries", finished.tries.into());
    key(out, "reused");
    out.extend_from_slice(if finished.reused { b"true" } else { b"false" });
    number(out, "received_bytes", finished.received_bytes);
    number(out, "sent_bytes", finished.sent_bytes);
    for (name, time) in [
        ("total_ms", finished.times.total),
        ("held_ms", finished.times.held),
        ("queued_ms", finished.times.queued),
        ("connect_ms", finished.times.connect),
        ("wait_ms", finished.times.wait),
    ] {
        key(out, name);
        thousandths(out, time.as_micros());
    }
    text(out, "referer", finished.referer);
    text(out, "user_agent", finished.user_agent);
    text(out, "request_id", finished.request_id);
    text(out, "trace_id", finished.trace_id);
    if share < 1.0 {
        // Whoever counts lines multiplies by its inverse.
        key(out, "sample");
        let _ = write!(out, "{share}");
    }
    out.extend_from_slice(b"}\n");
}

/// Appends one line of the combined format, with Tidegate's own fields behind.
pub(crate) fn combined(
    out: &mut Vec<u8>,
    finished: &Finished<'_>,
    labels: Labels<'_>,
    clock: &mut Clock,
    now: SystemTime,
) {
    match finished.client {
        Some(client) => address(out, client),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - - [");
    clock.combined(out, now);
    out.extend_from_slice(b"] \"");
    if finished.method.is_empty() {
        out.push(b'-');
    } else {
        escape::combined(out, finished.method);
        out.push(b' ');
        escape::combined(out, finished.target);
        out.push(b' ');
        out.extend_from_slice(version(finished.version).as_bytes());
    }
    out.extend_from_slice(b"\" ");
    decimal(out, finished.status.into());
    out.push(b' ');
    decimal(out, finished.sent_bytes);
    quoted(out, finished.referer);
    quoted(out, finished.user_agent);
    out.push(b' ');
    out.extend_from_slice(outcome::code(finished.who, finished.stage).as_bytes());
    out.push(b' ');
    thousandths(out, Duration::as_millis(&finished.times.total));
    for label in [labels.route, labels.upstream, labels.endpoint, finished.cached.map_or("", Cached::code)] {
        quoted(out, label.as_bytes());
    }
    out.push(b'\n');
}

const fn version(version: u8) -> &'static str {
    match version {
        10 => "HTTP/1.0",
        11 => "HTTP/1.1",
        _ => "HTTP/?",
    }
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if value.is_empty() {
        return;
    }
    key(out, name);
    out.push(b'"');
    escape::json(out, value);
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    decimal(out, value);
}

fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(b" \"");
    if value.is_empty() {
        out.push(b'-');
    } else {
        escape::combined(out, value);
    }
    out.push(b'"');
}

fn decimal(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A count of thousandths as a decimal fraction with three places, exactly.
fn thousandths(out: &mut Vec<u8>, count: u128) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    decimal(out, count / 1_000);
    let rest = count % 1_000;
    out.extend_from_slice(&[
        b'.',
        b'0' + (rest / 100) as u8,
        b'0' + (rest / 10 % 10) as u8,
        b'0' + (rest % 10) as u8,
    ]);
}

fn address(out: &mut Vec<u8>, client: IpAddr) {
    match client {
        IpAddr::V4(client) => {
            let [first, rest @ ..] = client.octets();
            decimal(out, first.into());
            for octet in rest {
                out.push(b'.');
                decimal(out, octet.into());
            }
        }
        // These format without an allocation too, and a vector takes every write.
        IpAddr::V6(client) => drop(write!(out, "{client}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use traffic::Refusal;
    use wire::Malformed;

    use super::*;
    use crate::request::tests::finished;
    use crate::request::{Stage, Times, Who};

    const LABELS: Labels<'static> =
        Labels { route: "example.com/x", upstream: "app", endpoint: "127.0.0.1:3001" };

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)
    }

    fn json_line(finished: &Finished<'_>, share: f64) -> String {
        let mut out = Vec::new();
        json(&mut out, finished, LABELS, share, &mut Clock::new(), now());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_json_line_holds_every_field() {
        let finished = Finished {
            client: Some("2001:db8::1".parse().unwrap()),
            times: Times {
                total: Duration::from_micros(12_345),
                held: Duration::ZERO,
                queued: Duration::from_micros(1_500),
                connect: Duration::from_micros(90),
                wait: Duration::from_millis(12),
            },
            referer: b"https://example.com/",
            user_agent: b"ab/2.3 \"x\"",
            request_id: b"r1",
            limit: "",
            trace_id: b"0af7651916cd43dd8448eb211c80319c",
            ..finished()
        };
        let expected = concat!(
            r#"{"time":"2023-11-14T22:13:20.123Z","end":"complete","status":200,"method":"GET","host":"example.com","#,
            r#""target":"/x?y=1","version":"HTTP/1.1","client":"2001:db8::1","route":"example.com/x","#,
            r#""upstream":"app","endpoint":"127.0.0.1:3001","tries":1,"reused":true,"received_bytes":0,"#,
            r#""sent_bytes":1200,"total_ms":12.345,"held_ms":0.000,"queued_ms":1.500,"connect_ms":0.090,"wait_ms":12.000,"#,
            r#""referer":"https://example.com/","user_agent":"ab/2.3 \"x\"","request_id":"r1","#,
            r#""trace_id":"0af7651916cd43dd8448eb211c80319c"}"#,
            "\n"
        );
        assert_eq!(json_line(&finished, 1.0), expected);
    }

    #[test]
    fn a_refusal_says_its_code_and_which_rule_was_broken() {
        let finished = Finished {
            who: Who::Client,
            stage: Stage::Head,
            status: 400,
            refusal: Some(Refusal::Malformed(Malformed::ObsFold)),
            ..finished()
        };
        let line: serde_json::Value = serde_json::from_str(&json_line(&finished, 0.25)).unwrap();
        assert_eq!(line["refusal"], "malformed");
        assert_eq!(line["detail"], Malformed::ObsFold.code());
        assert_eq!(line["end"], "client/head");
        assert_eq!(line["sample"], 0.25);
    }

    #[test]
    fn a_line_says_what_the_cache_did() {
        let line = |cached| -> serde_json::Value {
            serde_json::from_str(&json_line(&Finished { cached, ..finished() }, 1.0)).unwrap()
        };
        assert_eq!(line(Some(Cached::Hit))["cache"], "hit");
        let bypassed = line(Some(Cached::Bypass(cache::Bypass::RequestCookie)));
        assert_eq!((&bypassed["cache"], &bypassed["bypass"]), (&"bypass".into(), &"request-cookie".into()));
        assert!(line(None).get("cache").is_none());
    }

    #[test]
    fn a_combined_line_is_the_known_one_with_more_behind() {
        let mut out = Vec::new();
        let finished = Finished {
            client: Some("192.0.2.7".parse().unwrap()),
            who: Who::Client,
            stage: Stage::Deliver,
            user_agent: b"a \"quoted\" agent",
            cached: Some(Cached::Stale),
            times: Times { total: Duration::from_millis(61_250), ..Times::default() },
            ..finished()
        };
        combined(&mut out, &finished, LABELS, &mut Clock::new(), now());
        let expected = concat!(
            r#"192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "GET /x?y=1 HTTP/1.1" 200 1200 "-" "a \"quoted\" agent" "#,
            r#"client/deliver 61.250 "example.com/x" "app" "127.0.0.1:3001" "stale""#,
            "\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_request_that_was_never_read_has_a_line_too() {
        let mut out = Vec::new();
        let finished = Finished { method: b"", target: b"", client: None, status: 408, ..finished() };
        combined(
            &mut out,
            &finished,
            Labels { route: "", upstream: "", endpoint: "" },
            &mut Clock::new(),
            now(),
        );
        let line = String::from_utf8(out).unwrap();
        assert!(line.starts_with("- - - [14/Nov/2023:22:13:20 +0000] \"-\" 408 "), "{line}");
        assert!(line.ends_with(" \"-\" \"-\" \"-\" \"-\"\n"), "{line}");
    }

    proptest! {
        #[test]
        fn any_bytes_make_one_valid_line(
            target in any::<Vec<u8>>(),
            user_agent in any::<Vec<u8>>(),
            host in any::<String>(),
            status in any::<u16>(),
            sent_bytes in any::<u64>(),
            total in any::<Duration>(),
        ) {
            let times = Times { total, ..Times::default() };
            let finished = Finished {
                target: &target, user_agent: &user_agent, host: host.as_bytes(), status, sent_bytes, times, ..finished()
            };
            let line = json_line(&finished, 1.0);
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(parsed["status"].as_u64(), Some(status.into()));
            prop_assert_eq!(parsed["sent_bytes"].as_u64(), Some(sent_bytes));
            prop_assert_eq!(parsed["host"].as_str().unwrap_or(""), host.as_str());
            prop_assert_eq!(parsed["target"].as_str().is_some(), !target.is_empty());
            if let Ok(text) = std::str::from_utf8(&target) {
                prop_assert_eq!(parsed["target"].as_str().unwrap_or(""), text);
            }
            let mut out = Vec::new();
            combined(&mut out, &finished, LABELS, &mut Clock::new(), now());
            prop_assert_eq!(out.iter().position(|&byte| byte == b'\n'), Some(out.len() - 1));
            prop_assert!(out[..out.len() - 1].iter().all(|byte| (b' '..=b'~').contains(byte)));
        }
    }
}
