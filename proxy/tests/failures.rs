//! What goes wrong, and what the client sees of it: as little as can be, and never a lie.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use testkit::{APP, APPS, Conn, ok, scene};

const FIRST: &str = "127.0.0.1:3001";
const SECOND: &str = "127.0.0.1:3002";
const THIRD: &str = "127.0.0.1:3003";

/// Two endpoints, the first of them asked before the second.
const PAIR: &str = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001", { address = "127.0.0.1:3002", backup = true }]
[[route]]
upstream = "app"
"#;

async fn first(mut conn: Conn) {
    conn.answer_all(ok("first")).await;
}

async fn second(mut conn: Conn) {
    conn.answer_all(ok("second")).await;
}

/// Takes a whole request and closes without an answer.
async fn close(mut conn: Conn) {
    conn.request().await;
}

/// Takes whatever comes and never answers.
async fn silent(mut conn: Conn) {
    conn.stay_silent().await;
}

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

#[test]
fn an_unsent_request_is_tried_elsewhere_whatever_its_method() {
    scene(PAIR).origin(SECOND, second).run(async |scene| {
        for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", POST] {
            assert_eq!(scene.client().ask(request).await.text(), "second");
        }
        assert_eq!(scene.requests()[1].text(), "body");
        assert_eq!(scene.totals().upstreams[1].retries(), 2);
    });
}

#[test]
fn a_request_may_be_unsent_although_its_body_is_on_its_way() {
    scene(PAIR).origin(SECOND, second).run(async |scene| {
        let mut client = scene.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf").await;
        scene.seconds(1).await;
        client.send("done").await;
        assert_eq!(client.response().await.text(), "second");
        assert_eq!(scene.requests()[0].text(), "halfdone");
    });
}

#[test]
fn an_idempotent_request_is_tried_elsewhere() {
    scene(PAIR).origin(FIRST, close).origin(SECOND, second).run(async |scene| {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"] {
            let response = scene.client().ask(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            assert_eq!(response.status(), 200, "{method}");
        }
    });
}

#[test]
fn a_request_that_may_have_done_something_is_not_sent_twice() {
    scene(PAIR).origin(FIRST, close).origin(SECOND, second).run(async |scene| {
        for method in ["POST", "PATCH", "BREW"] {
            let request = POST.replace("POST", method);
            assert_eq!(scene.client().ask(&request).await.status(), 502, "{method}");
        }
        assert_eq!(scene.requests_at(SECOND).len(), 0);
        assert_eq!(scene.totals().upstreams[1].retries_refused(), 3);
    });
}

#[test]
fn an_idempotency_key_declares_that_a_request_may_be_sent_twice() {
    scene(PAIR).origin(FIRST, close).origin(SECOND, second).run(async |scene| {
        let request = POST.replace("Host: a", "Host: a\r\nIdempotency-Key: \"1\"");
        assert_eq!(scene.client().ask(&request).await.text(), "second");
        let requests = scene.requests();
        assert_eq!(requests[0].text(), "body");
        assert_eq!(requests[1].text(), "body");
    });
}

#[test]
fn a_body_that_is_no_longer_held_is_not_sent_twice() {
    scene(PAIR)
        .origin(FIRST, async |mut conn| {
            conn.head().await;
            conn.exactly(2_000).await;
        })
        .origin(SECOND, second)
        .run(async |scene| {
            let mut client = scene.client();
            client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await;
            scene.settle().await;
            client.send("x".repeat(1_000)).await;
            scene.settle().await;
            client.send("x".repeat(1_000)).await;
            assert_eq!(client.response().await.status(), 502);
            assert_eq!(scene.requests_at(SECOND).len(), 0);
        });
}

#[test]
fn an_endpoint_that_failed_a_request_does_not_get_it_again() {
    scene(format!("{APPS} retry = {{ attempts = 8 }}"))
        .origin(FIRST, close)
        .origin(SECOND, close)
        .origin(THIRD, close)
        .run(async |scene| {
            assert_eq!(scene.client().get("/").await.status(), 502);
            for address in [FIRST, SECOND, THIRD] {
                assert_eq!(scene.requests_at(address).len(), 1, "{address}");
            }
        });
}

#[test]
fn a_request_is_tried_no_more_often_than_allowed() {
    scene(format!("{APPS} retry = {{ attempts = 2 }}"))
        .origin(FIRST, close)
        .origin(SECOND, close)
        .origin(THIRD, close)
        .run(async |scene| {
            assert_eq!(scene.client().get("/").await.status(), 502);
            assert_eq!(scene.requests().len(), 2);
        });
}

