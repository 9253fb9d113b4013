//! What goes on: a request as its endpoint gets it, a response as the client gets it.

use testkit::{APP, Framing, Message, ok, scene};

const ORIGIN: &str = "127.0.0.1:3001";

/// Sends one request through `config` and gives it as the origin got it, and the response.
fn forwarded(config: &str, request: &str) -> (Message, Message) {
    exchanged(config, request, &ok("hello"))
}

/// The same with a response of its own.
fn exchanged(config: &str, request: &str, response: &str) -> (Message, Message) {
    let (answer, request) = (response.to_owned(), request.to_owned());
    let seen = std::rc::Rc::new(std::cell::RefCell::new(None));
    let into = std::rc::Rc::clone(&seen);
    scene(config)
        .origin(ORIGIN, async move |mut conn| {
            conn.request().await;
            conn.send(&answer).await;
        })
        .run(async |scene| {
            let response = scene.client().ask(&request).await;
            let mut requests = scene.requests();
            assert_eq!(requests.len(), 1, "one request reached the origin");
            *into.borrow_mut() = Some((requests.remove(0), response));
        });
    seen.take().expect("the scene was played")
}

#[test]
fn a_request_and_its_response_go_through() {
    let (request, response) =
        forwarded(APP, "GET /a%2Fb/../c?x=1&y HTTP/1.1\r\nHost: example.org\r\nX-Own: yes\r\n\r\n");
    assert_eq!(request.start_line(), "GET /a%2Fb/../c?x=1&y HTTP/1.1", "the client's own bytes go on");
    assert_eq!(request.header("host"), Some("example.org"));
    assert_eq!(request.header("x-own"), Some("yes"));
    assert_eq!((response.status(), response.text()), (200, "hello"));
    assert_eq!(response.framing, Framing::Length(5));
}

#[test]
fn hop_by_hop_fields_end_here() {
    let (request, response) = exchanged(
        APP,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\nX-Other: 2\r\n\
         Keep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: x\r\nProxy-Connection: keep-alive\r\n\
         Upgrade: foo\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: X-Inner\r\nX-Inner: 1\r\nX-Outer: 2\r\nKeep-Alive: timeout=5\r\n\
         Content-Length: 0\r\n\r\n",
    );
    for gone in ["connection", "x-secret", "keep-alive", "te", "trailer", "proxy-connection", "upgrade"] {
        assert_eq!(request.all(gone), Vec::<&str>::new(), "{gone}");
    }
    assert_eq!(request.header("x-other"), Some("2"));
    for gone in ["connection", "x-inner", "keep-alive"] {
        assert_eq!(response.all(gone), Vec::<&str>::new(), "{gone}");
    }
    assert_eq!(response.header("x-outer"), Some("2"));
}

#[test]
fn a_field_named_by_connection_goes_before_ours_is_added() {
    let (request, _) = forwarded(
        APP,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Forwarded-For, X-Request-Id, Host\r\n\
         X-Forwarded-For: 6.6.6.6\r\n\r\n",
    );
    assert_eq!(request.header("x-forwarded-for"), Some("203.0.113.7"));
    assert_eq!(request.header("host"), Some("a"));
    assert!(request.header("x-request-id").is_some());
}

#[test]
fn what_an_untrusted_client_says_of_itself_is_replaced() {
    let (request, _) = forwarded(
        &format!("server.forwarded = true\n{APP}"),
        "GET / HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 6.6.6.6\r\n\
         Forwarded: for=6.6.6.6\r\n\r\n",
    );
    assert_eq!(request.header("x-forwarded-for"), Some("203.0.113.7"));
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert_eq!(request.header("x-forwarded-host"), Some("example.org"));
    assert_eq!(request.header("x-forwarded-port"), None);
    assert_eq!(request.header("x-real-ip"), None);
    assert_eq!(request.header("forwarded"), Some("for=203.0.113.7;proto=http;host=\"example.org\""));
}

