//! What is told of a request when it is over: who ended it at which stage, and the facts beside it.

use std::time::Duration;

use serde_json::Value;
use testkit::{APP, APPS, Conn, Scene, ok, scene};

const ORIGIN: &str = "127.0.0.1:3001";

async fn hello(mut conn: Conn) {
    conn.answer_all(ok("hello")).await;
}

/// Lets `play` cause one request and gives its line in the access log.
fn told(config: &str, origin: impl AsyncFn(Conn) + 'static, play: impl AsyncFnOnce(&Scene)) -> Value {
    let mut line = Value::Null;
    scene(config).origin(ORIGIN, origin).run(async |scene| {
        scene.start_log();
        play(scene).await;
        scene.settle().await;
        let mut lines = scene.log();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        line = lines.remove(0);
    });
    line
}

/// The line of a request, checked for its end.
fn ends(
    end: &str,
    config: &str,
    origin: impl AsyncFn(Conn) + 'static,
    play: impl AsyncFnOnce(&Scene),
) -> Value {
    let line = told(config, origin, play);
    assert_eq!(line["end"], end, "{line:#}");
    line
}

async fn get(scene: &Scene) {
    scene.client().get("/").await;
}

#[test]
fn a_request_that_runs_to_its_end_is_complete() {
    let line = ends("complete", APP, hello, async |scene| {
        let request = "POST /path?q=1 HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\nUser-Agent: scene\r\n\
                       Referer: there\r\n\r\nbody";
        scene.client().ask(request).await;
    });
    for (name, expected) in [
        ("status", 200.into()),
        ("method", Value::from("POST")),
        ("host", "example.org".into()),
        ("target", "/path?q=1".into()),
        ("client", "203.0.113.7".into()),
        ("upstream", "app".into()),
        ("endpoint", ORIGIN.into()),
        ("tries", 1.into()),
        ("reused", false.into()),
        ("received_bytes", 4.into()),
        ("user_agent", "scene".into()),
        ("referer", "there".into()),
    ] {
        assert_eq!(line[name], expected, "{name} in {line:#}");
    }
    assert_eq!(line["request_id"].as_str().map(str::len), Some(32));
    assert_eq!(line["trace_id"].as_str().map(str::len), Some(32));
    assert!(line["sent_bytes"].as_u64() > Some(40));
    assert!(line.get("refusal").is_none());
}

#[test]
fn times_are_those_of_the_stages() {
    let slow = async |mut conn: Conn| {
        conn.request().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        conn.send("lf").await;
    };
    let line = ends("complete", APP, slow, get);
    assert_eq!(line["wait_ms"].as_f64().map(f64::round), Some(300.0));
    assert_eq!(line["total_ms"].as_f64().map(f64::round), Some(800.0));
}

#[test]
fn a_second_request_over_a_kept_connection_says_so() {
    scene(APP).origin(ORIGIN, hello).run(async |scene| {
        scene.client().get("/").await;
        scene.start_log();
        scene.client().get("/").await;
        scene.settle().await;
        assert_eq!(scene.log()[0]["reused"], true);
        let totals = scene.totals();
        assert_eq!((totals.upstreams[1].connected, totals.upstreams[1].reused), (1, 1));
    });
}

