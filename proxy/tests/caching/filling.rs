//! Filling: one fetch for everybody who wants it, detached from whoever caused it.

use std::cell::Cell;
use std::time::Duration;

use testkit::{Client, Conn, Scene, scene};
use tokio::time::sleep;

use crate::support::{ORIGIN, answer, app, cached, counting, get, request, status};

const FRESH: &str = "Cache-Control: max-age=600";

/// An origin that sends a head and `one` at once, and `two` two seconds later.
fn slow(fields: &'static [&'static str]) -> impl AsyncFn(Conn) + 'static {
    async move |mut conn: Conn| {
        while conn.request().await.is_some() {
            sleep(Duration::from_secs(1)).await;
            let response = answer(fields, "one two");
            conn.send(&response[..response.len() - 4]).await;
            sleep(Duration::from_secs(2)).await;
            conn.send(" two").await;
        }
    }
}

async fn crowd(scene: &Scene, size: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..size).map(|_| scene.client()).collect();
    for client in &mut clients {
        client.send(get(&[])).await;
    }
    clients
}

#[test]
fn concurrent_misses_share_one_fetch_and_stream_before_it_ends() {
    scene(cached("true")).origin(ORIGIN, slow(&[FRESH])).run(async |scene| {
        let mut clients = crowd(scene, 50).await;
        scene.seconds(2).await;
        for client in &mut clients {
            assert!(
                client.waiting().ends_with(b"\r\n\r\none"),
                "everybody reads along before the end has come"
            );
        }
        let mut late = scene.client();
        late.send(get(&[])).await;
        scene.settle().await;
        assert!(late.waiting().ends_with(b"\r\n\r\none"), "also who comes in the middle");
        clients.push(late);
        let mut collapsed = 0;
        for client in &mut clients {
            let response = client.response().await;
            assert_eq!((response.text(), response.is_whole), ("one two", true));
            collapsed +=
                usize::from(status(&response).starts_with("fwd=uri-miss; stored; collapsed; ttl=59"));
        }
        assert_eq!((collapsed, scene.requests().len()), (50, 1));
        assert!(status(&scene.client().get("/").await).starts_with("hit;"));
    });
}

/// The same of a body whose length nobody knows, and which clients get in chunks.
#[test]
fn a_chunked_body_is_shared_too() {
    scene(cached("true"))
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send(format!(
                "HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
            ))
            .await;
            sleep(Duration::from_secs(2)).await;
            conn.send("4\r\n two\r\n0\r\n\r\n").await;
            conn.stay_silent().await;
        })
        .run(async |scene| {
            let mut clients = crowd(scene, 10).await;
            for client in &mut clients {
                let response = client.response().await;
                assert_eq!((response.text(), response.is_whole), ("one two", true));
                assert_eq!(response.chunks, [3, 4]);
            }
            assert_eq!(scene.requests().len(), 1);
        });
}

#[test]
fn a_fill_goes_on_when_the_client_that_caused_it_leaves() {
    for leaves_after in [Duration::from_millis(500), Duration::from_secs(2)] {
        scene(cached("true")).origin(ORIGIN, slow(&[FRESH])).run(async |scene| {
            let mut first = scene.client();
            first.send(get(&[])).await;
            scene.pass(leaves_after).await;
            drop(first);
            scene.seconds(4).await;
            let response = scene.client().get("/").await;
            assert_eq!((response.text(), &status(&response)[..4]), ("one two", "hit;"));
            assert_eq!(scene.requests().len(), 1);
        });
    }
}

/// What nobody keeps and nobody reads any more is not fetched to its end.
#[test]
fn a_response_that_is_not_kept_ends_with_its_reader() {
    scene(cached("true"))
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            while conn.send("5\r\nhello\r\n").await {
                sleep(Duration::from_secs(1)).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send(get(&[])).await;
            scene.seconds(3).await;
            assert!(!client.waiting().is_empty());
            assert_eq!(scene.endpoint(ORIGIN).in_flight(), 1);
            drop(client);
            scene.seconds(2).await;
            assert_eq!(scene.endpoint(ORIGIN).in_flight(), 0);
        });
}