#[test]
fn what_a_trusted_hop_says_of_its_client_is_kept() {
    let (request, _) = forwarded(
        &format!("server.forwarded = true\nserver.trusted_proxies = [\"203.0.113.0/24\"]\n{APP}"),
        "GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 198.51.100.9\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: outer\r\nX-Forwarded-Port: 443\r\nForwarded: for=198.51.100.9\r\n\r\n",
    );
    assert_eq!(request.header("x-forwarded-for"), Some("198.51.100.9, 203.0.113.7"));
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    assert_eq!(request.header("x-forwarded-host"), Some("outer"));
    assert_eq!(request.header("x-forwarded-port"), Some("443"));
    let forwarded = request.header("forwarded").expect("Forwarded");
    assert!(forwarded.starts_with("for=198.51.100.9, for=203.0.113.7;"), "{forwarded}");
}

#[test]
fn an_ipv6_client_is_quoted_in_forwarded() {
    scene(format!("server.forwarded = true\n{APP}"))
        .origin(ORIGIN, async |mut conn| conn.answer_all(ok("")).await)
        .run(async |scene| {
            scene.client_from("2001:db8::7").get("/").await;
            let requests = scene.requests();
            assert_eq!(requests[0].header("x-forwarded-for"), Some("2001:db8::7"));
            let forwarded = requests[0].header("forwarded").expect("Forwarded");
            assert!(forwarded.starts_with("for=\"[2001:db8::7]\";"), "{forwarded}");
        });
}