#[test]
fn a_head_that_breaks_the_rules_is_the_clients_doing() {
    let line = ends("client/head", APP, hello, async |scene| {
        scene.client().ask("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    });
    assert_eq!((&line["status"], &line["refusal"]), (&400.into(), &"malformed".into()));
    assert_eq!(line["detail"], "host_repeated");
    assert_eq!(line["target"], "GET / HTTP/1.1", "what it began with");
    let line = ends("client/head", APP, hello, async |scene| {
        let mut client = scene.client();
        client.send("GET / HT").await;
        client.response().await;
    });
    assert_eq!((&line["status"], &line["refusal"]), (&408.into(), &"head_timeout".into()));
}

#[test]
fn a_request_without_a_route_ends_at_the_route() {
    let line = ends("tidegate/route", &format!("{APP} path = \"/x\""), hello, get);
    assert_eq!((&line["status"], &line["refusal"]), (&404.into(), &"no_route".into()));
    assert!(line.get("upstream").is_none());
}

#[test]
fn a_body_that_is_too_large_or_stops_ends_while_it_is_sent() {
    let line = ends("tidegate/send", &format!("{APP} body_limit = \"1 B\""), hello, async |scene| {
        scene.client().ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n").await;
    });
    assert_eq!(line["refusal"], "body_too_large");
    let line = ends("client/send", APP, hello, async |scene| {
        scene.client().ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n").await;
    });
    assert_eq!(line["refusal"], "body_timeout");
    let line = ends("client/send", APP, hello, async |scene| {
        scene.client().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx").await;
        scene.settle().await;
    });
    assert_eq!((&line["status"], &line["received_bytes"]), (&0.into(), &1.into()), "it left");
}

#[test]
fn an_endpoint_that_cannot_be_reached_ends_the_request_at_the_connect() {
    let line = ends("endpoint/connect", APP, hello, async |scene| {
        scene.refuse(ORIGIN);
        get(scene).await;
    });
    assert_eq!((&line["status"], &line["refusal"]), (&502.into(), &"connect_failed".into()));
    let line = ends("tidegate/connect", APP, hello, async |scene| {
        scene.endpoint(ORIGIN).drain(true, scene.shared.now());
        get(scene).await;
    });
    assert_eq!((&line["status"], &line["refusal"]), (&503.into(), &"no_endpoint".into()));
}

#[test]
fn a_client_that_leaves_while_it_is_held_ended_it_there() {
    let config = APP.replace("[[route]]", "hold = \"1m\"\nhealth = \"tcp\"\n[[route]]");
    let line = ends("client/connect", &config, hello, async |scene| {
        scene.refuse(ORIGIN);
        scene.settle().await;
        scene.seconds(11).await;
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        scene.seconds(5).await;
        drop(client);
        scene.settle().await;
    });
    assert_eq!(line["held_ms"].as_f64().map(|held| (held / 1_000.0).round()), Some(5.0));
}

#[test]
fn a_request_that_is_held_stays_in_order_with_those_behind_it() {
    let config =
        APP.replace("[[route]]", "hold = \"1m\"\nhealth = { interval = \"2s\", jitter = 0 }\n[[route]]");
    scene(config).run(async |scene| {
        scene.settle().await;
        let mut client = scene.client();
        client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        scene.seconds(1).await;
        client.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\n").await;
        scene.seconds(1).await;
        client.send("Host: a\r\n\r\n").await;
        scene.serve(ORIGIN, hello);
        for _ in 0..3 {
            assert_eq!(client.response().await.status(), 200);
        }
        let targets: Vec<_> = scene.requests().iter().map(|request| request.target().to_owned()).collect();
        assert_eq!(targets, ["/1", "/2", "/3"]);
    });
}

#[test]
fn an_endpoint_that_gives_no_answer_ends_the_request_while_it_waits() {
    let silent = async |mut conn: Conn| conn.stay_silent().await;
    let config = format!("{APP} timeouts = {{ response = \"1s\" }}\nretry = \"off\"");
    let line = ends("endpoint/wait", &config, silent, get);
    assert_eq!((&line["status"], &line["refusal"]), (&504.into(), &"response_timeout".into()));
    let close = async |mut conn: Conn| drop(conn.request().await);
    let line = ends("endpoint/wait", &config, close, get);
    assert_eq!((&line["status"], &line["refusal"]), (&502.into(), &"response_closed".into()));
    let nonsense = async |mut conn: Conn| {
        conn.request().await;
        conn.send("HTTP/9 200\r\n\r\n").await;
    };
    let line = ends("endpoint/wait", &config, nonsense, get);
    assert_eq!((&line["status"], &line["refusal"]), (&502.into(), &"response_malformed".into()));
    assert_eq!(line["detail"], "bad_version");
}

#[test]
fn a_client_that_leaves_while_it_waits_ended_it_there() {
    let silent = async |mut conn: Conn| conn.stay_silent().await;
    let line = ends("client/wait", APP, silent, async |scene| {
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        scene.settle().await;
    });
    assert_eq!((&line["status"], &line["sent_bytes"]), (&0.into(), &0.into()));
}

#[test]
fn a_response_that_breaks_off_ends_while_it_is_delivered() {
    let breaks = async |mut conn: Conn| {
        conn.request().await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    };
    let line = ends("endpoint/deliver", APP, breaks, get);
    assert_eq!(line["status"], 200);
    let endless = async |mut conn: Conn| {
        conn.request().await;
        conn.send("HTTP/1.1 200 OK\r\n\r\n").await;
        while conn.send([b'x'; 1_000]).await {}
    };
    ends("client/deliver", APP, endless, async |scene| {
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.head().await;
    });
}

#[test]
fn a_tunnel_that_both_sides_end_is_complete_and_counts_its_bytes() {
    let upgrade = async |mut conn: Conn| {
        conn.request().await;
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
        let bytes = conn.exactly(4).await;
        conn.send(bytes).await;
    };
    let line = ends("complete", APP, upgrade, async |scene| {
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nping").await;
        client.head().await;
        assert_eq!(client.exactly(4).await, b"ping");
        client.finish().await;
        client.rest().await;
    });
    assert_eq!((&line["status"], &line["received_bytes"]), (&101.into(), &4.into()));
}

#[test]
fn a_tunnel_that_falls_silent_is_ended_by_tidegate() {
    let upgrade = async |mut conn: Conn| {
        conn.request().await;
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
        conn.stay_silent().await;
    };
    ends("tidegate/tunnel", &format!("server.timeouts.tunnel = \"1m\"\n{APP}"), upgrade, async |scene| {
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
        client.rest().await;
    });
}

#[test]
fn a_retry_is_told_with_the_endpoint_that_answered() {
    let line = ends("complete", APPS, hello, async |scene| {
        // Two of three refuse, so one of the tries goes there at last.
        get(scene).await;
    });
    assert_eq!(line["endpoint"], ORIGIN);
    assert!((1..=3).contains(&line["tries"].as_u64().expect("a number")));
}

#[test]
fn the_client_is_whom_trusted_hops_name() {
    let config = format!("server.trusted_proxies = [\"203.0.113.7\"]\n{APP}");
    let line = ends("complete", &config, hello, async |scene| {
        scene
            .client()
            .ask("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 198.51.100.9\r\n\r\n")
            .await;
    });
    assert_eq!(line["client"], "198.51.100.9");
}

#[test]
fn connections_and_ejections_are_counted() {
    let config = "server.limits.connections = 1\n[upstream.app]\nendpoints = [\"127.0.0.1:3001\", \"127.0.0.1:3002\"]\n\
                  [[route]]\nupstream = \"app\"";
    scene(config).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        for _ in 0..20 {
            assert_eq!(client.get("/").await.status(), 200);
        }
        assert_eq!(scene.client().response().await.status(), 503);
        let totals = scene.totals();
        assert_eq!((totals.connections, totals.connections_open, totals.connections_refused), (1, 1, 1));
        let other = totals.endpoints.iter().find(|endpoint| &*endpoint.address == "127.0.0.1:3002");
        let other = other.expect("both endpoints are counted");
        assert_eq!(other.ejections(), 1);
        assert_eq!(totals.upstreams[1].requests(), 20);
        scene.seconds(2).await;
        let totals = scene.totals();
        let other = totals.endpoints.iter().find(|endpoint| &*endpoint.address == "127.0.0.1:3002");
        assert_eq!(other.map(|endpoint| endpoint.returns), Some(1));
    });
}

#[test]
fn failures_of_endpoints_are_counted_by_endpoint() {
    scene(APPS).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        for _ in 0..20 {
            client.get("/").await;
        }
        let totals = scene.totals();
        let failures: u64 = totals.endpoints.iter().map(signals::EndpointTotals::failures).sum();
        assert_eq!(failures, totals.upstreams[1].retries(), "each was followed by another try");
        assert!(failures >= 4, "two each take the others out");
    });
}
