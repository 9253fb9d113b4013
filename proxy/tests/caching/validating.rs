//! Asking the origin whether what is stored is still good, and answering clients who ask the same.

use testkit::{Framing, scene};

use crate::support::{ORIGIN, answer, answer_with, app, cached, counting, get, not_modified, status};

const DATED: &str = "Last-Modified: Sun, 15 Nov 2026 12:00:00 GMT";

/// RFC 9111 sections 5.2.2.4, 4.3.1 and 4.3.4.
#[test]
fn no_cache_is_stored_and_validated_each_time() {
    let config = format!("{}response_headers = {{ add = {{ link = \"</own>\" }} }}\n", cached("true"));
    scene(config)
        .origin(
            ORIGIN,
            app(|number, request| {
                if number == 1 {
                    return answer(
                        &["Cache-Control: no-cache", "ETag: \"v1\"", DATED, "X-Old: 1", "Link: </app>"],
                        "page",
                    );
                }
                assert_eq!(request.header("if-none-match"), Some("\"v1\""));
                assert_eq!(request.header("if-modified-since"), Some("Sun, 15 Nov 2026 12:00:00 GMT"));
                not_modified(&["Cache-Control: no-cache", "ETag: \"v1\"", &format!("X-Seen: {number}")])
            }),
        )
        .run(async |scene| {
            let mut client = scene.client();
            client.get("/").await;
            for number in 2..5 {
                let response = client.get("/").await;
                assert_eq!((response.status(), response.text()), (200, "page"));
                assert!(
                    status(&response).starts_with("fwd=stale; fwd-status=304; stored"),
                    "{}",
                    status(&response)
                );
                assert_eq!(response.header("x-seen"), Some(&*number.to_string()), "fields are refreshed");
                assert_eq!(response.header("x-old"), Some("1"), "what is not mentioned stays");
                assert_eq!(response.all("link"), ["</app>", "</own>"]);
            }
            assert_eq!(scene.requests().len(), 4);
        });
}

/// RFC 9111 section 4.3.4: a 304 makes what is stored fresh again, for everybody.
#[test]
fn a_304_makes_it_fresh_again() {
    scene(cached("true"))
        .origin(
            ORIGIN,
            app(|number, request| {
                if number == 1 {
                    answer(&["Cache-Control: max-age=10", "ETag: W/\"1\""], "page")
                } else {
                    assert_eq!(request.header("if-none-match"), Some("W/\"1\""));
                    not_modified(&["Cache-Control: max-age=99", "ETag: W/\"1\""])
                }
            }),
        )
        .run(async |scene| {
            let mut client = scene.client();
            let first = client.get("/").await;
            scene.seconds(20).await;
            let response = client.get("/").await;
            assert_eq!(status(&response), "fwd=stale; fwd-status=304; stored; ttl=99");
            assert_eq!(response.header("age"), Some("0"));
            assert_ne!(response.header("date"), first.header("date"), "it came just now");
            scene.seconds(50).await;
            assert_eq!(status(&client.get("/").await), "hit; ttl=49");
            assert_eq!(scene.requests().len(), 2);
        });
}

/// RFC 9111 section 4.3.4: a 304 that names another validator is not about what is stored, so that the origin is asked
/// for the whole; by one of those who wait, or by the next who comes where nobody does.
#[test]
fn a_304_about_something_else_has_the_whole_asked_for() {
    for fields in ["Cache-Control: max-age=10", "Cache-Control: max-age=10, stale-while-revalidate=100"] {
        let config = cached("{ stale_if_error = \"1h\" }");
        let odd = move |number: usize, request: &testkit::Message| {
            if request.header("if-none-match").is_some() {
                return not_modified(&["ETag: \"other\""]);
            }
            answer(&[fields, &format!("ETag: \"{number}\"")], &number.to_string())
        };
        scene(config).origin(ORIGIN, app(odd)).run(async |scene| {
            scene.client().get("/").await;
            scene.seconds(11).await;
            let is_behind = fields.contains("while");
            let mut first = scene.client();
            first.send(get(&[])).await;
            assert_eq!(scene.client().get("/").await.text(), if is_behind { "1" } else { "3" });
            assert_eq!(first.response().await.text(), if is_behind { "1" } else { "3" });
            assert_eq!(scene.client().get("/").await.text(), "3");
            assert_eq!(scene.requests().len(), 3);
        });
    }
}