#[test]
fn retries_stay_within_their_budget() {
    // Nobody is ejected, so that only the budget holds retries back.
    let config = PAIR.replace("[[route]]", "outlier = \"off\"\n[[route]]");
    scene(format!("{config} retry = {{ budget = 0.2, min_per_second = 0 }}"))
        .origin(FIRST, close)
        .origin(SECOND, second)
        .run(async |scene| {
            let mut answered = 0;
            for _ in 0..100 {
                answered += u32::from(scene.client().get("/").await.status() == 200);
            }
            assert_eq!(answered, 20, "a fifth of the requests was tried again");
        });
}

#[test]
fn an_endpoint_killed_under_load_costs_no_idempotent_request() {
    scene(APPS).origin(FIRST, first).origin(SECOND, first).origin(THIRD, first).run(async |scene| {
        let mut clients: Vec<_> = (0..20).map(|_| scene.client()).collect();
        for round in 0..30 {
            if round == 10 {
                scene.kill(SECOND);
            }
            // All are in flight at once.
            for client in &mut clients {
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            }
            for client in &mut clients {
                assert_eq!(client.response().await.status(), 200);
            }
            scene.pass(Duration::from_millis(30)).await;
        }
        assert_eq!(scene.state(SECOND), "ejected");
        assert_eq!(scene.requests().len(), 600);
    });
}

/// An app that closes connections that are idle for `timeout`. The close arrives `late`: a request that
/// meets it on the way is lost.
async fn impatient(mut conn: Conn, timeout: Duration, late: Duration) {
    while let Ok(Some(request)) = tokio::time::timeout(timeout, conn.request()).await {
        conn.send(ok(request.method())).await;
    }
    tokio::time::sleep(late).await;
}

