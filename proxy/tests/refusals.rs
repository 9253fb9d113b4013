//! Every reason to say no: its status, what reached the origin (nothing, where it can be), and
//! whether the connection can go on.

use std::time::Duration;

use testkit::{APP, APPS, Client, Conn, Message, Scene, ok, scene};

const ORIGIN: &str = "127.0.0.1:3001";

async fn hello(mut conn: Conn) {
    conn.answer_all(ok("hello")).await;
}

/// The member `code` of a problem document.
fn code(response: &Message) -> String {
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let problem: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(problem["status"], response.status());
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem.get("rule").unwrap_or(&problem["code"]).as_str().expect("a code").to_owned()
}

/// The connection serves another request.
async fn goes_on(client: &mut Client, scene: &Scene) {
    let before = scene.requests().len();
    assert_eq!(client.get("/next").await.status(), 200);
    assert_eq!(scene.requests()[before].target(), "/next");
}

/// The connection is over, and said so.
async fn is_over(client: &mut Client, response: &Message) {
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
}

/// Sends `request` through `config`: it is refused for `expected` with `status`, nothing of it reaches
/// the origin, and the connection ends.
fn refused(config: &str, request: impl AsRef<[u8]>, status: u16, expected: &str) {
    let shown = request.as_ref().escape_ascii().to_string();
    let shown = &shown[..shown.len().min(120)];
    scene(config).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        client.send(&request).await;
        client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let response = client.response().await;
        assert_eq!((response.status(), &code(&response)[..]), (status, expected), "{shown}");
        is_over(&mut client, &response).await;
        assert!(scene.bytes().concat().is_empty(), "nothing reached the origin: {shown}");
    });
}

/// A request with these lines behind its Host.
fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn transfer_encoding_with_content_length_is_refused() {
    let te = "Transfer-Encoding: chunked\r\n";
    let cl = "Content-Length: 4\r\n";
    refused(APP, get(&format!("{te}{cl}")) + "0\r\n\r\n", 400, "length_with_transfer_encoding");
    refused(APP, get(&format!("{cl}{te}")) + "0\r\n\r\n", 400, "length_with_transfer_encoding");
}

#[test]
fn transfer_encoding_whose_last_coding_is_not_chunked_is_refused() {
    for coding in ["gzip", "chunked, gzip", "identity", "xchunked", "chunked;q=1", "\"chunked\""] {
        refused(APP, get(&format!("Transfer-Encoding: {coding}\r\n")), 400, "transfer_encoding_not_final");
    }
    refused(APP, get("Transfer-Encoding: gzip, chunked\r\n"), 501, "transfer_encoding_unknown");
    refused(APP, get("Transfer-Encoding: chunked, chunked\r\n"), 400, "transfer_encoding_repeated");
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n";
    refused(APP, get(twice), 400, "transfer_encoding_repeated");
}

#[test]
fn transfer_encoding_on_http_1_0_is_refused() {
    let request = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(APP, request, 400, "transfer_encoding_on_http10");
}

#[test]
fn content_length_that_conflicts_or_is_no_number_is_refused() {
    for conflict in ["Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: 1, 2\r\n"] {
        refused(APP, get(conflict), 400, "length_conflict");
    }
    for length in ["+1", "-1", "0x1", "1 1", "", "1e1", "99999999999999999999", "one"] {
        refused(APP, get(&format!("Content-Length: {length}\r\n")), 400, "length_invalid");
    }
    refused(APP, get("Content_Length: 1\r\n"), 400, "framing_lookalike");
}

#[test]
fn a_field_that_could_be_read_two_ways_is_refused() {
    refused(APP, get("X: a\r\n folded\r\n"), 400, "obs_fold");
    refused(APP, get("X: a\r\n\tfolded\r\n"), 400, "obs_fold");
    refused(APP, get("X : a\r\n"), 400, "space_before_colon");
    refused(APP, get("Transfer-Encoding : chunked\r\n"), 400, "space_before_colon");
    refused(APP, get("X: a\rb\r\n"), 400, "bare_cr");
    refused(APP, get("X: a\nY: b\r\n"), 400, "bare_lf");
    refused(APP, get("X: a\0b\r\n"), 400, "nul");
    refused(APP, get("X\0Y: ab\r\n"), 400, "nul");
    refused(APP, get("X: a\x01b\r\n"), 400, "bad_header_value");
    refused(APP, get(": nameless\r\n"), 400, "bad_header_name");
    refused(APP, get("X(Y): a\r\n"), 400, "bad_header_name");
}

