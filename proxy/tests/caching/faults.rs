//! Origins that fail in the middle of a fill, and fills that are lost: nothing wrong is kept, and nobody waits in vain.

use std::time::Duration;

use testkit::{Conn, scene};
use tokio::time::sleep;

use crate::support::{ORIGIN, answer, answer_with, app, cached, counting, get, status};

const FRESH: &str = "Cache-Control: max-age=600";

/// RFC 9112 section 8: what is not whole is not taken for whole, by anybody.
#[test]
fn a_body_that_breaks_off_cuts_its_readers_and_is_not_kept() {
    let length = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 10\r\n\r\n12345");
    let chunked = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n");
    for (response, end) in [(length, ""), (chunked.clone(), ""), (chunked, "xyz\r\n")] {
        scene(cached("true"))
            .origin(ORIGIN, async move |mut conn: Conn| {
                conn.request().await;
                if conn.number() > 0 {
                    conn.send(answer(&[FRESH], "whole")).await;
                    return;
                }
                conn.send(&response).await;
                sleep(Duration::from_secs(1)).await;
                conn.send(end).await;
            })
            .run(async |scene| {
                let mut clients = [scene.client(), scene.client(), scene.client()];
                for client in &mut clients {
                    client.send(get(&[])).await;
                }
                for client in &mut clients {
                    let response = client.response().await;
                    assert_eq!((response.text(), response.is_whole), ("12345", false));
                }
                assert_eq!(scene.requests().len(), 1);
                assert_eq!(scene.client().get("/").await.text(), "whole");
                assert_eq!(scene.requests().len(), 2);
            });
    }
}

/// Bytes beyond the length are the origin's mistake, and no part of the answer.
#[test]
fn what_comes_behind_a_body_is_not_kept() {
    let response = format!("{}and more", answer(&[FRESH], "hello"));
    scene(cached("true")).origin(ORIGIN, async move |mut conn| conn.answer_all(&response).await).run(
        async |scene| {
            assert_eq!(scene.client().get("/").await.text(), "hello");
            assert_eq!(scene.client().get("/").await.text(), "hello");
            assert_eq!(scene.requests().len(), 1);
        },
    );
}

/// A client of HTTP/1.0 sees the end of the connection as the end of the body, so it has to be cut off.
#[test]
fn a_body_that_breaks_off_resets_a_client_that_knows_no_chunks() {
    scene(cached("true"))
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send(format!(
                "HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"
            ))
            .await;
            sleep(Duration::from_secs(1)).await;
        })
        .run(async |scene| {
            scene.start_log();
            let mut client = scene.client();
            client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
            client.rest().await;
            let log = scene.log();
            assert_eq!((&log[0]["end"], log.len()), (&"endpoint/deliver".into(), 1));
            assert_eq!(scene.shared.cache.usage().entries, 0);
        });
}

/// What all who wait are told when there is nothing to give.
#[test]
fn a_fill_that_fails_is_told_to_everybody() {
    let config = format!("{}retry = {{ attempts = 1 }}\n", cached("true"));
    scene(config).run(async |scene| {
        let mut clients = [scene.client(), scene.client(), scene.client()];
        for client in &mut clients {
            client.send(get(&[])).await;
        }
        for client in &mut clients {
            let response = client.response().await;
            assert_eq!(response.status(), 502);
            assert!(response.text().contains("connect_failed"), "{}", response.text());
        }
        scene.serve(ORIGIN, counting(&[FRESH]));
        scene.seconds(30).await;
        assert_eq!(scene.client().get("/").await.text(), "1");
    });
}

/// An answer with 5xx is for the one who asked, and no marker keeps others from trying.
#[test]
fn a_failed_answer_is_not_kept_and_not_remembered() {
    scene(cached("{ ttl = \"1m\" }"))
        .origin(
            ORIGIN,
            app(|number, _| match number {
                1 => answer_with(500, &[], "oh"),
                _ => answer(&[], "fine"),
            }),
        )
        .run(async |scene| {
            let response = scene.client().get("/").await;
            assert_eq!((response.status(), status(&response)), (500, "fwd=uri-miss; detail=status"));
            let response = scene.client().get("/").await;
            assert_eq!((response.text(), status(&response)), ("fine", "fwd=uri-miss; stored; ttl=60"));
        });
}

/// A fill retries as any other request does.
#[test]
fn a_fill_is_retried_elsewhere() {
    scene(format!("{}cache = true\n", testkit::APPS)).origin("127.0.0.1:3002", counting(&[FRESH])).run(
        async |scene| {
            for _ in 0..3 {
                assert_eq!(scene.client().get("/").await.text(), "1");
            }
        },
    );
}

/// A filler whose task is lost hands its duty to somebody who waits.
#[test]
fn a_lost_filler_is_replaced_by_one_who_waits() {
    scene(cached("true")).origin(ORIGIN, counting(&[FRESH])).run(async |scene| {
        let ticket = lost(scene);
        let mut clients = [scene.client(), scene.client()];
        for client in &mut clients {
            client.send(get(&[])).await;
        }
        scene.seconds(1).await;
        assert_eq!(scene.requests().len(), 0, "they wait for the one who has the duty");
        drop(ticket);
        for client in &mut clients {
            assert_eq!(client.response().await.text(), "1");
        }
        assert_eq!(scene.requests().len(), 1);
    });
}

/// The duty to fill `http://a/`, taken by somebody who does nothing.
fn lost(scene: &testkit::Scene) -> cache::Ticket {
    let bytes = get(&[]);
    let mut head = wire::RequestHead::new();
    head.parse(bytes.as_bytes(), &wire::Limits::default()).expect("a head");
    let rules = cache::Rules::default();
    let store = &scene.shared.cache;
    let ask = cache::Ask::read(&head, bytes.as_bytes(), &rules).expect("a GET");
    let url = cache::key::Url { scheme: "http", host: b"a", port: None, path: b"/", query: None };
    let mut buffer = Vec::new();
    let key = cache::Key::write(&mut buffer, &url, &ask, &rules, store.seed());
    match store.look(&key, &ask, &rules, scene.core.unix_ms()) {
        cache::Found::Fill(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// An answer in pieces of any size, cut anywhere, with many readers that come at any time: everybody gets all of it.
#[test]
fn every_reader_gets_the_whole_however_it_comes() {
    let body: String = (0..20_000).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    let sent = body.clone();
    scene(cached("true"))
        .pipe_bytes(3_000)
        .origin(ORIGIN, async move |mut conn: Conn| {
            conn.request().await;
            let mut rng = fastrand::Rng::new();
            conn.send(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
            let mut rest = &*sent;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rng.usize(1..=4000).min(rest.len()));
                conn.send_in_pieces(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes(), &mut rng).await;
                sleep(Duration::from_millis(rng.u64(..50))).await;
                rest = after;
            }
            conn.send("0\r\n\r\n").await;
            conn.stay_silent().await;
        })
        .run(async |scene| {
            let mut clients = Vec::new();
            for _ in 0..12 {
                let mut client = scene.client();
                client.send(get(&[])).await;
                clients.push(client);
                scene.pass(Duration::from_millis(30)).await;
            }
            for client in &mut clients {
                let response = client.response().await;
                assert!(response.is_whole && response.text() == body);
            }
            assert_eq!(scene.requests().len(), 1);
        });
}