#[test]
fn an_app_that_closes_idle_connections_never_causes_an_error() {
    for (timeout_ms, late_ms) in [(300, 0), (1_000, 0), (2_000, 50), (5_000, 50)] {
        let (timeout, late) = (Duration::from_millis(timeout_ms), Duration::from_millis(late_ms));
        scene(APP).origin(FIRST, async move |conn| impatient(conn, timeout, late).await).run(async |scene| {
            let mut client = scene.client();
            let mut rng = scene.rng();
            for round in 0..400 {
                let request = if round % 2 == 0 { POST } else { "GET / HTTP/1.1\r\nHost: a\r\n\r\n" };
                let response = client.ask(request).await;
                assert_eq!(response.status(), 200, "{request} after {:?}", scene.elapsed());
                // Around the time at which the app closes, so that both often meet.
                let around = rng.u64(timeout_ms * 8 / 10..timeout_ms * 11 / 10);
                scene.pass(Duration::from_millis(if rng.bool() { around } else { 10 })).await;
            }
            assert!(scene.connections(FIRST) < 350, "connections are used again");
            assert_eq!(scene.endpoint(FIRST).recent(scene.shared.now()).failures, 0);
        });
    }
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_is_no_fault_of_the_endpoint() {
    let closing = Rc::new(tokio::sync::Notify::new());
    let close = Rc::clone(&closing);
    scene(APP)
        .origin(FIRST, async move |mut conn| {
            conn.request().await;
            conn.send(ok("hi")).await;
            if conn.number() == 0 {
                // Closes just as the next request is on its way.
                conn.head().await;
                close.notify_one();
            } else {
                conn.answer_all(ok("hi")).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.get("/").await;
            assert_eq!(client.get("/").await.text(), "hi");
            closing.notified().await;
            assert_eq!(scene.connections(FIRST), 2, "the same endpoint was asked again");
            assert_eq!(scene.endpoint(FIRST).recent(scene.shared.now()).failures, 0);
        });
}

#[test]
fn a_response_that_breaks_off_is_visibly_truncated_and_nothing_else_is_harmed() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        scene(PAIR)
            .origin(FIRST, async move |mut conn| {
                conn.request().await;
                conn.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n")).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            })
            .origin(SECOND, second)
            .run(async |scene| {
                let mut client = scene.client();
                let mut other = scene.client();
                scene.endpoint(FIRST).drain(true, scene.shared.now());
                other.get("/").await;
                scene.endpoint(FIRST).drain(false, scene.shared.now());
                let response = client.get("/").await;
                assert!(!response.is_whole, "{}", response.text());
                assert!(response.text().contains("hello"), "what came before is delivered");
                assert_eq!(client.rest().await, b"");
                assert_eq!(scene.requests_at(FIRST).len(), 1, "nothing is tried again once it has begun");
                scene.kill(FIRST);
                assert_eq!(other.get("/").await.text(), "second");
            });
    }
}

#[test]
fn a_chunk_that_breaks_the_rules_truncates_the_response() {
    scene(APP)
        .origin(FIRST, async |mut conn| {
            conn.request().await;
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            conn.send("nonsense\r\n0\r\n\r\n").await;
            conn.stay_silent().await;
        })
        .run(async |scene| {
            let response = scene.client().get("/").await;
            assert_eq!((response.text(), response.is_whole), ("hello", false));
        });
}

#[test]
fn a_body_that_stops_coming_is_cut_off() {
    scene(format!("{APP} timeouts = {{ body = \"5s\" }}"))
        .origin(FIRST, async |mut conn| {
            conn.request().await;
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello").await;
            conn.stay_silent().await;
        })
        .run(async |scene| {
            let response = scene.client().get("/").await;
            assert!(!response.is_whole);
            assert_eq!(scene.elapsed().as_secs(), 5);
        });
}

#[test]
fn an_endpoint_that_accepts_and_never_answers_is_timed_out_and_ejected() {
    let config = APPS.replace("[[route]]", "outlier = { failures = 3 }\n[[route]]");
    scene(format!("{config} timeouts = {{ response = \"1s\" }}"))
        .origin(FIRST, silent)
        .origin(SECOND, second)
        .origin(THIRD, second)
        .run(async |scene| {
            let mut timed_out = 0;
            for _ in 0..60 {
                let response = scene.client().ask(POST).await;
                timed_out += u32::from(response.status() == 504);
            }
            assert_eq!(timed_out, 3, "as many as it takes");
            assert_eq!(scene.state(FIRST), "ejected");
            scene.serve(FIRST, first);
            scene.seconds(31).await;
            assert_eq!(scene.state(FIRST), "up");
            let mut back = false;
            for _ in 0..60 {
                back |= scene.client().get("/").await.text() == "first";
            }
            assert!(back, "it gets requests again");
        });
}

#[test]
fn server_errors_that_speak_of_the_endpoint_count_against_it_and_go_on() {
    scene(APPS.replace("[[route]]", "outlier = { failures = 3 }\n[[route]]"))
        .origin(FIRST, async |mut conn| {
            conn.answer_all("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy").await;
        })
        .origin(SECOND, second)
        .origin(THIRD, second)
        .run(async |scene| {
            let mut busy = 0;
            for _ in 0..60 {
                let response = scene.client().get("/").await;
                if response.status() == 503 {
                    assert_eq!(response.text(), "busy", "its own words");
                    busy += 1;
                }
            }
            assert_eq!(busy, 3);
            assert_eq!(scene.state(FIRST), "ejected");
        });
}

#[test]
fn probes_take_an_endpoint_out_and_bring_it_back_within_one_probe() {
    let health = "health = { path = \"/health\", interval = \"5s\", fall = 2, jitter = 0 }\n[[route]]";
    scene(PAIR.replace("[[route]]", health)).origin(FIRST, first).origin(SECOND, second).run(async |scene| {
        scene.settle().await;
        assert_eq!((scene.state(FIRST), scene.state(SECOND)), ("up", "up"));
        assert_eq!(scene.client().get("/").await.text(), "first");
        scene.kill(FIRST);
        scene.seconds(11).await;
        assert_eq!(scene.state(FIRST), "down");
        assert_eq!(scene.client().get("/").await.text(), "second");
        assert_eq!(scene.totals().upstreams[1].retries(), 0, "nobody had to find it out");
        scene.serve(FIRST, first);
        scene.pass(Duration::from_millis(5_100)).await;
        assert_eq!(scene.state(FIRST), "up");
        assert_eq!(scene.client().get("/").await.text(), "first");
    });
}

#[test]
fn a_probe_wants_its_status_and_its_text() {
    let health = "health = { path = \"/health\", status = 200, body = \"ready\", interval = \"1s\", timeout = \"1s\", fall = 1 }\n[[route]]";
    let answer = Rc::new(Cell::new("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"));
    let says = Rc::clone(&answer);
    let config = APP.replace("[[route]]", health).replace(
        "endpoints = [\"127.0.0.1:3001\"]",
        "endpoints = [\"127.0.0.1:3001\"]\noutlier = { panic_share = 0 }",
    );
    scene(config).origin(FIRST, async move |mut conn| conn.answer_all(says.get()).await).run(async |scene| {
        scene.settle().await;
        assert_eq!(scene.state(FIRST), "up");
        for bad in [
            "HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nready",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwait",
        ] {
            answer.set(bad);
            scene.seconds(2).await;
            assert_eq!(scene.state(FIRST), "down", "{bad}");
            assert_eq!(scene.client().get("/").await.status(), 503);
            answer.set("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nready\r\n0\r\n\r\n");
            scene.seconds(2).await;
            assert_eq!(scene.state(FIRST), "up");
        }
    });
}

#[test]
fn a_drained_endpoint_finishes_its_work_and_gets_no_more() {
    scene(PAIR)
        .origin(FIRST, async |mut conn| {
            conn.request().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            conn.send(ok("first")).await;
        })
        .origin(SECOND, second)
        .run(async |scene| {
            let mut client = scene.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            scene.settle().await;
            assert_eq!(scene.endpoint(FIRST).in_flight(), 1);
            scene.endpoint(FIRST).drain(true, scene.shared.now());
            assert_eq!(scene.client().get("/").await.text(), "second");
            assert_eq!(client.response().await.text(), "first");
            assert_eq!(scene.endpoint(FIRST).in_flight(), 0);
        });
}

#[test]
fn an_endpoint_that_gets_nothing_new_finds_its_idle_connections_closed() {
    for listed in [APP.to_owned(), APP.replace(FIRST, SECOND), APP.replace("app", "other")] {
        let closed = Rc::new(Cell::new(false));
        let seen = Rc::clone(&closed);
        let app = async move |mut conn: Conn| {
            while conn.request().await.is_some() {
                conn.send(ok("first")).await;
            }
            seen.set(true);
        };
        scene(APP).origin(FIRST, app).origin(SECOND, second).run(async |scene| {
            scene.client().get("/").await;
            scene.seconds(1).await;
            assert!(!closed.get(), "it is kept");
            if listed == APP {
                scene.endpoint(FIRST).drain(true, scene.shared.now());
            } else {
                scene.reload(&listed);
            }
            scene.seconds(1).await;
            assert!(closed.get(), "{listed}");
        });
    }
}

#[test]
fn a_client_that_never_reads_is_cut_off() {
    scene(format!("server.timeouts.write = \"10s\"\n{APP}"))
        .origin(FIRST, async |mut conn| {
            conn.request().await;
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n").await;
            while conn.send(&[b'x'; 10_000]).await {}
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            scene.seconds(9).await;
            assert!(!client.is_released());
            scene.seconds(2).await;
            assert!(client.is_released());
            assert_eq!(scene.endpoint(FIRST).in_flight(), 0);
        });
}

#[test]
fn a_client_that_reads_slowly_is_served() {
    scene(format!("server.timeouts.write = \"10s\"\n{APP}"))
        .origin(FIRST, async |mut conn| {
            conn.request().await;
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await;
            conn.send(vec![b'x'; 1_000_000]).await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            client.head().await;
            let mut got = 0;
            while got < 1_000_000 {
                scene.seconds(8).await;
                got += client.exactly((1_000_000 - got).min(50_000)).await.len();
            }
        });
}

#[test]
fn a_client_that_leaves_while_it_waits_ends_its_request_at_the_endpoint() {
    let left = Rc::new(Cell::new(false));
    let noticed = Rc::clone(&left);
    scene(APP)
        .origin(FIRST, async move |mut conn| {
            conn.request().await;
            conn.stay_silent().await;
            noticed.set(true);
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            scene.settle().await;
            assert_eq!(scene.endpoint(FIRST).in_flight(), 1);
            drop(client);
            scene.settle().await;
            assert!(left.get());
            assert_eq!(scene.endpoint(FIRST).in_flight(), 0);
            assert_eq!(
                scene.endpoint(FIRST).recent(scene.shared.now()).failures,
                0,
                "no fault of the endpoint"
            );
        });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_leaves_no_whole_request_behind() {
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        scene(APP).origin(FIRST, first).run(async |scene| {
            let mut client = scene.client();
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n5\r\nhello\r\n")).await;
            scene.settle().await;
            drop(client);
            scene.settle().await;
            let requests = scene.requests();
            assert!(requests.len() == 1 && !requests[0].is_whole);
        });
    }
}

#[test]
fn an_endpoint_that_takes_no_body_is_given_up() {
    scene(format!("{APP} timeouts = {{ write = \"5s\" }}\n retry = \"off\""))
        .origin(FIRST, async |_conn| std::future::pending().await)
        .run(async |scene| {
            let mut client = scene.client();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n").await;
            client.send(vec![b'x'; 120_000]).await;
            let response = client.response().await;
            assert_eq!(response.status(), 504);
            assert!((4_900..5_400).contains(&scene.elapsed().as_millis()), "{:?}", scene.elapsed());
        });
}

#[test]
fn an_endpoint_that_closes_while_the_body_goes_up_may_have_answered_before() {
    scene(APP)
        .origin(FIRST, async |mut conn| {
            conn.head().await;
            conn.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
                .await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n").await;
            let mut sent = 0;
            while sent < 400_000 && client.send(&[b'x'; 10_000]).await {
                sent += 10_000;
            }
            let response = client.response().await;
            assert_eq!((response.status(), response.text()), (413, "big"));
        });
}

#[test]
fn a_draining_tidegate_finishes_requests_and_closes_idle_connections() {
    scene(APP)
        .origin(FIRST, async |mut conn| {
            while conn.request().await.is_some() {
                tokio::time::sleep(Duration::from_secs(5)).await;
                conn.send(ok("late")).await;
            }
        })
        .run(async |scene| {
            let mut idle = scene.client();
            idle.get("/").await;
            let mut busy = scene.client();
            busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            scene.settle().await;
            scene.drain();
            scene.settle().await;
            assert!(idle.has_ended(), "idle connections close at once");
            let response = busy.response().await;
            assert_eq!((response.status(), response.text()), (200, "late"));
            assert_eq!(response.header("connection"), Some("close"));
            assert_eq!(busy.rest().await, b"");
        });
}

#[test]
fn a_draining_tidegate_answers_what_has_arrived_on_a_kept_connection() {
    let app = async |mut conn: Conn| {
        while conn.request().await.is_some() {
            conn.send(ok("app")).await;
        }
    };
    scene(APP).origin(FIRST, app).run(async |scene| {
        let mut client = scene.client();
        client.get("/").await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        scene.drain();
        let response = client.response().await;
        assert_eq!((response.status(), response.header("connection")), (200, Some("close")));
        assert_eq!(client.rest().await, b"");
    });
}

#[test]
fn a_draining_tidegate_closes_behind_a_response_that_had_begun() {
    scene(APP)
        .origin(FIRST, async |mut conn| {
            conn.request().await;
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            conn.send("lf").await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.head().await.status(), 200);
            scene.drain();
            assert_eq!(client.rest().await, b"half");
        });
}

#[test]
fn a_reload_lets_requests_in_flight_finish_as_they_began() {
    scene(APP)
        .origin(FIRST, async |mut conn| {
            while conn.request().await.is_some() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                conn.send(ok("first")).await;
            }
        })
        .origin(SECOND, second)
        .run(async |scene| {
            let mut client = scene.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            scene.settle().await;
            scene.reload(&APP.replace(FIRST, SECOND));
            let mut other = scene.client();
            assert_eq!(other.get("/").await.text(), "second");
            assert_eq!(client.response().await.text(), "first");
            assert_eq!(client.get("/").await.text(), "second", "the connection lives on under the new one");
        });
}

