//! Connections that speak another protocol after a 101: WebSocket and its like.

use std::time::Duration;

use testkit::{APP, Client, Conn, Scene, ok, scene};

const ORIGIN: &str = "127.0.0.1:3001";

const ASK: &str = "GET /ws?x=1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Agrees to the upgrade and sends back what comes.
async fn echo(mut conn: Conn) {
    if conn.request().await.is_none() {
        return; // A probe, or a connection that was closed unused.
    }
    conn.send(AGREED).await;
    loop {
        let bytes = conn.read().await;
        if bytes.is_empty() {
            return;
        }
        conn.send(bytes).await;
    }
}

/// A client in a tunnel.
async fn opened(scene: &Scene) -> Client {
    let mut client = scene.client();
    client.send(ASK).await;
    let response = client.head().await;
    assert_eq!(response.status(), 101);
    client
}

#[test]
fn an_upgrade_goes_through_with_its_fields() {
    scene(APP).origin(ORIGIN, echo).run(async |scene| {
        let mut client = scene.client();
        client.send(ASK).await;
        let response = client.head().await;
        assert_eq!(response.status(), 101);
        assert_eq!(response.header("connection"), Some("Upgrade"));
        assert_eq!(response.header("upgrade"), Some("WebSocket"));
        assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        let requests = scene.requests();
        assert_eq!(requests[0].target(), "/ws?x=1");
        assert_eq!(requests[0].header("connection"), Some("Upgrade"));
        assert_eq!(requests[0].header("upgrade"), Some("websocket"));
        assert_eq!(requests[0].header("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(requests[0].header("x-forwarded-for"), Some("203.0.113.7"));
    });
}

#[test]
fn bytes_go_both_ways_untouched_however_they_are_cut() {
    for pipe_bytes in [700, 64 * 1024] {
        scene(APP).pipe_bytes(pipe_bytes).origin(ORIGIN, echo).run(async |scene| {
            let mut rng = scene.rng();
            let mut client = opened(scene).await;
            for _ in 0..20 {
                // Less than the pipes hold, for an echo that nobody reads would stop.
                let bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(1_000).collect();
                client.send_in_pieces(&bytes, &mut rng).await;
                assert_eq!(client.exactly(bytes.len()).await, bytes);
            }
        });
    }
}

#[test]
fn what_the_client_sends_before_the_answer_is_not_lost() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            conn.send(AGREED.to_owned() + "welcome").await;
            let early = conn.exactly(10).await;
            conn.send(early).await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send(ASK.to_owned() + "hello").await;
            scene.settle().await;
            client.send("again").await;
            assert_eq!(client.head().await.status(), 101);
            assert_eq!(client.exactly(7).await, b"welcome");
            assert_eq!(client.exactly(10).await, b"helloagain");
            assert_eq!(client.rest().await, b"");
        });
}

#[test]
fn either_side_may_end_its_direction_first() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send(AGREED).await;
            let mut all = Vec::new();
            loop {
                let bytes = conn.read().await;
                if bytes.is_empty() {
                    break;
                }
                all.extend(bytes);
            }
            tokio::time::sleep(Duration::from_mins(1)).await;
            all.reverse();
            conn.send(all).await;
        })
        .run(async |scene| {
            let mut client = opened(scene).await;
            client.send("abc").await;
            client.finish().await;
            assert_eq!(client.rest().await, b"cba");
        });
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send(AGREED.to_owned() + "bye").await;
            conn.finish().await;
            assert_eq!(conn.exactly(5).await, b"still");
        })
        .run(async |scene| {
            let mut client = opened(scene).await;
            assert_eq!(client.rest().await, b"bye");
            client.send("still").await;
            scene.settle().await;
            assert!(scene.bytes().concat().ends_with(b"still"));
        });
}

#[test]
fn a_tunnel_that_is_silent_for_too_long_is_closed() {
    scene(format!("server.timeouts.tunnel = \"10m\"\n{APP}")).origin(ORIGIN, echo).run(async |scene| {
        let mut client = opened(scene).await;
        for _ in 0..3 {
            scene.seconds(590).await;
            client.send("ping").await;
            assert_eq!(client.exactly(4).await, b"ping");
        }
        let since = scene.elapsed();
        assert_eq!(client.rest().await, b"");
        let silent = scene.elapsed().as_secs() - since.as_secs();
        assert!((599..602).contains(&silent), "{silent} s");
    });
}