#[test]
fn a_new_answer_takes_the_place_of_the_old_one() {
    scene(cached("true"))
        .origin(
            ORIGIN,
            app(|number, _| {
                answer(&["Cache-Control: max-age=10", &format!("ETag: \"{number}\"")], &number.to_string())
            }),
        )
        .run(async |scene| {
            let mut client = scene.client();
            client.get("/").await;
            scene.seconds(20).await;
            let response = client.get("/").await;
            assert_eq!((response.text(), status(&response)), ("2", "fwd=stale; stored; ttl=10"));
            assert_eq!(scene.requests()[1].header("if-none-match"), Some("\"1\""));
            assert_eq!(client.get("/").await.text(), "2");
        });
}

/// RFC 9111 section 4.3.2: the client's conditions are answered here, on hits and on the miss that fills, and none of
/// them reaches the origin.
#[test]
fn conditions_of_clients_are_answered_here() {
    let fields = &["Cache-Control: max-age=60", "ETag: \"v1\"", DATED, "Content-Type: text/plain"];
    for (condition, code) in [
        ("If-None-Match: \"v1\"", 304),
        ("If-None-Match: \"v0\", W/\"v1\"", 304),
        ("If-None-Match: *", 304),
        ("If-None-Match: \"v0\"", 200),
        ("If-Modified-Since: Sun, 15 Nov 2026 12:00:00 GMT", 304),
        ("If-Modified-Since: Sun, 15 Nov 2026 11:59:59 GMT", 200),
        ("If-Match: \"v1\"", 200),
        ("If-Unmodified-Since: Sun, 15 Nov 2026 12:00:00 GMT", 200),
    ] {
        scene(cached("true")).origin(ORIGIN, counting(fields)).run(async |scene| {
            let mut client = scene.client();
            for when in ["on the miss", "on the hit"] {
                let response = client.ask(&get(&[condition])).await;
                assert_eq!(response.status(), code, "{condition} {when}");
                assert_eq!(response.header("etag"), Some("\"v1\""));
                if code == 304 {
                    assert_eq!((response.framing, response.header("content-type")), (Framing::None, None));
                    assert!(response.header("date").is_some() && response.header("cache-control").is_some());
                }
            }
            assert_eq!(client.get("/").await.text(), "1", "nothing was sent behind a 304");
            let requests = scene.requests();
            assert_eq!(requests.len(), 1, "{condition}");
            let name = condition.split(':').next().unwrap_or_default();
            assert_eq!(requests[0].header(name), None);
        });
    }
}

/// RFC 9110 section 13.2.2: If-None-Match counts, and If-Modified-Since beside it does not.
#[test]
fn a_tag_wins_over_a_date() {
    scene(cached("true"))
        .origin(ORIGIN, counting(&["Cache-Control: max-age=60", "ETag: \"v1\"", DATED]))
        .run(async |scene| {
            let dated = "If-Modified-Since: Sun, 15 Nov 2026 12:00:00 GMT";
            let mut client = scene.client();
            client.get("/").await;
            assert_eq!(client.ask(&get(&["If-None-Match: \"v0\"", dated])).await.status(), 200);
        });
}