#[test]
fn a_storm_of_reloads_under_load_fails_no_request() {
    scene(APPS).origin(FIRST, first).origin(SECOND, first).origin(THIRD, first).run(async |scene| {
        let mut clients: Vec<_> = (0..10).map(|_| scene.client()).collect();
        for round in 0..100 {
            for client in &mut clients {
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            }
            // The first endpoint leaves and comes back, with requests in flight at it.
            let without = APPS.replace("\"127.0.0.1:3001\", ", "");
            scene.reload(if round % 2 == 0 { &without } else { APPS });
            for client in &mut clients {
                assert_eq!(client.response().await.status(), 200);
            }
        }
        assert_eq!(scene.requests().len(), 1_000);
    });
}

#[test]
fn a_reload_keeps_what_is_known_of_endpoints_that_stay() {
    scene(PAIR).origin(SECOND, second).run(async |scene| {
        for _ in 0..2 {
            scene.client().get("/").await;
        }
        assert_eq!(scene.state(FIRST), "ejected");
        let before = scene.endpoint(FIRST).id();
        scene.reload(&format!("{PAIR} path = \"/other/*\""));
        assert_eq!(scene.endpoint(FIRST).id(), before);
        assert_eq!(scene.state(FIRST), "ejected");
        assert_eq!(scene.client().get("/").await.status(), 404, "the new route holds");
        assert_eq!(scene.totals().upstreams[1].retries(), 2, "counts go on");
    });
}