#[test]
fn a_host_that_is_missing_repeated_or_invalid_is_refused() {
    refused(APP, "GET / HTTP/1.1\r\n\r\n", 400, "host_missing");
    refused(APP, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "host_repeated");
    for host in ["a b", "a/b", "a:b", "a:99999", "user@a", "[::1", "a,b"] {
        refused(APP, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400, "host_invalid");
    }
}

#[test]
fn a_request_line_that_is_not_valid_is_refused() {
    refused(APP, "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_method");
    refused(APP, "GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target");
    refused(APP, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target");
    refused(APP, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target");
    refused(APP, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "bad_version");
    refused(APP, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "bad_version");
}

#[test]
fn a_path_that_could_lead_elsewhere_is_refused() {
    for target in ["/..", "/a/../../b", "/%2e%2e/x", "/a/%2E%2E/%2e%2e/x"] {
        refused(APP, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "path_escapes_root");
    }
    refused(APP, "GET /..;x/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "dot_segment_parameters");
    refused(APP, "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "escape_invalid");
    refused(APP, "GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "nul");
}

#[test]
fn a_head_past_a_limit_is_refused() {
    let limits = "server.limits = { head = \"2 KiB\", target = \"1 KiB\", headers = 10 }\n";
    let config = format!("{limits}{APP}");
    let long = "x".repeat(3_000);
    refused(&config, get(&format!("X: {long}\r\n")), 431, "head_too_large");
    refused(&config, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..1_500]), 414, "target_too_long");
    refused(&config, get(&"X: y\r\n".repeat(10)), 431, "too_many_headers");
}

#[test]
fn a_head_that_never_ends_is_refused_as_soon_as_it_is_too_large() {
    scene(APP).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
        let mut sent = 0;
        while client.waiting().is_empty() && sent < 100_000 {
            client.send("x".repeat(1_000)).await;
            sent += 1_000;
            tokio::task::yield_now().await;
        }
        assert!(sent < 20_000, "{sent} bytes were taken");
        assert_eq!(client.response().await.status(), 431);
    });
}

#[test]
fn a_chunk_that_is_framed_wrongly_is_refused() {
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, expected) in [
        ("11111111111111111\r\n", "chunk_size_overflow"),
        ("-1\r\n", "chunk_size_invalid"),
        ("0x1\r\na\r\n", "chunk_size_invalid"),
        ("\r\n", "chunk_size_invalid"),
        ("1\na\r\n0\r\n\r\n", "bare_lf"),
        ("1;a\nb\r\na\r\n0\r\n\r\n", "bare_lf"),
        ("1\r\naX\r\n0\r\n\r\n", "chunk_framing"),
        ("1\r\na\n0\r\n\r\n", "bare_lf"),
        ("0\r\nX: y\n\r\n", "bare_lf"),
    ] {
        refused(APP, format!("{chunked}{body}"), 400, expected);
    }
    let extension = format!("{chunked}1;{}\r\na\r\n0\r\n\r\n", "x".repeat(5_000));
    refused(APP, extension, 400, "chunk_extension_too_long");
    let trailers = format!("{chunked}0\r\nX: {}\r\n\r\n", "x".repeat(9_000));
    refused(APP, trailers, 431, "trailer_too_large");
}

#[test]
fn a_chunk_that_turns_out_wrong_later_ends_the_request_at_the_origin_too() {
    scene(APP).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
        scene.settle().await;
        client.send("nonsense\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let response = client.response().await;
        assert_eq!((response.status(), &code(&response)[..]), (400, "chunk_size_invalid"));
        is_over(&mut client, &response).await;
        let bytes = scene.bytes().concat();
        assert!(bytes.ends_with(b"5\r\nhello\r\n"), "the origin got no last chunk: {}", bytes.escape_ascii());
        assert!(scene.requests().iter().all(|request| !request.is_whole));
    });
}