/// An uncacheable answer is for the one who asked; the others ask for themselves at once, and later ones do not wait.
#[test]
fn those_who_waited_for_an_answer_that_is_not_theirs_ask_for_themselves() {
    let count = Cell::new(0);
    scene(cached("true"))
        .origin(ORIGIN, async move |mut conn: Conn| {
            while conn.request().await.is_some() {
                sleep(Duration::from_secs(1)).await;
                count.set(count.get() + 1);
                conn.send(answer(&["Cache-Control: private"], &count.get().to_string())).await;
            }
        })
        .run(async |scene| {
            let mut clients = crowd(scene, 10).await;
            let mut bodies = std::collections::HashSet::new();
            for client in &mut clients {
                let response = client.response().await;
                bodies.insert(response.text().to_owned());
            }
            assert_eq!((bodies.len(), scene.requests().len()), (10, 10));
            assert!(scene.elapsed() < Duration::from_secs(3), "all at once, and not one after the other");
            let before = scene.elapsed();
            let mut probes = 0;
            for client in &mut crowd(scene, 10).await {
                let response = client.response().await;
                probes += usize::from(status(&response) == "fwd=uri-miss; detail=private");
                assert!(
                    status(&response).ends_with("private")
                        || status(&response).ends_with("recently-uncacheable")
                );
            }
            assert_eq!(probes, 1, "one goes to see whether that has changed, and nobody waits for it");
            assert!(scene.elapsed().checked_sub(before).unwrap() < Duration::from_secs(2), "hit-for-miss");
        });
}

/// One request a second sees whether that is still so.
#[test]
fn what_has_become_cacheable_is_noticed_within_a_second() {
    scene(cached("true"))
        .origin(
            ORIGIN,
            app(|number, _| match number {
                1 | 2 => answer(&["Cache-Control: no-store"], "own"),
                _ => answer(&[FRESH], "shared"),
            }),
        )
        .run(async |scene| {
            assert_eq!(scene.client().get("/").await.text(), "own");
            let second = scene.client().get("/").await;
            assert_eq!((second.text(), status(&second)), ("own", "fwd=miss; detail=recently-uncacheable"));
            scene.seconds(1).await;
            assert_eq!(scene.client().get("/").await.text(), "shared");
            assert_eq!(status(&scene.client().get("/").await), "hit; ttl=600");
            assert_eq!(scene.requests().len(), 3);
        });
}

/// Those who wait for another variant than the one that comes look again, and share that one.
#[test]
fn those_who_waited_for_another_variant_share_that() {
    scene(cached("true"))
        .origin(ORIGIN, async |mut conn| {
            while let Some(request) = conn.request().await {
                sleep(Duration::from_secs(1)).await;
                let language = request.header("accept-language").unwrap_or("none").to_owned();
                conn.send(answer(&[FRESH, "Vary: Accept-Language"], &language)).await;
            }
        })
        .run(async |scene| {
            let mut clients = Vec::new();
            for number in 0..20 {
                let mut client = scene.client();
                let language = if number % 2 == 0 { "de" } else { "en" };
                client.send(get(&[&format!("Accept-Language: {language}")])).await;
                clients.push((language, client));
            }
            for (language, client) in &mut clients {
                assert_eq!(client.response().await.text(), *language);
            }
            assert_eq!(scene.requests().len(), 2);
        });
}

#[test]
fn those_who_wait_are_bounded_and_so_is_how_long() {
    let config = format!("cache.waiters = 3\ncache.wait = \"2s\"\n{}", cached("true"));
    scene(config)
        .origin(ORIGIN, async |mut conn| {
            while conn.request().await.is_some() {
                let pause = if conn.number() == 0 { 10 } else { 0 };
                sleep(Duration::from_secs(pause)).await;
                conn.send(answer(&[FRESH], &conn.number().to_string())).await;
            }
        })
        .run(async |scene| {
            let mut clients = crowd(scene, 1).await;
            scene.settle().await;
            clients.extend(crowd(scene, 5).await);
            scene.seconds(1).await;
            let answered = |clients: &mut [Client]| {
                clients.iter_mut().map(|client| usize::from(!client.waiting().is_empty())).sum::<usize>()
            };
            assert_eq!(answered(&mut clients), 2, "there is no seat for the last two");
            scene.seconds(2).await;
            assert_eq!(answered(&mut clients), 5, "the others have waited long enough");
            for client in &mut clients[1..] {
                assert_eq!(status(&client.response().await), "fwd=miss; detail=crowded");
            }
            assert_eq!(
                clients[0].response().await.text(),
                "0",
                "the one who caused it waits as the route says"
            );
        });
}