#[test]
fn a_sticky_cookie_ties_a_client_to_its_endpoint() {
    let config = APPS.replace(
        "[[route]]",
        "balance = { by = \"sticky\", cookie = \"seat\", max_age = \"1h\" }\n[[route]]",
    );
    scene(config)
        .origin(FIRST, async |mut conn| conn.answer_all(ok("1")).await)
        .origin(SECOND, async |mut conn| conn.answer_all(ok("2")).await)
        .origin(THIRD, async |mut conn| conn.answer_all(ok("3")).await)
        .run(async |scene| {
            let response = scene.client().get("/").await;
            let at = response.text().to_owned();
            let cookie = response.header("set-cookie").expect("a cookie");
            assert!(cookie.starts_with("seat=") && cookie.contains("Max-Age=3600"), "{cookie}");
            let value = cookie.split(';').next().expect("a value");
            let ask = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: x=y; {value}\r\n\r\n");
            for _ in 0..20 {
                let response = scene.client().ask(&ask).await;
                assert_eq!((response.text(), response.header("set-cookie")), (&at[..], None));
            }
            scene.kill(&format!("127.0.0.1:300{at}"));
            let response = scene.client().ask(&ask).await;
            assert_eq!(response.status(), 200);
            assert!(response.header("set-cookie").is_some(), "another seat when its own is gone");
        });
}

