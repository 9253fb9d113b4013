//! What of the stored may be given: age, staleness, and what requests ask for.

use std::time::Duration;

use testkit::scene;
use tokio::time::sleep;

use crate::support::{ORIGIN, answer, answer_with, app, cached, counting, get, status};

/// RFC 5861 section 3.
#[test]
fn what_is_stale_is_given_at_once_and_refreshed_once_behind() {
    scene(cached("true"))
        .origin(ORIGIN, async |mut conn| {
            while conn.request().await.is_some() {
                let fields = ["Cache-Control: max-age=10, stale-while-revalidate=30"];
                sleep(Duration::from_secs(2)).await;
                conn.send(answer(&fields, &format!("connection {}", conn.number()))).await;
            }
        })
        .run(async |scene| {
            let mut client = scene.client();
            assert_eq!(client.get("/").await.text(), "connection 0");
            scene.seconds(15).await;
            let before = scene.elapsed();
            let mut crowd: Vec<_> = (0..20).map(|_| scene.client()).collect();
            for client in &mut crowd {
                client.send(get(&[])).await;
            }
            for client in &mut crowd {
                let response = client.response().await;
                assert_eq!(status(&response), "hit; ttl=-7; detail=stale");
                assert_eq!(response.header("age"), Some("17"), "two seconds of it were spent on the way");
            }
            assert!(
                scene.elapsed().checked_sub(before).unwrap() < Duration::from_secs(1),
                "nobody waits for the refresh"
            );
            scene.seconds(3).await;
            assert_eq!(scene.requests().len(), 2, "one refresh for all of them");
            assert!(status(&client.get("/").await).starts_with("hit; ttl=7"));
        });
}

/// The route's grace is for origins that do not say stale-while-revalidate themselves.
#[test]
fn grace_of_the_route_gives_stale_answers_and_ends() {
    scene(cached("{ ttl = \"10s\", grace = \"1m\" }")).origin(ORIGIN, counting(&[])).run(async |scene| {
        let mut client = scene.client();
        client.get("/").await;
        scene.seconds(20).await;
        assert_eq!(client.get("/").await.text(), "1");
        scene.settle().await;
        assert_eq!(client.get("/").await.text(), "2");
        scene.seconds(71).await;
        let late = client.get("/").await;
        assert_eq!((late.text(), status(&late)), ("3", "fwd=stale; stored; ttl=10"));
    });
}

/// RFC 9111 section 5.2.2.2: neither the route nor the request may go over it.
#[test]
fn what_must_be_revalidated_is_never_given_stale() {
    for directive in ["must-revalidate", "proxy-revalidate"] {
        let fields = format!("Cache-Control: max-age=10, {directive}");
        scene(cached("{ grace = \"1h\", stale_if_error = \"1h\" }"))
            .origin(
                ORIGIN,
                app(move |number, _| match number {
                    3 => answer_with(503, &[], "down"),
                    _ => answer(&[&fields, "ETag: \"1\""], &number.to_string()),
                }),
            )
            .run(async |scene| {
                let mut client = scene.client();
                client.get("/").await;
                scene.seconds(11).await;
                assert_eq!(client.ask(&get(&["Cache-Control: max-stale"])).await.text(), "2");
                scene.seconds(11).await;
                let failed = client.get("/").await;
                assert_eq!((failed.status(), failed.text()), (503, "down"), "{directive}");
            });
    }
}

/// RFC 5861 section 4: an answer that says that the origin has failed.
#[test]
fn something_stale_stands_in_for_an_origin_that_answers_503() {
    scene(cached("true"))
        .origin(
            ORIGIN,
            app(|number, _| match number {
                2 => answer_with(503, &[], "down"),
                _ => answer(&["Cache-Control: max-age=10, stale-if-error=60"], &number.to_string()),
            }),
        )
        .run(async |scene| {
            let mut client = scene.client();
            client.get("/").await;
            scene.seconds(15).await;
            let response = client.get("/").await;
            assert_eq!((response.status(), response.text()), (200, "1"));
            assert_eq!(status(&response), "fwd=stale; fwd-status=503; ttl=-5; detail=stale-if-error");
            let response = client.get("/").await;
            assert_eq!(
                status(&response),
                "hit; ttl=-5; detail=stale",
                "the origin is left alone for a second"
            );
            assert_eq!(scene.requests().len(), 2);
            scene.seconds(2).await;
            assert_eq!(client.get("/").await.text(), "3", "and asked again then");
        });
}

