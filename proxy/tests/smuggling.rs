//! Two readers of the same bytes must never see different requests: each known family of request
//! smuggling, end to end. `wire/tests` has the same families at the parser.
//!
//! The origin in here reads with `testkit`'s own reader. What counts is that it never sees a request
//! that the client's bytes do not hold as one, and that no client gets another client's response.

use testkit::{APP, Conn, ok, scene};

const ORIGIN: &str = "127.0.0.1:3001";

/// Answers with what was asked.
async fn echo(mut conn: Conn) {
    while let Some(request) = conn.request().await {
        let body = format!("{} {}", request.target(), request.body.escape_ascii());
        conn.send(ok(&body)).await;
    }
}

/// Sends bytes: the origin sees exactly `expected` targets, none of them `/admin`, and the next client
/// gets the answer to its own request.
fn sees(bytes: &str, expected: &[&str]) {
    scene(APP).origin(ORIGIN, echo).run(async |scene| {
        let mut attacker = scene.client();
        attacker.send(bytes).await;
        attacker.finish().await;
        attacker.rest().await;
        let requests = scene.requests();
        let targets: Vec<_> = requests.iter().map(testkit::Message::target).collect();
        assert_eq!(targets, expected, "{bytes:?}");
        let mut victim = scene.client();
        assert_eq!(victim.get("/mine").await.text(), "/mine ", "{bytes:?}");
    });
}

#[test]
fn cl_te_is_refused() {
    sees(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        &[],
    );
}

#[test]
fn te_cl_is_refused() {
    sees(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n24\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
        &[],
    );
}

#[test]
fn te_te_is_refused_however_it_is_dressed() {
    for dressed in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: \x0cchunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding\r\n : chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        " Transfer-Encoding: chunked",
        "Transfer_Encoding: chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: chunk\r\n ed",
        "transfer-encoding: chunked\0",
    ] {
        sees(
            &format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{dressed}\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
            ),
            &[],
        );
        sees(
            &format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{dressed}\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
            ),
            &[],
        );
    }
}

#[test]
fn a_plain_body_that_looks_like_a_request_stays_a_body() {
    let inner = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = inner.len();
    sees(
        &format!(
            "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{inner}GET /two HTTP/1.1\r\nHost: a\r\n\r\n"
        ),
        &["/one", "/two"],
    );
    sees(
        &format!(
            "GET /one HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{inner}GET /two HTTP/1.1\r\nHost: a\r\n\r\n"
        ),
        &["/one", "/two"],
    );
    sees(
        &format!(
            "POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{inner}\r\n0\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n"
        ),
        &["/one", "/two"],
    );
}

#[test]
fn tricks_with_chunks_are_refused() {
    for body in [
        // A line feed that only one reader takes for the end of the size.
        "0\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        "1;\nA\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        "1;a=\"\r\n0\r\n\r\n\"\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        // Sizes that overflow, or are read in another base.
        "10000000000000000\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        "0x0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        "+0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        " 0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        "0 \r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        // A chunk that does not end where its size says.
        "1\r\nAB0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        "1\r\nA\r0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        // A trailer section that ends for one reader only.
        "0\r\n\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        "0\r\nX: y\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        scene(APP).origin(ORIGIN, echo).run(async |scene| {
            let mut attacker = scene.client();
            attacker
                .send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"))
                .await;
            attacker.finish().await;
            attacker.rest().await;
            let targets: Vec<_> = scene.requests().iter().map(|r| r.target().to_owned()).collect();
            assert!(!targets.iter().any(|target| target == "/admin"), "{body:?}");
            let sent = scene.bytes().concat().escape_ascii().to_string();
            assert!(!sent.contains("GET /admin"), "{body:?} went on as {sent}");
            assert_eq!(scene.client().get("/mine").await.text(), "/mine ");
        });
    }
}

