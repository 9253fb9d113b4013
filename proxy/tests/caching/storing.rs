//! What is kept, and what is passed on and not kept.

use testkit::{Framing, Message, ok, scene};

use crate::support::{ORIGIN, answer, answer_with, app, cached, counting, get, request, status};

/// RFC 9111 sections 4 and 5.1, RFC 9211 section 2.
#[test]
fn what_is_fresh_is_given_again_byte_by_byte() {
    scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: max-age=60", "X-App: yes"])).run(
        async |scene| {
            let first = scene.client().get("/").await;
            assert_eq!((first.text(), status(&first)), ("1", "fwd=uri-miss; stored; ttl=60"));
            assert_eq!(first.header("age"), Some("0"));
            scene.seconds(10).await;
            let second = scene.client().get("/").await;
            assert_eq!((second.status(), second.text(), status(&second)), (200, "1", "hit; ttl=50"));
            assert_eq!(second.header("age"), Some("10"));
            assert_eq!((second.header("x-app"), second.framing), (Some("yes"), Framing::Length(1)));
            assert_eq!(second.header("date"), first.header("date"), "Date is when the origin said it");
            assert_eq!(scene.requests().len(), 1);
        },
    );
}

/// RFC 9110 section 9.3.2.
#[test]
fn head_is_answered_from_a_stored_get() {
    scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(async |scene| {
        let mut client = scene.client();
        client.get("/").await;
        let response = client.ask(&request("HEAD / HTTP/1.1", &[])).await;
        assert_eq!((response.status(), status(&response)), (200, "hit; ttl=60"));
        assert_eq!(response.header("content-length"), Some("1"));
        assert_eq!(client.get("/").await.text(), "1", "nothing was sent behind the head");
        assert_eq!(scene.requests().len(), 1);
    });
}

#[test]
fn a_head_that_misses_fills_with_a_get() {
    scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask(&request("HEAD / HTTP/1.1", &[])).await;
        assert_eq!((response.status(), response.header("content-length")), (200, Some("1")));
        assert_eq!(client.get("/").await.text(), "1");
        let requests = scene.requests();
        assert_eq!((requests.len(), requests[0].method()), (1, "GET"));
    });
}

/// RFC 9111 section 4.2.2, and the route's own lifetimes.
#[test]
fn the_route_gives_a_lifetime_to_what_says_nothing() {
    scene(cached("{ ttl = \"30s\", negative = \"2s\" }"))
        .origin(
            ORIGIN,
            app(|number, request| {
                let status = if request.target() == "/gone" { 404 } else { 200 };
                answer_with(status, &[], &number.to_string())
            }),
        )
        .run(async |scene| {
            let mut client = scene.client();
            assert_eq!(status(&client.get("/").await), "fwd=uri-miss; stored; ttl=30");
            assert_eq!(status(&client.get("/gone").await), "fwd=uri-miss; stored; ttl=2");
            scene.seconds(3).await;
            assert_eq!(status(&client.get("/").await), "hit; ttl=27");
            assert_eq!(client.get("/gone").await.text(), "3");
            scene.seconds(30).await;
            assert_eq!(client.get("/").await.text(), "4");
        });
}

#[test]
fn a_route_without_a_lifetime_keeps_only_what_says_how_long() {
    scene(cached("true")).origin(ORIGIN, counting(&[])).run(async |scene| {
        let mut client = scene.client();
        assert_eq!(status(&client.get("/").await), "fwd=uri-miss; detail=no-lifetime");
        assert_eq!(client.get("/").await.text(), "2");
    });
}

/// RFC 9111 section 3: every reason, what the client is told, and that nobody else gets it.
#[test]
fn what_is_for_one_client_is_passed_on_and_not_kept() {
    for (fields, why) in [
        (&["Cache-Control: no-store, max-age=60"][..], "no-store"),
        (&["Cache-Control: private, max-age=60"], "private"),
        (&["Cache-Control: max-age=60", "Set-Cookie: id=1"], "set-cookie"),
        (&["Cache-Control: max-age=60", "Vary: *"], "vary-star"),
        (&["Cache-Control: max-age=0"], "expired"),
    ] {
        scene(cached("true")).origin(ORIGIN, app(|number, _| answer(fields, &number.to_string()))).run(
            async |scene| {
                let first = scene.client().get("/").await;
                assert_eq!((first.text(), status(&first)), ("1", &*format!("fwd=uri-miss; detail={why}")));
                assert_eq!(
                    first.header("set-cookie"),
                    fields.get(1).and_then(|f| f.strip_prefix("Set-Cookie: "))
                );
                assert_eq!(first.header("age"), None, "{why}");
                assert_eq!(scene.client().get("/").await.text(), "2", "{why}");
            },
        );
    }
}