#[test]
fn a_connection_that_ends_inside_a_head_is_told_so() {
    scene(APP).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHo").await;
        client.finish().await;
        let response = client.response().await;
        assert_eq!((response.status(), &code(&response)[..]), (400, "truncated"));
        assert!(scene.bytes().is_empty());
    });
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_before_anything_is_sent() {
    scene(format!("{APP} body_limit = \"1 KiB\"")).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n").await;
        assert_eq!((response.status(), &code(&response)[..]), (413, "body_too_large"));
        is_over(&mut client, &response).await;
        assert!(scene.bytes().is_empty());
        let mut client = scene.client();
        let body = "x".repeat(1024);
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n{body}");
        assert_eq!(client.ask(&request).await.status(), 200, "the limit itself is allowed");
    });
}

#[test]
fn chunks_that_grow_too_large_are_refused_and_the_origin_sees_no_end() {
    scene(format!("{APP} body_limit = \"1 KiB\"")).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for _ in 0..3 {
            client.send(format!("190\r\n{}\r\n", "x".repeat(400))).await;
            scene.settle().await;
        }
        let response = client.response().await;
        assert_eq!((response.status(), &code(&response)[..]), (413, "body_too_large"));
        is_over(&mut client, &response).await;
        assert!(scene.requests().iter().all(|request| !request.is_whole));
    });
}

#[test]
fn a_head_that_takes_too_long_is_refused() {
    scene(format!("server.timeouts.head = \"10s\"\n{APP}")).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        client.send("GET / HT").await;
        for byte in ["T", "P", "/", "1", ".", "1", "\r", "\n", "H"] {
            scene.seconds(1).await;
            client.send(byte).await;
        }
        let response = client.response().await;
        assert_eq!((response.status(), &code(&response)[..]), (408, "head_timeout"));
        assert!((9_900..10_300).contains(&scene.elapsed().as_millis()), "{:?}", scene.elapsed());
        is_over(&mut client, &response).await;
        assert!(scene.bytes().is_empty());
    });
}

#[test]
fn a_connection_that_says_nothing_is_closed_without_a_word() {
    scene(format!("server.timeouts = {{ head = \"10s\", idle = \"20s\" }}\n{APP}"))
        .origin(ORIGIN, hello)
        .run(async |scene| {
            let mut client = scene.client();
            assert_eq!(client.rest().await, b"");
            assert!((9_900..10_300).contains(&scene.elapsed().as_millis()), "{:?}", scene.elapsed());
            let mut client = scene.client();
            client.get("/").await;
            assert_eq!(client.rest().await, b"");
            assert!((29_700..30_500).contains(&scene.elapsed().as_millis()), "{:?}", scene.elapsed());
        });
}

#[test]
fn a_body_that_stops_is_refused() {
    scene(format!("server.timeouts.body = \"10s\"\n{APP}")).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this").await;
        assert_eq!((response.status(), &code(&response)[..]), (408, "body_timeout"));
        assert!((9_900..10_300).contains(&scene.elapsed().as_millis()), "{:?}", scene.elapsed());
        is_over(&mut client, &response).await;
        assert_eq!(scene.endpoint(ORIGIN).recent(scene.shared.now()).failures, 0, "not the endpoint's fault");
    });
}

#[test]
fn a_body_that_trickles_is_refused() {
    let config = format!("server.timeouts = {{ body = \"10s\", body_rate = \"100 B/s\" }}\n{APP}");
    scene(config).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n").await;
        while client.waiting().is_empty() {
            client.send("x".repeat(50)).await;
            scene.seconds(1).await;
        }
        assert_eq!(code(&client.response().await), "body_timeout");
        assert!((10..13).contains(&scene.elapsed().as_secs()), "{:?}", scene.elapsed());
    });
    scene(format!("server.timeouts = {{ body = \"10s\", body_rate = \"100 B/s\" }}\n{APP}"))
        .origin(ORIGIN, hello)
        .run(async |scene| {
            let mut client = scene.client();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n").await;
            for _ in 0..40 {
                client.send("x".repeat(150)).await;
                scene.seconds(1).await;
            }
            assert_eq!(client.response().await.status(), 200, "fast enough is fast enough");
        });
}