/// The same where nobody listens, where nobody answers, and where the answer breaks off before it begins.
#[test]
fn something_stale_stands_in_for_an_origin_that_does_not_answer() {
    let config = format!(
        "{}timeouts = {{ response = \"3s\" }}\nretry = {{ attempts = 1 }}\n",
        cached("{ stale_if_error = \"1m\" }")
    );
    for fault in ["refused", "silent", "closed"] {
        scene(&*config).origin(ORIGIN, counting(&["Cache-Control: max-age=10"])).run(async |scene| {
            scene.client().get("/").await;
            scene.kill(ORIGIN);
            match fault {
                "silent" => scene.serve(ORIGIN, async |mut conn| conn.stay_silent().await),
                "closed" => scene.serve(ORIGIN, async |mut conn| drop(conn.request().await)),
                _ => {}
            }
            scene.seconds(11).await;
            let response = scene.client().get("/").await;
            assert_eq!((response.status(), response.text()), (200, "1"), "{fault}");
            assert!(status(&response).ends_with("detail=stale-if-error"), "{fault}: {}", status(&response));
            scene.seconds(60).await;
            assert!(scene.client().get("/").await.status() >= 500, "{fault}: not for ever");
        });
    }
}

/// RFC 9111 section 5.2.1: what requests ask for.
#[test]
fn requests_say_how_fresh_an_answer_has_to_be() {
    for (asked, after, wanted) in [
        ("max-age=20", 10, "hit; ttl=50"),
        ("max-age=20", 30, "fwd=request; stored; ttl=60"),
        ("min-fresh=20", 30, "hit; ttl=30"),
        ("min-fresh=20", 50, "fwd=request; stored; ttl=60"),
        ("max-stale=20", 70, "hit; ttl=-10; detail=stale"),
        ("max-stale", 7000, "hit; ttl=-6940; detail=stale"),
        ("max-stale=20", 90, "fwd=stale; stored; ttl=60"),
        ("no-cache", 1, "fwd=request; stored; ttl=60"),
        ("no-store", 1, "fwd=bypass; detail=request-no-store"),
        ("only-if-cached", 1, "hit; ttl=59"),
    ] {
        scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(async |scene| {
            scene.client().get("/").await;
            scene.seconds(after).await;
            let response = scene.client().ask(&get(&[&format!("Cache-Control: {asked}")])).await;
            assert_eq!(status(&response), wanted, "{asked} after {after} s");
            let is_hit = wanted.starts_with("hit");
            assert_eq!(response.text(), if is_hit { "1" } else { "2" });
        });
    }
}

/// RFC 9111 section 5.4: as an old client says no-cache.
#[test]
fn pragma_counts_where_nothing_else_is_said() {
    scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(async |scene| {
        let mut client = scene.client();
        client.get("/").await;
        assert_eq!(client.ask(&get(&["Pragma: no-cache"])).await.text(), "2");
        assert_eq!(client.ask(&get(&["Pragma: no-cache", "Cache-Control: max-age=9"])).await.text(), "2");
    });
}

/// RFC 9111 section 5.2.1.7.
#[test]
fn only_if_cached_gets_504_where_nothing_is() {
    scene(cached("true")).origin(ORIGIN, counting(&["Cache-Control: max-age=60"])).run(async |scene| {
        let mut client = scene.client();
        let response = client.ask(&get(&["Cache-Control: only-if-cached"])).await;
        assert_eq!(response.status(), 504);
        assert!(response.text().contains("\"code\":\"not_cached\""), "{}", response.text());
        assert_eq!(scene.requests().len(), 0);
        client.get("/").await;
        assert_eq!(client.ask(&get(&["Cache-Control: only-if-cached"])).await.text(), "1");
    });
}

/// The route's switch: no client can make the origin work.
#[test]
fn a_route_need_not_listen_to_what_requests_ask_for() {
    scene(cached("{ ignore_request_directives = true }"))
        .origin(ORIGIN, counting(&["Cache-Control: max-age=60"]))
        .run(async |scene| {
            let mut client = scene.client();
            let first = client.ask(&get(&["Cache-Control: only-if-cached"])).await;
            assert_eq!(first.text(), "1");
            for asked in ["no-cache", "no-store", "max-age=0", "min-fresh=90"] {
                let response =
                    client.ask(&get(&[&format!("Cache-Control: {asked}"), "Pragma: no-cache"])).await;
                assert_eq!((response.text(), status(&response)), ("1", "hit; ttl=60"), "{asked}");
            }
        });
}