/// RFC 9111 section 3.5.
#[test]
fn authorised_responses_are_shared_only_if_they_say_so() {
    let asked = get(&["Authorization: Bearer 1"]);
    scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(async |scene| {
        let first = scene.client().ask(&asked).await;
        assert_eq!((first.text(), status(&first)), ("1", "fwd=uri-miss; detail=authorization"));
        assert_eq!(scene.client().get("/").await.text(), "2", "nobody else gets it");
        let third = scene.client().ask(&asked).await;
        assert_eq!(
            (third.text(), status(&third)),
            ("3", "fwd=miss; detail=authorization"),
            "nor the other way"
        );
        assert_eq!(scene.client().get("/").await.text(), "2");
    });
    scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: public, max-age=60"])).run(
        async |scene| {
            assert_eq!(scene.client().ask(&asked).await.text(), "1");
            assert_eq!(scene.client().get("/").await.text(), "1");
            assert_eq!(scene.client().ask(&asked).await.text(), "1");
        },
    );
}

/// RFC 9111 section 3.3: what is incomplete is not kept, and ranges never reach the origin of a fill.
#[test]
fn partial_responses_are_passed_on_and_not_kept() {
    let partial = "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-1/9\r\n\
                   Content-Length: 2\r\n\r\nab";
    scene(cached("true")).origin(ORIGIN, async move |mut conn| conn.answer_all(partial).await).run(
        async |scene| {
            let response = scene.client().ask(&get(&["Range: bytes=0-1"])).await;
            assert_eq!((response.status(), response.text()), (206, "ab"));
            assert_eq!(status(&response), "fwd=uri-miss; detail=partial");
            scene.client().get("/").await;
            let requests = scene.requests();
            assert_eq!((requests.len(), requests[0].header("range")), (2, None));
        },
    );
}

/// A cookie that the route drops is dropped for the one who asked first as well, or the page would differ by who came
/// first.
#[test]
fn a_cookie_that_the_route_strips_reaches_nobody() {
    scene(cached("{ set_cookie = \"strip\" }"))
        .origin(ORIGIN, counting(&["Cache-Control: max-age=60", "Set-Cookie: id=1", "Set-Cookie: more=2"]))
        .run(async |scene| {
            for _ in 0..3 {
                let response = scene.client().get("/").await;
                assert_eq!((response.text(), response.all("set-cookie")), ("1", vec![]));
            }
            assert_eq!(scene.requests().len(), 1);
        });
}

#[test]
fn a_cookie_of_a_private_response_is_not_stripped() {
    scene(cached("{ set_cookie = \"strip\" }"))
        .origin(ORIGIN, counting(&["Cache-Control: private", "Set-Cookie: id=1", "Age: 3"]))
        .run(async |scene| {
            for body in ["1", "2"] {
                let response = scene.client().get("/").await;
                assert_eq!((response.text(), response.header("set-cookie")), (body, Some("id=1")));
                assert_eq!(response.header("age"), Some("3"), "how old it is, the origin has said");
            }
        });
}

/// The first user's cookie never reaches the second one, whatever the first got.
#[test]
fn cookies_never_go_from_one_user_to_another() {
    let session = |_: usize, request: &Message| {
        let user = request.header("cookie").unwrap_or("nobody").to_owned();
        answer(&["Cache-Control: max-age=60", &format!("Set-Cookie: seen={user}")], &user)
    };
    for how in ["true", "{ ttl = \"1m\" }", "{ template = \"session-app\" }"] {
        scene(cached(how)).origin(ORIGIN, app(session)).run(async |scene| {
            for user in ["user=1", "user=2", "user=1"] {
                let response = scene.client().ask(&get(&[&format!("Cookie: {user}")])).await;
                assert_eq!(response.text(), user, "{how}");
                assert_eq!(response.all("set-cookie"), [format!("seen={user}")]);
            }
        });
    }
}