#[test]
fn a_method_that_no_route_takes_is_told_which_ones_are_taken() {
    let config = format!("{APP} method = [\"GET\", \"PUT\"]");
    scene(config).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!((response.status(), &code(&response)[..]), (405, "method_not_allowed"));
        let allow = response.header("allow").expect("Allow");
        let mut methods: Vec<_> = allow.split(", ").collect();
        methods.sort_unstable();
        assert_eq!(methods, ["GET", "HEAD", "PUT"]);
        assert!(scene.bytes().is_empty());
        goes_on(&mut client, scene).await;
    });
}

#[test]
fn an_address_without_a_route_is_not_found() {
    scene(format!("{APP} host = \"example.org\"\n path = \"/app/*\"")).origin(ORIGIN, hello).run(
        async |scene| {
            let mut client = scene.client();
            for (host, target) in
                [("example.org", "/"), ("other.org", "/app/"), ("example.org", "/application")]
            {
                let response = client.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
                assert_eq!((response.status(), &code(&response)[..]), (404, "no_route"));
            }
            assert!(scene.bytes().is_empty());
            let response = client.ask("GET /app/x HTTP/1.1\r\nHost: EXAMPLE.org:8080\r\n\r\n").await;
            assert_eq!(response.status(), 200);
        },
    );
}

#[test]
fn a_refused_request_takes_its_body_with_it_where_that_is_known() {
    scene(format!("{APP} path = \"/next\"")).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let head = format!("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        let response = client.ask(&format!("{head}{body}")).await;
        assert_eq!(response.status(), 404);
        goes_on(&mut client, scene).await;
        let response = client.ask(&head).await;
        assert_eq!(response.status(), 404);
        client.send(body).await;
        is_over(&mut client, &response).await;
        assert_eq!(scene.requests().len(), 1, "a body never becomes a request");
    });
}

#[test]
fn tunnels_to_places_that_clients_name_are_refused() {
    scene(APP).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n").await;
        assert_eq!((response.status(), &code(&response)[..]), (501, "connect_refused"));
        assert!(scene.bytes().is_empty());
    });
}

#[test]
fn an_expectation_that_nobody_meets_is_refused() {
    scene(APP).origin(ORIGIN, hello).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask("GET / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n").await;
        assert_eq!((response.status(), &code(&response)[..]), (417, "expectation_unknown"));
        assert!(scene.bytes().is_empty());
        goes_on(&mut client, scene).await;
    });
}

#[test]
fn connections_past_the_limit_are_told_to_come_back() {
    scene(format!("server.limits.connections = 2\n{APP}")).origin(ORIGIN, hello).run(async |scene| {
        let mut first = scene.client_from("192.0.2.1");
        let mut second = scene.client_from("192.0.2.2");
        first.get("/").await;
        second.get("/").await;
        let mut third = scene.client_from("192.0.2.3");
        let response = third.response().await;
        assert_eq!((response.status(), &code(&response)[..]), (503, "too_many_connections"));
        assert!(response.header("retry-after").is_some());
        is_over(&mut third, &response).await;
        drop(first);
        scene.settle().await;
        assert_eq!(scene.client_from("192.0.2.4").get("/").await.status(), 200);
        second.get("/").await;
    });
}

#[test]
fn one_client_cannot_take_all_connections() {
    scene(format!("server.limits.connections_per_client = 2\n{APP}")).origin(ORIGIN, hello).run(
        async |scene| {
            let mut held = [scene.client_from("2001:db8::1"), scene.client_from("2001:db8::2")];
            for client in &mut held {
                assert_eq!(client.get("/").await.status(), 200);
            }
            let mut third = scene.client_from("2001:db8::3");
            let response = third.response().await;
            assert_eq!((response.status(), &code(&response)[..]), (429, "too_many_client_connections"));
            assert!(response.header("retry-after").is_some());
            is_over(&mut third, &response).await;
            assert_eq!(
                scene.client_from("2001:db8:0:1::1").get("/").await.status(),
                200,
                "another /64 is another client"
            );
            drop(held);
            scene.settle().await;
            assert_eq!(scene.client_from("2001:db8::3").get("/").await.status(), 200);
        },
    );
}