#[test]
fn hash_balancing_keeps_a_key_at_its_endpoint() {
    for (key, ask) in [
        ("header:x-tenant", "GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: KEY\r\n\r\n"),
        ("cookie:session", "GET / HTTP/1.1\r\nHost: a\r\nCookie: session=KEY\r\n\r\n"),
        ("query:user", "GET /?a=b&user=KEY HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("path", "GET /KEY HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let config =
            APPS.replace("[[route]]", &format!("balance = {{ by = \"hash\", key = \"{key}\" }}\n[[route]]"));
        scene(config)
            .origin(FIRST, async |mut conn| conn.answer_all(ok("1")).await)
            .origin(SECOND, async |mut conn| conn.answer_all(ok("2")).await)
            .origin(THIRD, async |mut conn| conn.answer_all(ok("3")).await)
            .run(async |scene| {
                let mut used = std::collections::HashSet::new();
                for tenant in 0..30 {
                    let ask = ask.replace("KEY", &format!("t{tenant}"));
                    let at = scene.client().ask(&ask).await.text().to_owned();
                    for _ in 0..3 {
                        assert_eq!(scene.client().ask(&ask).await.text(), at, "{key}");
                    }
                    used.insert(at);
                }
                assert_eq!(used.len(), 3, "keys are spread");
            });
    }
}

#[test]
fn requests_are_held_without_probes_while_nobody_takes_a_connection() {
    for method in ["GET", "POST"] {
        scene(APPS.replace("[[route]]", "hold = \"10s\"\n[[route]]")).run(async |scene| {
            let mut client = scene.client();
            client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
            scene.seconds(3).await;
            scene.serve(SECOND, second);
            let response = client.response().await;
            assert_eq!((response.status(), response.text()), (200, "second"));
            assert!(scene.elapsed() < Duration::from_secs(5), "{:?}", scene.elapsed());
        });
    }
    scene(APPS.replace("[[route]]", "hold = \"2s\"\n[[route]]")).run(async |scene| {
        let response = scene.client().get("/").await;
        assert!(matches!(response.status(), 502 | 503), "{}", response.status());
        let held = scene.elapsed();
        assert!((Duration::from_secs(2)..Duration::from_secs(4)).contains(&held), "{held:?}");
    });
}

#[test]
fn two_dead_of_four_with_kept_connections_to_both_cost_no_idempotent_request() {
    let config = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003", "127.0.0.1:3004"]
[[route]]
upstream = "app"
"#;
    scene(config)
        .origin(FIRST, first)
        .origin(SECOND, first)
        .origin(THIRD, second)
        .origin("127.0.0.1:3004", second)
        .run(async |scene| {
            for _ in 0..40 {
                assert_eq!(scene.client().get("/").await.status(), 200);
            }
            for dead in [FIRST, SECOND] {
                scene.kill(dead);
                scene.refuse(dead);
            }
            for _ in 0..40 {
                assert_eq!(scene.client().get("/").await.text(), "second");
            }
        });
}