#[test]
fn requests_with_cookies_pass_where_the_route_says_so() {
    scene(cached("{ template = \"session-app\" }"))
        .origin(ORIGIN, counting(&["Cache-Control: max-age=60"]))
        .run(async |scene| {
            let own = scene.client().ask(&get(&["Cookie: session=1"])).await;
            assert_eq!((own.text(), status(&own)), ("1", "fwd=bypass; detail=request-cookie"));
            assert_eq!(scene.client().get("/").await.text(), "2");
            assert_eq!(scene.client().get("/").await.text(), "2");
            assert_eq!(scene.client().ask(&get(&["Cookie: session=1"])).await.text(), "3");
        });
}

/// Browsers send the cookie that ties them to an endpoint to every route.
#[test]
fn a_sticky_cookie_is_no_cookie_of_the_app() {
    let config = format!(
        "upstream.other = {{ endpoints = [\"127.0.0.1:1\"], balance = {{ by = \"sticky\", cookie = \"seat\" }} }}\n{}",
        cached("{ template = \"session-app\" }")
    );
    scene(config).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(async |scene| {
        for (cookies, wanted) in
            [("seat=1", "1"), ("seat=2", "1"), ("seats=1", "2"), ("seat=1; session=1", "3"), ("=seat", "4")]
        {
            let response = scene.client().ask(&get(&[&format!("Cookie: {cookies}")])).await;
            assert_eq!(response.text(), wanted, "{cookies}");
        }
    });
}

/// RFC 9111 section 3.1 and RFC 9110 section 7.6.1: what is about one connection or one exchange is not kept.
#[test]
fn what_is_about_one_exchange_is_not_kept() {
    let fields = &[
        "Cache-Control: max-age=60",
        "Connection: X-Once",
        "X-Once: 1",
        "Keep-Alive: timeout=5",
        "X-Request-Id: of-the-app",
        "Via: 1.1 inner",
    ];
    scene(cached("true")).origin(ORIGIN, counting(fields)).run(async |scene| {
        let (first, second) = (scene.client().get("/").await, scene.client().get("/").await);
        for response in [&first, &second] {
            for gone in ["connection", "x-once", "keep-alive"] {
                assert_eq!(response.header(gone), None);
            }
            assert_eq!(response.all("via"), ["1.1 inner", "1.1 tidegate"]);
        }
        let (one, other) = (first.header("x-request-id"), second.header("x-request-id"));
        assert!(one.is_some() && other.is_some() && one != other, "each request has an id of its own");
        assert_eq!(scene.requests()[0].header("x-request-id"), one, "the fill has that of its cause");
    });
}

/// RFC 9213: the field for this cache alone goes no further, that for all caches of its kind does.
#[test]
fn a_targeted_field_wins_and_ends_here() {
    let fields =
        &["Tidegate-Cache-Control: max-age=60", "CDN-Cache-Control: max-age=5", "Cache-Control: no-store"];
    scene(cached("true")).origin(ORIGIN, counting(fields)).run(async |scene| {
        let response = scene.client().get("/").await;
        assert_eq!(status(&response), "fwd=uri-miss; stored; ttl=60");
        assert_eq!(response.header("tidegate-cache-control"), None);
        assert_eq!(response.header("cdn-cache-control"), Some("max-age=5"));
        assert_eq!(response.header("cache-control"), Some("no-store"), "browsers are told what is for them");
        let own = scene.client().ask(&get(&["Cache-Control: no-store"])).await;
        assert_eq!(status(&own), "fwd=bypass; detail=request-no-store");
        assert_eq!(own.header("tidegate-cache-control"), None, "not past the cache either");
        assert_eq!(scene.client().get("/").await.text(), "1");
    });
}

/// RFC 9111 section 4.2.3: what the origin, or a cache before it, says of the age counts.
#[test]
fn age_counts_from_where_the_response_comes_from() {
    scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: max-age=60", "Age: 50"])).run(
        async |scene| {
            let first = scene.client().get("/").await;
            assert_eq!((first.header("age"), status(&first)), (Some("50"), "fwd=uri-miss; stored; ttl=10"));
            scene.seconds(10).await;
            assert_eq!(scene.client().get("/").await.text(), "2");
        },
    );
}