#[test]
fn a_tunnel_may_be_silent_for_ever_where_that_is_wanted() {
    scene(format!("server.timeouts.tunnel = \"0s\"\n{APP}")).origin(ORIGIN, echo).run(async |scene| {
        let mut client = opened(scene).await;
        scene.seconds(2 * 3_600).await;
        client.send("ping").await;
        assert_eq!(client.exactly(4).await, b"ping");
    });
}

#[test]
fn a_tunnel_counts_as_in_flight_until_it_ends() {
    scene(APP).origin(ORIGIN, echo).run(async |scene| {
        let client = opened(scene).await;
        scene.settle().await;
        assert_eq!(scene.endpoint(ORIGIN).in_flight(), 1);
        assert_eq!((scene.totals().tunnels, scene.totals().tunnels_open), (1, 1));
        drop(client);
        scene.settle().await;
        assert_eq!(scene.endpoint(ORIGIN).in_flight(), 0);
        assert_eq!(scene.totals().tunnels_open, 0);
    });
}

#[test]
fn an_endpoint_that_dies_ends_its_tunnels_only() {
    scene(APP).origin(ORIGIN, echo).run(async |scene| {
        let mut client = opened(scene).await;
        client.send("ping").await;
        assert_eq!(client.exactly(4).await, b"ping");
        scene.kill(ORIGIN);
        assert_eq!(client.rest().await, b"");
        // Our direction is still open for us, but nobody is there to hear.
        client.send("ping").await;
        scene.settle().await;
        assert!(client.is_released());
        scene.serve(ORIGIN, async |mut conn| conn.answer_all(ok("hi")).await);
        assert_eq!(scene.client().get("/").await.status(), 200);
    });
}

#[test]
fn an_endpoint_that_does_not_read_stops_the_reading_from_the_client() {
    scene(APP)
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send(AGREED).await;
            tokio::time::sleep(Duration::from_mins(1)).await;
            conn.exactly(1_000_000).await;
        })
        .run(async |scene| {
            let mut client = opened(scene).await;
            let mut sent = 0;
            while sent < 1_000_000 {
                client.send(&[b'x'; 10_000]).await;
                sent += 10_000;
                assert!(scene.elapsed().as_secs() >= 60 || sent < 64 * 1024 * 2 + 80 * 1024, "{sent} bytes");
            }
        });
}

#[test]
fn tunnels_live_on_over_a_reload_and_over_their_endpoints_leaving() {
    scene(APP).origin(ORIGIN, echo).run(async |scene| {
        let mut client = opened(scene).await;
        for round in 0..100 {
            let config = if round % 2 == 0 { APP.replace(ORIGIN, "127.0.0.1:3009") } else { APP.to_owned() };
            scene.reload(&config);
            client.send("ping").await;
            assert_eq!(client.exactly(4).await, b"ping");
        }
    });
}

#[test]
fn tunnels_live_on_while_tidegate_drains() {
    scene(APP).origin(ORIGIN, echo).run(async |scene| {
        let mut client = opened(scene).await;
        scene.drain();
        scene.seconds(20).await;
        client.send("ping").await;
        assert_eq!(client.exactly(4).await, b"ping");
    });
}

#[test]
fn an_upgrade_to_something_else_than_was_asked_for_is_refused() {
    scene(format!("{APP} retry = \"off\""))
        .origin(ORIGIN, async |mut conn| {
            conn.request().await;
            conn.send(AGREED.replace("WebSocket", "something")).await;
            conn.stay_silent().await;
        })
        .run(async |scene| {
            let mut client = scene.client();
            client.send(ASK).await;
            assert_eq!(client.response().await.status(), 502);
        });
}

#[test]
fn an_upgrade_that_the_endpoint_declines_is_an_ordinary_response() {
    scene(APP).origin(ORIGIN, async |mut conn| conn.answer_all(ok("no")).await).run(async |scene| {
        let mut client = scene.client();
        client.send(ASK).await;
        assert_eq!(client.response().await.text(), "no");
        assert_eq!(client.get("/").await.text(), "no");
    });
}

#[test]
fn an_http_1_0_client_cannot_upgrade() {
    scene(APP).origin(ORIGIN, async |mut conn| conn.answer_all(ok("no")).await).run(async |scene| {
        scene.client().ask(&ASK.replace("HTTP/1.1", "HTTP/1.0")).await;
        assert_eq!(scene.requests()[0].header("upgrade"), None);
    });
}