/// RFC 9111 section 4.3.2: whether a condition like this holds only the origin can say.
#[test]
fn a_condition_that_does_not_hold_here_goes_to_the_origin() {
    let origin = || {
        app(|_, request| match request.header("if-match") {
            Some(_) => answer_with(412, &[], "no"),
            None => answer(&["Cache-Control: max-age=60", "ETag: \"v1\""], "page"),
        })
    };
    for first in [true, false] {
        scene(cached("true")).origin(ORIGIN, origin()).run(async |scene| {
            let mut client = scene.client();
            if first {
                client.get("/").await;
            }
            let response = client.ask(&get(&["If-Match: \"v0\""])).await;
            assert_eq!((response.status(), response.text()), (412, "no"));
            assert_eq!(status(&response), "fwd=request; detail=condition");
            assert_eq!(client.get("/").await.text(), "page");
            assert_eq!(scene.requests().len(), 2, "the fill is not in vain");
        });
    }
    // What is not kept is not known well enough to say that it holds.
    scene(cached("true"))
        .origin(
            ORIGIN,
            app(|_, request| match request.header("if-match") {
                Some(_) => answer_with(412, &[], "no"),
                None => answer(&["Cache-Control: no-store", "ETag: \"v1\""], "page"),
            }),
        )
        .run(async |scene| {
            assert_eq!(scene.client().ask(&get(&["If-Match: \"v0\""])).await.status(), 412);
        });
}

/// A client's condition does not stop a stored response from being validated for everybody.
#[test]
fn a_client_validates_while_the_cache_does() {
    scene(cached("true"))
        .origin(
            ORIGIN,
            app(|number, request| {
                if number == 1 {
                    answer(&["Cache-Control: max-age=10", "ETag: \"1\""], "page")
                } else {
                    assert_eq!(
                        request.header("if-none-match"),
                        Some("\"1\""),
                        "our own, and not the client's"
                    );
                    not_modified(&["ETag: \"1\""])
                }
            }),
        )
        .run(async |scene| {
            let mut client = scene.client();
            client.get("/").await;
            scene.seconds(11).await;
            let response = client.ask(&get(&["If-None-Match: \"0\""])).await;
            assert_eq!((response.status(), response.text()), (200, "page"));
            scene.seconds(11).await;
            assert_eq!(client.ask(&get(&["If-None-Match: \"1\""])).await.status(), 304);
            assert_eq!(scene.requests().len(), 3);
        });
}

/// Those who want what has expired wait for one validation, and share what comes of it.
#[test]
fn concurrent_requests_share_one_validation() {
    for is_still_good in [true, false] {
        scene(cached("true"))
            .origin(ORIGIN, async move |mut conn: testkit::Conn| {
                while let Some(request) = conn.request().await {
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    let is_first = request.header("if-none-match").is_none();
                    let fields = ["Cache-Control: max-age=10", "ETag: \"1\""];
                    conn.send(match (is_first, is_still_good) {
                        (true, _) => answer(&fields, "old"),
                        (false, true) => not_modified(&fields),
                        (false, false) => answer(&fields[..1], "new"),
                    })
                    .await;
                }
            })
            .run(async |scene| {
                scene.client().get("/").await;
                scene.seconds(20).await;
                let mut clients: Vec<_> = (0..20).map(|_| scene.client()).collect();
                for client in &mut clients {
                    client.send(get(&[])).await;
                }
                let said =
                    if is_still_good { "fwd=stale; fwd-status=304; stored" } else { "fwd=stale; stored" };
                for (number, client) in clients.iter_mut().enumerate() {
                    let response = client.response().await;
                    assert_eq!(response.text(), if is_still_good { "old" } else { "new" });
                    let wanted = if number == 0 { said } else { "fwd=stale; stored; collapsed" };
                    assert!(status(&response).starts_with(wanted), "{}", status(&response));
                }
                assert_eq!(scene.requests().len(), 2);
            });
    }
}

/// What has to be validated for each request is not shared with those who did not ask for that validation; they do
/// not wait for one another for ever, either.
#[test]
fn what_is_validated_each_time_is_validated_for_each() {
    scene(cached("true"))
        .origin(
            ORIGIN,
            app(|_, request| match request.header("if-none-match") {
                None => answer(&["Cache-Control: no-cache", "ETag: \"1\""], "page"),
                Some(_) => not_modified(&[]),
            }),
        )
        .run(async |scene| {
            scene.client().get("/").await;
            let mut clients: Vec<_> = (0..20).map(|_| scene.client()).collect();
            for client in &mut clients {
                client.send(get(&[])).await;
            }
            for client in &mut clients {
                assert_eq!(client.response().await.text(), "page");
            }
            assert_eq!(scene.requests().len(), 21);
        });
}