#[test]
fn a_flood_of_connections_of_one_client_is_refused_while_others_get_in() {
    let config = |rate: &str| format!("server.limits = {{ {rate} }}\n{APP}");
    let flood = "connection_rate = \"2/s\", connection_burst = 3, limit_memory = \"64 KiB\"";
    scene(config(flood)).origin(ORIGIN, hello).run(async |scene| {
        for _ in 0..3 {
            assert_eq!(scene.client_from("2001:db8::1").get("/").await.status(), 200);
        }
        let mut refused = Vec::new();
        for last in 0..200 {
            // Another address of the same /64 is the same client.
            let mut client = scene.client_from(&format!("2001:db8::{last:x}"));
            let response = client.response().await;
            assert_eq!((response.status(), &code(&response)[..]), (429, "connection_rate_limited"));
            assert!(response.header("retry-after").is_some());
            is_over(&mut client, &response).await;
            refused.push(client);
        }
        assert_eq!(scene.client_from("2001:db8:0:1::1").get("/").await.status(), 200, "another client");
        assert_eq!(scene.totals().connections_refused, 200);
        assert_eq!(scene.requests().len(), 4, "no request of theirs was looked at");
        scene.pass(Duration::from_millis(500)).await;
        let mut kept = scene.client_from("2001:db8::1");
        assert_eq!(kept.get("/").await.status(), 200, "one more every half second");
        assert_eq!(scene.client_from("2001:db8::1").response().await.status(), 429);
        for _ in 0..20 {
            assert_eq!(kept.get("/").await.status(), 200, "requests are not counted");
        }
        scene.reload(&config("connection_rate = \"1/m\""));
        assert_eq!(scene.client_from("2001:db8::1").response().await.status(), 429, "nothing is left");
        scene.reload(&config(""));
        assert_eq!(scene.client_from("2001:db8::1").get("/").await.status(), 200);
    });
}