/// The route's own fields are stored with the response, so that a hit writes nothing anew.
#[test]
fn the_routes_fields_are_in_misses_and_hits_once() {
    let config = format!(
        "{}response_headers = {{ set = {{ server = \"edge\" }}, add = {{ link = \"</own>\" }}, remove = [\"x-powered-by\"] }}\n",
        cached("true")
    );
    let fields = &["Cache-Control: max-age=60", "Server: app", "X-Powered-By: x", "Link: </app>"];
    scene(config).origin(ORIGIN, counting(fields)).run(async |scene| {
        for _ in 0..2 {
            let response = scene.client().get("/").await;
            assert_eq!((response.text(), response.all("server")), ("1", vec!["edge"]));
            assert_eq!(
                (response.all("link"), response.header("x-powered-by")),
                (vec!["</app>", "</own>"], None)
            );
        }
    });
}

#[test]
fn routes_without_a_cache_say_nothing_about_one() {
    for config in [testkit::APP.to_owned(), format!("cache.memory = \"0\"\n{}", cached("true"))] {
        scene(config).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(async |scene| {
            for body in ["1", "2"] {
                let response = scene.client().get("/").await;
                assert_eq!((response.text(), response.header("cache-status")), (body, None));
            }
        });
    }
}

#[test]
fn status_can_be_left_out() {
    scene(cached("{ status = false }")).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(
        async |scene| {
            for _ in 0..2 {
                let response = scene.client().get("/").await;
                assert_eq!((response.text(), response.header("cache-status")), ("1", None));
                assert!(response.header("age").is_some());
            }
            let pass = scene.client().ask(&get(&["Cache-Control: no-store"])).await;
            assert_eq!((pass.text(), pass.header("cache-status")), ("2", None));
        },
    );
}

/// RFC 9211 section 2: caches before this one come first.
#[test]
fn the_status_of_an_inner_cache_comes_first() {
    scene(cached("true"))
        .origin(ORIGIN, counting(&["Cache-Control: max-age=60", "Cache-Status: inner; hit"]))
        .run(async |scene| {
            scene.client().get("/").await;
            let response = scene.client().get("/").await;
            assert_eq!(response.all("cache-status"), ["inner; hit", "Tidegate; hit; ttl=60"]);
        });
}

/// Less memory makes room at once, none switches the cache off, and more switches it on again.
#[test]
fn a_reload_changes_how_much_is_kept() {
    let with = |memory: &str| format!("cache.memory = \"{memory}\"\n{}", cached("true"));
    scene(with("64 MiB"))
        .origin(
            ORIGIN,
            app(|number, _| answer(&["Cache-Control: max-age=600"], &format!("{number:08}").repeat(5_000))),
        )
        .run(async |scene| {
            let mut client = scene.client();
            for number in 0..100 {
                client.get(&format!("/{number}")).await;
            }
            assert_eq!(scene.shared.cache.usage().entries, 100);
            scene.reload(&with("1 MiB"));
            let usage = scene.shared.cache.usage();
            assert!(usage.used_bytes <= 1 << 20 && usage.entries > 10, "{usage:?}");
            scene.reload(&with("0"));
            assert_eq!(scene.shared.cache.usage().entries, 0);
            assert_eq!(client.get("/1").await.header("cache-status"), None);
            scene.reload(&with("64 MiB"));
            client.get("/1").await;
            assert_eq!(status(&client.get("/1").await), "hit; ttl=600");
        });
}

/// RFC 9112 section 6: how the origin framed a body is its own affair.
#[test]
fn a_body_of_unknown_length_has_one_when_it_is_given_again() {
    let chunked = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
    let closed = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nhello world";
    for (response, closes) in [(chunked, false), (closed, true)] {
        scene(cached("true"))
            .origin(ORIGIN, async move |mut conn| {
                conn.request().await;
                conn.send(response).await;
                if !closes {
                    conn.stay_silent().await;
                }
            })
            .run(async |scene| {
                let first = scene.client().get("/").await;
                assert_eq!((first.text(), first.is_whole), ("hello world", true));
                let second = scene.client().get("/").await;
                assert_eq!((second.text(), second.framing), ("hello world", Framing::Length(11)));
                assert_eq!(scene.requests().len(), 1);
            });
    }
}