#[test]
fn via_names_the_version_that_was_received_and_can_be_left_out() {
    let (request, response) = forwarded(APP, "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 other\r\n\r\n");
    assert_eq!(request.all("via"), ["1.1 other", "1.1 tidegate"]);
    assert_eq!(response.all("via"), ["1.1 tidegate"]);
    let (request, _) = forwarded(APP, "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(request.all("via"), ["1.0 tidegate"]);
    let (request, response) =
        forwarded(&format!("server.via = \"off\"\n{APP}"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((request.header("via"), response.header("via")), (None, None));
}

#[test]
fn a_request_id_is_made_and_echoed() {
    let (request, response) =
        forwarded(APP, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: chosen-by-a-stranger\r\n\r\n");
    let id = request.header("x-request-id").expect("an id");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(response.header("x-request-id"), Some(id));
}

#[test]
fn a_trusted_hops_request_id_is_kept_and_echoed() {
    let (request, response) = exchanged(
        &format!("server.trusted_proxies = [\"203.0.113.7\"]\n{APP}"),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: abc-1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Request-Id: the-apps-own\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(request.header("x-request-id"), Some("abc-1"));
    assert_eq!(response.header("x-request-id"), Some("abc-1"));
}

#[test]
fn a_trace_goes_on_under_a_new_parent() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (request, _) = forwarded(
        APP,
        &format!("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: {parent}\r\ntracestate: k=v\r\n\r\n"),
    );
    let sent = request.header("traceparent").expect("a traceparent");
    assert_eq!(sent[..35], parent[..35], "the trace is the same");
    assert_ne!(sent[36..52], parent[36..52], "the parent is new");
    assert_eq!(&sent[52..], "-01", "so is whether it is sampled");
    assert_eq!(request.header("tracestate"), Some("k=v"));
}

#[test]
fn a_trace_that_is_not_valid_begins_anew_without_its_state() {
    for invalid in ["garbage", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
        let (request, _) = forwarded(
            APP,
            &format!("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: {invalid}\r\ntracestate: k=v\r\n\r\n"),
        );
        let sent = request.header("traceparent").expect("a traceparent");
        assert_eq!(sent.len(), 55);
        assert_ne!(sent, invalid);
        assert_eq!(request.header("tracestate"), None);
    }
}

#[test]
fn fields_are_added_set_and_removed_both_ways() {
    let (request, response) = exchanged(
        &format!(
            "{APP}
            request_headers = {{ remove = [\"cookie\"], set = {{ x-env = \"live\" }}, add = {{ x-tag = \"b\" }} }}
            response_headers = {{ remove = [\"server\"], set = {{ x-frame-options = \"DENY\" }}, add = {{ link = \"</b>\" }} }}"
        ),
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: c\r\nX-Env: test\r\nx-env: dev\r\nX-Tag: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nServer: gunicorn\r\nX-Frame-Options: ALLOW\r\nLink: </a>\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(request.header("cookie"), None);
    assert_eq!(request.all("x-env"), ["live"]);
    assert_eq!(request.all("x-tag"), ["a", "b"]);
    assert_eq!(response.header("server"), None);
    assert_eq!(response.all("x-frame-options"), ["DENY"]);
    assert_eq!(response.all("link"), ["</a>", "</b>"]);
}

#[test]
fn a_prefix_is_stripped_and_the_query_stays() {
    let route = format!("{APP} path = \"/api/*\"\n strip = \"/api\"");
    for (target, expected) in
        [("/api/users?page=2", "/users?page=2"), ("/api", "/"), ("/api/", "/"), ("/api?x", "/?x")]
    {
        let (request, _) = forwarded(&route, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(request.target(), expected, "{target}");
    }
}

#[test]
fn a_path_is_rewritten_with_what_its_pattern_matched() {
    let rest = format!("{APP} path = \"/old/*\"\n rewrite = \"/new/{{rest}}\"");
    let (request, _) = forwarded(&rest, "GET /old/a/b?q=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(request.target(), "/new/a/b?q=1");
    let parameters =
        format!("{APP} path = \"/user/{{id}}/post/{{post}}\"\n rewrite = \"/p/{{post}}/of/{{id}}\"");
    let (request, _) = forwarded(&parameters, "GET /user/7/post/x%20y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(request.target(), "/p/x%20y/of/7");
}

#[test]
fn the_host_field_is_the_clients_the_endpoints_or_fixed() {
    let ask = "GET / HTTP/1.1\r\nHost: example.org:8443\r\n\r\n";
    for (setting, expected) in
        [("client", "example.org:8443"), ("endpoint", ORIGIN), ("app.internal", "app.internal")]
    {
        let config = format!("upstream.app.host = \"{setting}\"\n{APP}").replace("[upstream.app]\n", "");
        let config = config.replace("endpoints =", "upstream.app.endpoints =");
        let (request, _) = forwarded(&config, ask);
        assert_eq!(request.header("host"), Some(expected));
        assert_eq!(request.header("x-forwarded-host"), Some("example.org:8443"));
    }
}

#[test]
fn redirects_and_fixed_answers_need_no_endpoint() {
    scene(
        r#"
        [[route]]
        path = "/old/{page}"
        redirect = "https://example.org/new/{page}?{query}"
        [[route]]
        path = "/moved/*"
        redirect = { to = "https://example.org{path}", status = 302 }
        [[route]]
        path = "/robots.txt"
        respond = { status = 200, body = "User-agent: *" }
        [[route]]
        path = "/gone"
        respond = 410
        "#,
    )
    .run(async |scene| {
        let mut client = scene.client();
        let response = client.get("/old/a?b=c").await;
        assert_eq!(response.status(), 308);
        assert_eq!(response.header("location"), Some("https://example.org/new/a?b=c"));
        let response = client.get("/moved/x/y").await;
        assert_eq!(response.status(), 302);
        assert_eq!(response.header("location"), Some("https://example.org/moved/x/y"));
        let response = client.get("/robots.txt").await;
        assert_eq!((response.status(), response.text()), (200, "User-agent: *"));
        assert!(response.header("date").is_some());
        assert_eq!(client.get("/gone").await.status(), 410);
        let response = client.ask("HEAD /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(response.header("content-length"), Some("13"));
        assert_eq!(client.get("/gone").await.status(), 410, "the connection is still in step");
    });
}

#[test]
fn an_http_1_0_client_gets_its_response_and_the_end_of_the_connection() {
    scene(APP).origin(ORIGIN, async |mut conn| conn.answer_all(ok("hello")).await).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask("GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(response.text(), "hello");
        assert_eq!(client.rest().await, b"");
        let requests = scene.requests();
        assert_eq!(requests[0].start_line(), "GET / HTTP/1.1", "what we speak is 1.1");
    });
}

#[test]
fn an_http_1_0_client_may_ask_to_keep_its_connection() {
    scene(APP).origin(ORIGIN, async |mut conn| conn.answer_all(ok("hello")).await).run(async |scene| {
        let mut client = scene.client();
        for _ in 0..2 {
            let response = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
            assert_eq!(response.header("connection"), Some("keep-alive"));
            assert_eq!(response.text(), "hello");
        }
        assert_eq!(scene.connections(ORIGIN), 1);
    });
}

#[test]
fn an_http_1_0_client_gets_chunks_as_a_body_that_ends_with_the_connection() {
    let (_, response) = exchanged(
        APP,
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    );
    assert_eq!(response.header("transfer-encoding"), None);
    assert_ne!(response.header("connection"), Some("keep-alive"));
    assert_eq!((response.framing, response.text()), (Framing::Close, "hello world"));
}

#[test]
fn a_body_of_unknown_length_becomes_chunks() {
    let (_, response) =
        exchanged(APP, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nhello world");
    assert_eq!((response.framing, response.text()), (Framing::Chunked, "hello world"));
    assert!(response.is_whole);
}

#[test]
fn the_length_of_what_is_not_sent_is_said() {
    let (_, response) = exchanged(
        APP,
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
    );
    assert_eq!(response.header("content-length"), Some("1234"));
    let (_, response) = exchanged(
        APP,
        "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"e\"\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Length: 99\r\n\r\n",
    );
    assert_eq!((response.status(), response.header("etag")), (304, Some("\"e\"")));
    let (_, response) =
        exchanged(APP, "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!((response.status(), response.header("content-length")), (204, None));
}

#[test]
fn bodiless_responses_leave_both_connections_usable() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            while let Some(request) = conn.request().await {
                let response = match (request.method(), request.target()) {
                    ("HEAD", _) => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
                    (_, "/204") => "HTTP/1.1 204 No Content\r\n\r\n",
                    (_, "/304") => "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
                    (_, "/empty") => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                    _ => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast",
                };
                conn.send(response).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            for target in ["/204", "/304", "/empty"] {
                client.get(target).await;
            }
            assert_eq!(client.get("/").await.text(), "last");
            assert_eq!(scene.connections(ORIGIN), 1);
        });
}

#[test]
fn a_request_with_an_empty_body_leaves_the_connection_usable() {
    scene(APP).origin(ORIGIN, async |mut conn| conn.answer_all(ok("done")).await).run(async |scene| {
        let mut client = scene.client();
        for _ in 0..3 {
            let response = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
            assert_eq!((response.text(), response.header("connection")), ("done", None));
        }
        assert_eq!(scene.requests()[0].header("content-length"), Some("0"));
        assert_eq!(scene.connections(ORIGIN), 1);
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            while let Some(request) = conn.request().await {
                let body = format!("{} {}", request.target(), request.text());
                conn.send(ok(&body)).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            let mut all = String::new();
            for number in 0..50 {
                let get = format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n");
                let post = "HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
                all.push_str(&(get + &format!("POST /{number} {post}{number:02}")));
            }
            client.send_in_pieces(all.as_bytes(), &mut scene.rng()).await;
            for number in 0..50 {
                assert_eq!(client.response().await.text(), format!("/{number} "));
                assert_eq!(client.response().await.text(), format!("/{number} {number:02}"));
            }
        });
}

#[test]
fn an_empty_line_before_a_request_is_forgiven() {
    let (request, _) = forwarded(APP, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(request.start_line(), "GET / HTTP/1.1");
}

#[test]
fn continue_is_relayed_to_the_client_that_asked_for_it() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            let head = conn.head().await.expect("a request");
            assert_eq!(head.header("expect"), Some("100-continue"));
            conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(conn.exactly(4).await, b"body");
            conn.send(ok("thanks")).await;
            conn.answer_all(ok("again")).await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
                .await;
            assert_eq!(client.response().await.status(), 100);
            client.send("body").await;
            assert_eq!(client.response().await.text(), "thanks");
            assert_eq!(client.get("/").await.text(), "again");
        });
}

#[test]
fn continue_that_was_not_asked_for_stays_here() {
    let (_, response) = exchanged(
        APP,
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &format!("HTTP/1.1 100 Continue\r\n\r\n{}", ok("hello")),
    );
    assert_eq!((response.status(), response.text()), (200, "hello"));
}

#[test]
fn a_client_that_waits_for_continue_and_is_refused_may_not_send_its_body() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            conn.head().await;
            conn.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
            conn.stay_silent().await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            let response = client
                .ask("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
                .await;
            assert_eq!(response.status(), 401);
            assert_eq!(response.header("connection"), Some("close"));
            assert_eq!(client.rest().await, b"");
        });
}

#[test]
fn early_hints_reach_clients_that_know_them() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\n\r\n";
    let origin = format!("{hints}{hints}{}", ok("hello"));
    let answer = origin.clone();
    scene(APP)
        .origin(ORIGIN, async move |mut conn| {
            conn.request().await;
            conn.send(&answer).await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            for _ in 0..2 {
                let hint =
                    if scene.requests().is_empty() { client.get("/").await } else { client.response().await };
                assert_eq!(hint.status(), 103);
                assert_eq!(hint.header("link"), Some("</a.css>; rel=preload"));
                assert_eq!(hint.header("connection"), None);
            }
            assert_eq!(client.response().await.text(), "hello");
        });
    let (_, response) = exchanged(APP, "GET / HTTP/1.0\r\nHost: a\r\n\r\n", &origin);
    assert_eq!(response.status(), 200, "HTTP/1.0 knows no interim responses");
}

#[test]
fn a_response_says_when_it_came_if_the_endpoint_did_not() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (_, response) = forwarded(APP, get);
    assert!(response.header("date").is_some_and(|date| date.ends_with(" GMT")));
    let date = "Fri, 01 Jan 2021 00:00:00 GMT";
    let dated = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n");
    let (_, response) = exchanged(APP, get, &dated);
    assert_eq!(response.header("date"), Some(date));
    // One that is said to be for this connection alone does not go on.
    let named = dated.replace("Date:", "Connection: date\r\nDate:");
    let (_, response) = exchanged(APP, get, &named);
    assert!(response.header("date").is_some_and(|own| own != date && own.ends_with(" GMT")));
}

#[test]
fn trailers_and_chunk_extensions_end_here() {
    let (request, response) = exchanged(
        APP,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         3;a=b\r\nabc\r\n2;c=\"d\"\r\nde\r\n0;last\r\nX-Sum: 1\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x\r\nhell\r\n1\r\no\r\n0\r\nX-Sum: 2\r\n\r\n",
    );
    assert_eq!((request.framing, request.text(), &request.trailers[..]), (Framing::Chunked, "abcde", ""));
    assert_eq!((response.framing, response.text(), &response.trailers[..]), (Framing::Chunked, "hello", ""));
}

#[test]
fn big_bodies_arrive_byte_by_byte_however_they_are_cut() {
    for round in 0..8 {
        scene(APP)
            .pipe_bytes([1_000, 5_000, 64 * 1024, 200 * 1024][round % 4])
            .origin(ORIGIN, async move |mut conn| {
                while let Some(request) = conn.request().await {
                    let mut rng = fastrand::Rng::with_seed(request.body.len() as u64);
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
                    if round % 2 == 0 {
                        conn.send(head).await;
                        conn.send_in_pieces(&request.body, &mut rng).await;
                    } else {
                        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                        conn.send_in_pieces(&chunks(&request.body, &mut rng), &mut rng).await;
                    }
                }
            })
            .run(async |scene| {
                let mut rng = scene.rng();
                let mut client = scene.client();
                for _ in 0..3 {
                    let length = rng.usize(1..400_000);
                    let body: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
                    let (framing, bytes) = if rng.bool() {
                        (format!("Content-Length: {length}"), body.clone())
                    } else {
                        ("Transfer-Encoding: chunked".to_owned(), chunks(&body, &mut rng))
                    };
                    let head = format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
                    let mut request = head.into_bytes();
                    request.extend(bytes);
                    client.send_in_pieces(&request, &mut rng).await;
                    let response = client.response().await;
                    assert!(response.is_whole);
                    assert!(response.body == body, "the body came back changed");
                }
                assert_eq!(scene.connections(ORIGIN), 1);
            });
    }
}

/// A body in chunks of random length.
fn chunks(body: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let most = 1 << rng.u32(0..16);
        let length = rng.usize(1..=most).min(rest.len());
        out.extend(format!("{length:x}\r\n").into_bytes());
        out.extend_from_slice(&rest[..length]);
        out.extend_from_slice(b"\r\n");
        rest = &rest[length..];
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[test]
fn a_client_that_does_not_read_stops_the_reading_from_the_endpoint() {
    const SENT: usize = 20_000_000;
    let sent = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = std::rc::Rc::clone(&sent);
    scene(APP)
        .origin(ORIGIN, async move |mut conn| {
            conn.request().await;
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SENT}\r\n\r\n")).await;
            while count.get() < SENT && conn.send(&[b'x'; 10_000]).await {
                count.set(count.get() + 10_000);
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            scene.seconds(10).await;
            // Two pipes and one backlog; nothing grows with what the origin would still have.
            assert!(sent.get() < 64 * 1024 * 2 + 80 * 1024, "{} bytes were taken", sent.get());
            let response = client.response().await;
            assert_eq!(response.body.len(), SENT);
        });
}

#[test]
fn an_endpoint_that_does_not_read_stops_the_reading_from_the_client() {
    const SENT: usize = 20_000_000;
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            conn.head().await;
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            assert_eq!(conn.exactly(SENT).await.len(), SENT);
            conn.send(ok("all")).await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SENT}\r\n\r\n")).await;
            let mut sent = 0;
            while sent < SENT {
                client.send(&[b'x'; 10_000]).await;
                sent += 10_000;
                if scene.elapsed().as_secs() < 5 {
                    assert!(sent < 64 * 1024 * 2 + 80 * 1024, "{sent} bytes were taken");
                }
            }
            assert_eq!(client.response().await.text(), "all");
        });
}

#[test]
fn events_reach_the_client_as_they_come() {
    scene(format!("{APP} timeouts = {{ body = \"0s\" }}"))
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await;
            for number in 0..3 {
                tokio::time::sleep(std::time::Duration::from_mins(10)).await;
                conn.send(format!("data: {number}\n\n")).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.head().await.header("content-type"), Some("text/event-stream"));
            assert!(scene.elapsed().as_secs() < 1, "the head does not wait for the first event");
            for number in 0..3 {
                let event = format!("9\r\ndata: {number}\n\n\r\n");
                assert_eq!(client.exactly(event.len()).await, event.as_bytes());
                assert_eq!(scene.elapsed().as_secs(), 600 * (number + 1), "each comes at its own time");
            }
            assert_eq!(client.rest().await, b"0\r\n\r\n");
        });
}

#[test]
fn an_endpoint_may_answer_while_the_body_still_goes_up() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            conn.head().await;
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").await;
            for _ in 0..3 {
                let piece = conn.exactly(3).await;
                conn.send(piece).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await;
            let head = client.head().await;
            assert_eq!(
                head.header("connection"),
                Some("close"),
                "nobody can know that the body will end in time"
            );
            for piece in ["abc", "def", "ghi"] {
                client.send(piece).await;
                assert_eq!(client.exactly(3).await, piece.as_bytes());
            }
            assert_eq!(client.rest().await, b"");
        });
}

#[test]
fn an_endpoint_can_be_a_path() {
    scene(APP.replace(ORIGIN, "unix:/run/app.sock"))
        .origin("unix:/run/app.sock", async |mut conn| conn.answer_all(ok("local")).await)
        .run(async |scene| {
            let response = scene.client().get("/").await;
            assert_eq!(response.text(), "local");
        });
}

#[test]
fn requests_share_one_kept_connection() {
    scene(APP).origin(ORIGIN, async |mut conn| conn.answer_all(ok("hi")).await).run(async |scene| {
        let mut one = scene.client();
        let mut other = scene.client();
        for _ in 0..5 {
            one.get("/").await;
            other.get("/").await;
        }
        assert_eq!(scene.connections(ORIGIN), 1);
        assert_eq!(scene.requests().len(), 10);
    });
}

#[test]
fn the_preamble_of_a_trusted_balancer_names_the_client() {
    let config = format!(
        "[[listener]]\naddress = \"127.0.0.1:8080\"\nproxy_protocol = true\n\
         [server]\ntrusted_proxies = [\"10.0.0.0/8\"]\n{APP}"
    );
    scene(config).origin(ORIGIN, async |mut conn| conn.answer_all(ok("hi")).await).run(async |scene| {
        let mut client = scene.client_from("10.0.0.1");
        client.send("PROXY TCP4 198.51.100.9 10.0.0.1 5000 80\r\n").await;
        client.get("/").await;
        assert_eq!(scene.requests()[0].header("x-forwarded-for"), Some("198.51.100.9"));
        let mut stranger = scene.client_from("198.51.100.1");
        stranger.send("PROXY TCP4 127.0.0.1 10.0.0.1 5000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(stranger.rest().await, b"", "only trusted networks are believed");
        let mut without = scene.client_from("10.0.0.1");
        without.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(without.rest().await, b"", "a preamble is mandatory");
        assert_eq!(scene.requests().len(), 1);
    });
}