#[test]
fn chunks_are_written_anew() {
    scene(APP).origin(ORIGIN, echo).run(async |scene| {
        let mut client = scene.client();
        let response = client
            .ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n003;x=y\r\nabc\r\n0000\r\nX: y\r\n\r\n")
            .await;
        assert_eq!(response.text(), "/ abc");
        let sent = scene.bytes().concat();
        assert!(sent.ends_with(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{}", sent.escape_ascii());
    });
}

#[test]
fn a_host_can_be_read_one_way_only() {
    for lines in [
        "Host: a\r\nHost: b",
        "Host: a\r\nhost: a",
        "Host: a, b",
        "Host: a\r\n b",
        "Host : a",
        "Host: a\0b",
        "Host: a@b",
        "Host: a/../b",
        "X: y",
    ] {
        sees(&format!("GET /admin HTTP/1.1\r\n{lines}\r\n\r\n"), &[]);
    }
}

#[test]
fn the_target_wins_over_a_host_that_differs() {
    let config = r#"
        [upstream.app]
        endpoints = ["127.0.0.1:3001"]
        [[route]]
        host = "public.org"
        upstream = "app"
        [[route]]
        host = "admin.org"
        respond = { status = 403 }
    "#;
    scene(config).origin(ORIGIN, echo).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask("GET http://admin.org/x HTTP/1.1\r\nHost: public.org\r\n\r\n").await;
        assert_eq!(response.status(), 403, "the route is the target's");
        let response = client.ask("GET http://public.org/x?y HTTP/1.1\r\nHost: admin.org\r\n\r\n").await;
        assert_eq!(response.status(), 200);
        let requests = scene.requests();
        assert_eq!(requests[0].header("host"), Some("public.org"), "so is the Host that goes on");
        assert_eq!(requests[0].header("x-forwarded-host"), Some("public.org"));
        assert_eq!(requests[0].target(), "/x?y", "and the target goes on in the origin form");
    });
}

#[test]
fn what_follows_an_early_response_is_never_taken_for_a_request() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            conn.head().await;
            conn.send(ok("early")).await;
            conn.stay_silent().await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            let response = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc").await;
            assert_eq!(response.text(), "early");
            assert_eq!(response.header("connection"), Some("close"));
            client.send("GET /admin HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.rest().await, b"");
            let requests = scene.requests();
            assert_eq!(requests.len(), 1, "the rest of a body is no request");
            let mut next = scene.client();
            assert_eq!(next.get("/").await.text(), "early");
            assert_eq!(scene.connections(ORIGIN), 2, "a connection inside a body carries nothing else");
        });
}

#[test]
fn an_upgrade_without_101_opens_no_tunnel() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            while let Some(request) = conn.request().await {
                conn.send(ok(request.target())).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            client
                .send(
                    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
                     GET /admin HTTP/1.1\r\nHost: other\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
                )
                .await;
            assert_eq!(client.response().await.text(), "/ws");
            assert_eq!(client.response().await.text(), "/admin");
            let requests = scene.requests();
            // It went through every rule of a request instead of past them.
            assert_eq!(requests[1].header("x-forwarded-for"), Some("203.0.113.7"));
            assert_eq!(scene.totals().tunnels, 0);
        });
}

#[test]
fn an_upgrade_to_http_2_does_not_go_on() {
    scene(APP).origin(ORIGIN, echo).run(async |scene| {
        let mut client = scene.client();
        client
            .ask(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
            )
            .await;
        client
            .ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, H2C\r\n\r\n")
            .await;
        for request in scene.requests() {
            assert_eq!(request.header("upgrade"), None);
            assert_eq!(request.header("http2-settings"), None);
            assert_eq!(request.header("connection"), None);
        }
    });
}