#[test]
fn a_client_of_http_1_0_gets_hits_and_misses_as_it_can_read_them() {
    let old = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    scene(cached("true"))
        .origin(ORIGIN, async move |mut conn| {
            conn.request().await;
            conn.send(&chunked[..chunked.len() - 5]).await;
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            conn.send("0\r\n\r\n").await;
            conn.stay_silent().await;
        })
        .run(async |scene| {
            let miss = scene.client().ask(old).await;
            assert_eq!((miss.text(), miss.framing), ("hello", Framing::Close));
            let hit = scene.client().ask(old).await;
            assert_eq!((hit.text(), hit.framing), ("hello", Framing::Length(5)));
            let kept =
                scene.client().ask("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").await;
            assert_eq!(kept.header("connection"), Some("keep-alive"));
            assert_eq!(
                scene.requests()[0].start_line(),
                "GET / HTTP/1.1",
                "the fill is a request of our own"
            );
        });
}

#[test]
fn responses_without_a_body_are_kept_too() {
    let moved =
        "HTTP/1.1 301 Moved\r\nCache-Control: max-age=60\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n";
    let empty = "HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n\r\n";
    for (response, code) in [(moved, 301), (empty, 204)] {
        scene(cached("true")).origin(ORIGIN, async move |mut conn| conn.answer_all(response).await).run(
            async |scene| {
                let mut client = scene.client();
                for _ in 0..3 {
                    assert_eq!(client.get("/").await.status(), code);
                }
                assert_eq!(scene.requests().len(), 1);
            },
        );
    }
}

/// Interim responses are for the one who asked, and a fill asks for everybody.
#[test]
fn interim_responses_are_not_kept() {
    let response = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}",
        answer(&["Cache-Control: max-age=60"], "hello")
    );
    scene(cached("true")).origin(ORIGIN, async move |mut conn| conn.answer_all(&response).await).run(
        async |scene| {
            for _ in 0..2 {
                let response = scene.client().get("/").await;
                assert_eq!(
                    (response.status(), response.text(), response.header("link")),
                    (200, "hello", None)
                );
            }
        },
    );
}

/// RFC 9111 section 2: methods that are not understood by the cache are not its affair.
#[test]
fn other_methods_and_requests_with_bodies_pass() {
    scene(cached("{ ttl = \"1m\" }")).origin(ORIGIN, async |mut conn| conn.answer_all(ok("x")).await).run(
        async |scene| {
            for (asked, told) in [
                (request("OPTIONS / HTTP/1.1", &[]), "fwd=method; detail=method"),
                (
                    format!("{}x", request("GET / HTTP/1.1", &["Content-Length: 1"])),
                    "fwd=bypass; detail=request-body",
                ),
            ] {
                for _ in 0..2 {
                    assert_eq!(status(&scene.client().ask(&asked).await), told);
                }
            }
            assert_eq!(scene.requests().len(), 4);
        },
    );
}

/// RFC 9111 section 3.5 while an answer is on its way in: nobody who is authorised gets what does not say that it may be
/// shared with him, and the other way round.
#[test]
fn authorised_requests_do_not_share_what_comes_in() {
    scene(cached("true"))
        .origin(ORIGIN, async |mut conn| {
            while let Some(request) = conn.request().await {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                let who = request.header("authorization").unwrap_or("nobody").to_owned();
                conn.send(answer(&["Cache-Control: max-age=60"], &who)).await;
            }
        })
        .run(async |scene| {
            let mut clients = Vec::new();
            for who in ["one", "nobody", "two", "nobody", "one"] {
                let mut client = scene.client();
                let field = format!("Authorization: {who}");
                let fields: &[&str] = if who == "nobody" { &[] } else { &[&field] };
                client.send(get(fields)).await;
                clients.push((who, client));
            }
            for (who, client) in &mut clients {
                assert_eq!(client.response().await.text(), *who);
            }
        });
}