#[test]
fn a_flood_of_clients_takes_no_more_memory_than_limits_have() {
    let config =
        "server.limits = { connection_rate = \"1/d\", limit_memory = \"64 KiB\" }\n".to_owned() + APP;
    scene(config).origin(ORIGIN, hello).run(async |scene| {
        let live = scene.shared.live();
        let connect = |ip| tidegate_proxy::limits::connect(&live, ip, scene.shared.now());
        let flooder = std::net::IpAddr::from([192, 0, 2, 1]);
        assert!(connect(flooder).is_ok() && connect(flooder).is_err());
        for number in 0..50_000_u32 {
            let _ = connect(std::net::IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
        }
        let usage = live.limits.usage();
        assert!(usage.entries <= usage.capacity && usage.memory_bytes < 128 << 10, "{usage:?}");
        assert!(connect(flooder).is_err(), "nor does it free whoever is limited");
    });
}

#[test]
fn connections_of_a_trusted_hop_are_not_counted_but_those_of_the_clients_that_it_names() {
    let config = "[[listener]]\naddress = \":80\"\nproxy_protocol = true\n\
                  [server]\ntrusted_proxies = [\"10.0.0.0/8\"]\nlimits.connection_rate = \"2/m\"\n";
    scene(format!("{config}{APP}")).origin(ORIGIN, hello).run(async |scene| {
        let open = async |named: &str| {
            let mut client = scene.client_from("10.0.0.1");
            client
                .send(format!("PROXY TCP4 {named} 10.0.0.9 1 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"))
                .await;
            client.response().await.status()
        };
        for last in 1..5 {
            assert_eq!(open(&format!("192.0.2.{last}")).await, 200);
        }
        assert_eq!((open("192.0.2.1").await, open("192.0.2.1").await), (200, 429));
        // A hop's own connections, as its probes are, come without a client.
        for _ in 0..4 {
            assert_eq!(open("10.0.0.2").await, 200);
        }
    });
}

#[test]
fn a_connection_carries_no_more_requests_than_allowed() {
    scene(format!("server.limits.requests_per_connection = 2\n{APP}")).origin(ORIGIN, hello).run(
        async |scene| {
            let mut client = scene.client();
            assert_eq!(client.get("/").await.header("connection"), None);
            let response = client.get("/").await;
            assert_eq!(response.text(), "hello");
            is_over(&mut client, &response).await;
        },
    );
}

#[test]
fn a_refused_connection_is_a_bad_gateway() {
    scene(APP).run(async |scene| {
        let mut client = scene.client();
        let response = client.get("/").await;
        assert_eq!((response.status(), &code(&response)[..]), (502, "connect_failed"));
        assert!(scene.elapsed() < Duration::from_millis(10), "at once");
        scene.serve(ORIGIN, hello);
        goes_on(&mut client, scene).await;
    });
}

#[test]
fn a_connection_that_does_not_come_about_times_out() {
    scene(format!("{APP} timeouts = {{ connect = \"2s\" }}\n retry = \"off\"")).hanging(ORIGIN).run(
        async |scene| {
            let mut client = scene.client();
            let response = client.get("/").await;
            assert_eq!((response.status(), &code(&response)[..]), (504, "connect_timeout"));
            assert_eq!(scene.elapsed().as_secs(), 2);
            scene.serve(ORIGIN, hello);
            goes_on(&mut client, scene).await;
        },
    );
}

#[test]
fn when_every_endpoint_is_down_clients_are_told_at_once() {
    scene(APPS).run(async |scene| {
        let mut client = scene.client();
        // Two failures each take all of them out: connecting is proof.
        for _ in 0..2 {
            assert_eq!(client.get("/").await.status(), 502);
        }
        let response = client.get("/").await;
        assert_eq!((response.status(), &code(&response)[..]), (503, "all_endpoints_down"));
        let wait: u32 = response.header("retry-after").expect("Retry-After").parse().expect("seconds");
        assert!((1..=5).contains(&wait));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert!(scene.elapsed() < Duration::from_millis(10), "at once: {:?}", scene.elapsed());
    });
}

#[test]
fn when_every_endpoint_is_down_requests_can_be_held_until_one_is_back() {
    let config = APPS.replace("[[route]]", "hold = \"10s\"\n[[route]]");
    scene(config).run(async |scene| {
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        scene.pass(Duration::from_millis(700)).await;
        scene.serve(ORIGIN, hello);
        let response = client.response().await;
        assert_eq!(response.status(), 200, "{}", response.text());
        let held = scene.elapsed().as_millis();
        assert!((700..2_500).contains(&held), "back when the ejection of a second is over: {held} ms");
    });
}

#[test]
fn a_held_request_is_refused_when_its_time_is_over() {
    let config = APPS.replace("[[route]]", "hold = \"3s\"\nhealth = \"tcp\"\n[[route]]");
    scene(config).run(async |scene| {
        scene.settle().await;
        let response = scene.client().get("/").await;
        assert_eq!((response.status(), &code(&response)[..]), (503, "all_endpoints_down"));
        assert_eq!(scene.elapsed().as_secs(), 3);
    });
}

#[test]
fn an_upstream_whose_endpoints_are_all_drained_is_not_available() {
    scene(APP).origin(ORIGIN, hello).run(async |scene| {
        scene.endpoint(ORIGIN).drain(true, scene.shared.now());
        let mut client = scene.client();
        let response = client.get("/").await;
        assert_eq!((response.status(), &code(&response)[..]), (503, "no_endpoint"));
        scene.endpoint(ORIGIN).drain(false, scene.shared.now());
        goes_on(&mut client, scene).await;
    });
}

#[test]
fn an_endpoint_that_does_not_answer_times_out() {
    scene(format!("{APP} timeouts = {{ response = \"5s\" }}\n retry = \"off\""))
        .origin(ORIGIN, async |mut conn| conn.stay_silent().await)
        .run(async |scene| {
            let mut client = scene.client();
            let response = client.get("/").await;
            assert_eq!((response.status(), &code(&response)[..]), (504, "response_timeout"));
            assert!((4_900..5_300).contains(&scene.elapsed().as_millis()), "{:?}", scene.elapsed());
            scene.serve(ORIGIN, hello);
            goes_on(&mut client, scene).await;
        });
}

#[test]
fn the_last_failure_is_the_one_that_is_told() {
    scene(format!("{APP} timeouts = {{ response = \"1s\" }}"))
        .origin(ORIGIN, async |mut conn| conn.stay_silent().await)
        .run(async |scene| {
            let response = scene.client().get("/").await;
            assert_eq!((response.status(), &code(&response)[..]), (504, "response_timeout"));
        });
    scene(APP).origin(ORIGIN, async |mut conn| drop(conn.request().await)).run(async |scene| {
        let response = scene.client().get("/").await;
        assert_eq!((response.status(), &code(&response)[..]), (502, "response_closed"));
    });
}

/// What an endpoint says to a request, and what the client is told then.
fn answered(answer: &'static str, expected: &str) {
    scene(format!("{APP} retry = \"off\""))
        .origin(ORIGIN, async move |mut conn| {
            if conn.request().await.is_some() {
                conn.send(answer).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            let response = client.get("/").await;
            assert_eq!((response.status(), &code(&response)[..]), (502, expected), "{answer:?}");
            scene.serve(ORIGIN, hello);
            goes_on(&mut client, scene).await;
            assert_eq!(scene.connections(ORIGIN), 2, "the connection is not used again");
        });
}

#[test]
fn an_endpoint_that_closes_before_its_answer_is_a_bad_gateway() {
    answered("", "response_closed");
    answered("HTTP/1.1 200 OK\r\nContent-Le", "response_closed");
}

#[test]
fn an_answer_that_is_not_valid_http_is_a_bad_gateway() {
    for answer in [
        "hello\r\n\r\n",
        "HTTP/1.1 2xx OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: one\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 0\r\n\r\n",
    ] {
        answered(answer, "response_malformed");
    }
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_a_bad_gateway() {
    answered(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "upgrade_unasked",
    );
}

#[test]
fn while_tidegate_drains_held_requests_are_refused() {
    let config = APP.replace("[[route]]", "hold = \"1m\"\nhealth = \"tcp\"\n[[route]]");
    scene(config).run(async |scene| {
        scene.settle().await;
        let mut client = scene.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        scene.seconds(1).await;
        scene.drain();
        let response = client.response().await;
        assert_eq!((response.status(), &code(&response)[..]), (503, "draining"));
        is_over(&mut client, &response).await;
    });
}

#[test]
fn programs_get_problem_documents_and_browsers_get_pages() {
    scene(APP).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask("GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n").await;
        assert_eq!(code(&response), "connect_failed");
        let id = response.header("x-request-id").expect("an id");
        assert!(response.text().contains(id), "the document names the request");
        assert!(!response.text().contains("127.0.0.1"), "and nothing of the inside");
        let accept = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
        let response = client.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n")).await;
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(response.text().starts_with("<!doctype html>"));
        assert!(response.text().contains("connect_failed"));
        assert!(response.text().contains(response.header("x-request-id").expect("an id")));
        assert!(!response.text().contains("127.0.0.1"));
    });
}

#[test]
fn a_routes_own_error_page_stands_in_for_ours() {
    scene(format!("{APP} error_pages = {{ 502 = \"sorry.html\" }}"))
        .file("sorry.html", "<h1>Sorry</h1>")
        .run(async |scene| {
            let mut client = scene.client();
            let response = client.get("/").await;
            assert_eq!((response.status(), response.text()), (502, "<h1>Sorry</h1>"));
            assert!(response.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
            scene.endpoint(ORIGIN).drain(true, scene.shared.now());
            assert_eq!(code(&client.get("/").await), "no_endpoint", "other statuses keep ours");
        });
}

#[test]
fn a_refusal_to_head_has_no_body() {
    scene(APP).origin(ORIGIN, hello).run(async |scene| {
        scene.refuse(ORIGIN);
        let mut client = scene.client();
        let response = client.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(response.status(), 502);
        assert_ne!(response.header("content-length"), Some("0"));
        scene.serve(ORIGIN, hello);
        goes_on(&mut client, scene).await;
    });
}

#[test]
fn fields_that_a_route_sets_go_on_refusals_too_and_stand_once() {
    let edits = "response_headers = { set = { cache-control = \"private\", x-frame-options = \"DENY\" } }";
    scene(format!("{APP} {edits}")).run(async |scene| {
        let response = scene.client().get("/").await;
        assert_eq!(response.status(), 502);
        assert_eq!(response.header("x-frame-options"), Some("DENY"));
        assert_eq!(response.header("cache-control"), Some("private"));
    });
}