#[test]
fn bytes_beyond_a_response_reach_nobody() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            while let Some(request) = conn.request().await {
                let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
                conn.send(ok(request.target()) + poison).await;
            }
        })
        .run(async |scene| {
            for number in 0..3 {
                let target = format!("/{number}");
                assert_eq!(scene.client().get(&target).await.text(), target);
            }
            assert_eq!(scene.connections(ORIGIN), 3, "a connection with a surplus is not used again");
        });
}

#[test]
fn bytes_that_come_after_a_response_make_the_connection_unusable() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            while let Some(request) = conn.request().await {
                conn.send(ok(request.target())).await;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison").await;
            }
        })
        .run(async |scene| {
            assert_eq!(scene.client().get("/one").await.text(), "/one");
            scene.seconds(1).await;
            assert_eq!(scene.client().get("/two").await.text(), "/two");
            assert_eq!(scene.connections(ORIGIN), 2);
        });
}

#[test]
fn a_body_behind_a_bodiless_response_reaches_nobody() {
    for (request, answer) in [
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 37\r\n\r\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 37\r\n\r\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
    ] {
        scene(APP)
            .origin(ORIGIN, async move |mut conn| {
                if conn.number() > 0 {
                    return echo(conn).await;
                }
                conn.request().await;
                conn.send(format!("{answer}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
                conn.stay_silent().await;
            })
            .run(async |scene| {
                scene.client().ask(request).await;
                assert_eq!(scene.client().get("/mine").await.text(), "/mine ");
            });
    }
}

#[test]
fn a_response_cannot_be_split() {
    for answer in [
        "HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n\tSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    ] {
        scene(APP)
            .origin(ORIGIN, async move |mut conn| {
                conn.request().await;
                conn.send(answer).await;
            })
            .run(async |scene| {
                let response = scene.client().get("/").await;
                assert_eq!(response.status(), 502, "{answer:?}");
                assert_eq!(response.header("set-cookie"), None);
            });
    }
}

#[test]
fn what_a_redirect_is_made_of_cannot_split_it() {
    let config = "[[route]]\npath = \"/go/{to}\"\nredirect = \"https://example.org/{to}?{query}\"";
    scene(config).run(async |scene| {
        let mut client = scene.client();
        let response = client.get("/go/a%0d%0aSet-Cookie:evil?b%0d%0aX:y").await;
        assert_eq!(response.status(), 308);
        assert_eq!(response.header("set-cookie"), None);
        let location = response.header("location").expect("Location");
        assert!(location.contains("%0d%0a") || location.contains("%0D%0A"), "{location}");
    });
}

#[test]
fn a_path_is_matched_as_the_endpoint_will_read_it() {
    let config = r#"
        [upstream.app]
        endpoints = ["127.0.0.1:3001"]
        [[route]]
        upstream = "app"
        [[route]]
        path = "/admin/*"
        respond = 403
    "#;
    scene(config).origin(ORIGIN, echo).run(async |scene| {
        for target in ["/admin", "/admin/", "/x/../admin/", "/./admin/x", "/%61dmin/x", "/x/%2e%2e/admin/x"] {
            let response = scene.client().get(target).await;
            assert_eq!(response.status(), 403, "{target}");
        }
    });
}

#[test]
fn doubled_slashes_do_not_get_round_a_rule() {
    let config =
        format!("{APP}\n[[route]]\npath = \"/admin/*\"\nrespond = {{ status = 403, body = \"no\" }}\n");
    scene(config).origin(ORIGIN, async |mut conn: Conn| conn.answer_all(ok("hello")).await).run(
        async |scene| {
            for target in ["/admin/x", "//admin/x", "/admin//x", "///admin", "/./admin/x", "/x/..//admin/x"] {
                assert_eq!(scene.client().get(target).await.status(), 403, "{target}");
            }
            assert!(scene.requests().is_empty(), "nothing of it reaches the app");
            assert_eq!(scene.client().get("//other//x").await.status(), 200);
            assert_eq!(scene.requests()[0].target(), "//other//x", "what goes on is what the client wrote");
        },
    );
}