/// A client that reads nothing holds up nobody: what is kept waits for no reader.
#[test]
fn a_slow_client_holds_up_nobody() {
    let response = answer(&[FRESH], &"x".repeat(1_000_000));
    scene(cached("true")).pipe_bytes(4_096).origin(ORIGIN, app(move |_, _| response.clone())).run(
        async |scene| {
            let mut slow = scene.client();
            slow.send(get(&[])).await;
            scene.settle().await;
            let response = scene.client().get("/").await;
            assert_eq!(response.body.len(), 1_000_000);
            assert_eq!(slow.response().await.body.len(), 1_000_000);
            assert_eq!(scene.requests().len(), 1);
        },
    );
}

/// A body that is too large to be kept is passed on as fast as it is read, and no faster.
#[test]
fn a_body_over_the_limit_is_passed_on_with_backpressure() {
    const PIECE: usize = 10_000;
    let config = cached("{ max_body = \"64 KiB\" }");
    scene(config)
        .pipe_bytes(PIECE)
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nConnection: close\r\n\r\n")).await;
            for _ in 0..200 {
                conn.send("y".repeat(PIECE)).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send(get(&[])).await;
            scene.seconds(5).await;
            let usage = scene.shared.cache.usage();
            assert!(usage.filling_bytes < 500_000, "a window of it is held, and not all: {usage:?}");
            let response = client.response().await;
            assert_eq!((response.body.len(), response.is_whole), (200 * PIECE, true));
            assert_eq!(scene.shared.cache.usage().entries, 0);
        });
    // One that says so before it comes is not even begun to be kept.
    let large = answer(&[FRESH], &"z".repeat(70_000));
    scene(cached("{ max_body = \"64 KiB\" }")).origin(ORIGIN, app(move |_, _| large.clone())).run(
        async |scene| {
            let response = scene.client().get("/").await;
            assert_eq!((response.body.len(), status(&response)), (70_000, "fwd=uri-miss; detail=too-large"));
        },
    );
}

/// RFC 9112 section 9.3.2: what comes behind a request is answered behind its answer.
#[test]
fn pipelined_requests_are_answered_in_order() {
    scene(cached("true")).origin(ORIGIN, slow(&[FRESH])).run(async |scene| {
        let two = |path: &str| {
            format!("{}{}", request(&format!("GET {path} HTTP/1.1"), &[]), request("HEAD / HTTP/1.1", &[]))
        };
        for stored in [false, true] {
            let mut client = scene.client();
            client.send(two("/")).await;
            scene.pass(Duration::from_millis(500)).await;
            client.send(request("GET /other HTTP/1.1", &[])).await;
            assert_eq!(client.response().await.text(), "one two", "stored: {stored}");
            assert_eq!(
                client.try_response("HEAD").await.expect("the second").header("content-length"),
                Some("7")
            );
            assert_eq!(client.response().await.text(), "one two", "the third");
        }
        assert_eq!(scene.requests().len(), 2);
    });
}

/// On drain, what is in flight is finished, with the word that the connection ends.
#[test]
fn a_drain_lets_fills_and_hits_finish() {
    scene(cached("true")).origin(ORIGIN, slow(&[FRESH])).run(async |scene| {
        let mut client = scene.client();
        client.send(get(&[])).await;
        let mut idle = scene.client();
        idle.get("/other").await;
        scene.drain();
        let response = client.response().await;
        assert_eq!((response.text(), response.is_whole), ("one two", true));
        assert!(client.rest().await.is_empty() && idle.rest().await.is_empty());
    });
}

/// A fill knows the time of its route's deadlines, and the log who served it.
#[test]
fn the_log_says_what_became_of_each_request() {
    scene(cached("true")).origin(ORIGIN, counting(&[FRESH])).run(async |scene| {
        scene.start_log();
        let mut client = scene.client();
        client.get("/").await;
        client.get("/").await;
        client.ask(&get(&["Cache-Control: no-store"])).await;
        let lines = scene.log();
        let of = |name: &str| lines.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
        let by = |name: &str| [Some(name), None, Some(name)].map(serde_json::Value::from);
        assert_eq!((of("upstream"), of("endpoint")), (by("app").to_vec(), by(ORIGIN).to_vec()));
        assert_eq!(of("tries"), [1, 0, 1]);
    });
}
