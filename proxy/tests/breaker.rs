//! The circuit breaker of an upstream, and what answers when nothing there can.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use testkit::{Conn, Message, Scene, ok, scene};
use tidegate_proxy::explain::{Asked, explain};
use tokio::time::sleep;

const APP: &str = "127.0.0.1:3001";
const SPARE: &str = "127.0.0.1:3002";

/// One endpoint and a breaker that judges from five requests on; keys written behind it are the route's.
const BROKEN: &str = r#"
[upstream.app]
endpoints = ["127.0.0.1:3001"]
retry = "off"
breaker = { minimum_requests = 5, jitter = 0 }
[upstream.spare]
endpoints = ["127.0.0.1:3002"]
retry = "off"
[[route]]
path = "/spare"
upstream = "spare"
[[route]]
upstream = "app"
"#;

/// Answers with the status and after the time that are set at the moment.
#[derive(Clone)]
struct App {
    status: Rc<Cell<u16>>,
    time: Rc<Cell<Duration>>,
}

impl App {
    fn new(status: u16) -> Self {
        Self { status: Rc::new(Cell::new(status)), time: Rc::default() }
    }

    fn serve(&self) -> impl AsyncFn(Conn) + 'static {
        let app = self.clone();
        async move |mut conn: Conn| {
            while conn.request().await.is_some() {
                sleep(app.time.get()).await;
                conn.send(format!("HTTP/1.1 {} X\r\nContent-Length: 3\r\n\r\napp", app.status.get())).await;
            }
        }
    }
}

fn code(response: &Message) -> &str {
    let text = response.text();
    let start = text.find("\"code\":\"").unwrap_or_else(|| panic!("no code in {text}")) + 8;
    &text[start..start + text[start..].find('"').unwrap()]
}

/// Five requests that fail: the breaker is open afterwards.
async fn break_it(scene: &Scene) {
    for _ in 0..5 {
        assert_eq!(scene.client().get("/").await.status(), 503);
    }
}

fn seen(scene: &Scene) -> usize {
    scene.requests_at(APP).len()
}

#[test]
fn an_open_breaker_answers_by_itself_and_says_when_to_come_back() {
    let app = App::new(503);
    scene(BROKEN).origin(APP, app.serve()).run(async |scene| {
        break_it(scene).await;
        let refused = scene.client().get("/").await;
        assert_eq!((refused.status(), code(&refused)), (503, "breaker_open"));
        assert_eq!(refused.header("cache-control"), Some("no-store"));
        let mut told = Vec::new();
        for _ in 0..20 {
            let refused = scene.client().get("/").await;
            told.push(refused.header("retry-after").unwrap().parse::<u64>().unwrap());
        }
        assert!(told.iter().all(|seconds| (5..=7).contains(seconds)), "{told:?}");
        assert!(told.iter().any(|seconds| *seconds != told[0]), "{told:?}");
        assert_eq!(seen(scene), 5);
        assert_eq!(scene.client().get("/spare").await.status(), 502, "it is of one upstream alone");
    });
}

#[test]
fn fewer_requests_than_are_judged_open_nothing() {
    let app = App::new(503);
    scene(BROKEN).origin(APP, app.serve()).run(async |scene| {
        for _ in 0..4 {
            scene.client().get("/").await;
        }
        scene.seconds(11).await;
        for _ in 0..4 {
            assert_eq!(scene.client().get("/").await.text(), "app");
        }
        assert_eq!(seen(scene), 8);
    });
}

#[test]
fn answers_that_are_no_failures_open_nothing() {
    let app = App::new(500);
    scene(BROKEN).origin(APP, app.serve()).run(async |scene| {
        for status in [500, 404, 429, 501] {
            app.status.set(status);
            for _ in 0..10 {
                assert_eq!(scene.client().get("/").await.status(), status);
            }
        }
    });
}

#[test]
fn slow_answers_open_it_although_they_are_good() {
    let app = App::new(200);
    let config = BROKEN.replace("jitter = 0", "jitter = 0, slow = \"1s\"");
    scene(config).origin(APP, app.serve()).run(async |scene| {
        app.time.set(Duration::from_millis(1_500));
        for _ in 0..5 {
            assert_eq!(scene.client().get("/").await.status(), 200);
        }
        assert_eq!(code(&scene.client().get("/").await), "breaker_open");
    });
}

#[test]
fn no_more_requests_try_the_upstream_at_once_than_there_are_probes() {
    let app = App::new(503);
    scene(BROKEN).origin(APP, app.serve()).run(async |scene| {
        break_it(scene).await;
        app.status.set(200);
        app.time.set(Duration::from_millis(500));
        scene.seconds(6).await;
        let mut crowd: Vec<_> = (0..30).map(|_| scene.client()).collect();
        for client in &mut crowd {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        }
        let mut statuses = Vec::new();
        for client in &mut crowd {
            statuses.push(client.response().await.status());
        }
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3);
        assert_eq!(seen(scene), 5 + 3);
        assert_eq!(scene.client().get("/").await.status(), 200, "all of them succeeded: closed");
    });
}

#[test]
fn a_probe_that_fails_opens_it_for_twice_as_long() {
    let app = App::new(503);
    scene(BROKEN).origin(APP, app.serve()).run(async |scene| {
        break_it(scene).await;
        scene.seconds(6).await;
        assert_eq!(scene.client().get("/").await.text(), "app");
        assert_eq!(seen(scene), 6);
        scene.seconds(9).await;
        assert_eq!(code(&scene.client().get("/").await), "breaker_open");
        scene.seconds(2).await;
        app.status.set(200);
        for _ in 0..3 {
            assert_eq!(scene.client().get("/").await.status(), 200);
        }
        assert_eq!(scene.shared.live().upstream("app").unwrap().breaker.state().code(), "closed");
    });
}

#[test]
fn a_probe_whose_client_leaves_makes_room_for_another() {
    let app = App::new(503);
    scene(BROKEN).origin(APP, app.serve()).run(async |scene| {
        break_it(scene).await;
        app.status.set(200);
        app.time.set(Duration::from_secs(3));
        scene.seconds(6).await;
        for _ in 0..3 {
            let mut client = scene.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            scene.settle().await;
            drop(client);
        }
        scene.seconds(1).await;
        app.time.set(Duration::ZERO);
        assert_eq!(scene.client().get("/").await.status(), 200);
    });
}

#[test]
fn what_a_retry_mends_is_no_failure() {
    let config = BROKEN
        .replacen(
            "[\"127.0.0.1:3001\"]",
            "[\"127.0.0.1:3009\", { address = \"127.0.0.1:3001\", backup = true }]",
            1,
        )
        .replacen("retry = \"off\"", "outlier = \"off\"", 1);
    scene(config).origin(APP, App::new(200).serve()).run(async |scene| {
        for _ in 0..20 {
            assert_eq!(scene.client().get("/").await.status(), 200);
        }
    });
}

#[test]
fn connections_that_nobody_takes_open_it() {
    scene(BROKEN).run(async |scene| {
        for _ in 0..5 {
            assert_eq!(scene.client().get("/").await.status(), 502);
        }
        let refused = scene.client().get("/").await;
        assert_eq!((refused.status(), code(&refused)), (503, "breaker_open"));
    });
}

#[test]
fn a_reload_leaves_an_open_breaker_open_and_changes_its_settings() {
    let app = App::new(503);
    scene(BROKEN).origin(APP, app.serve()).run(async |scene| {
        break_it(scene).await;
        scene.reload(&BROKEN.replace("jitter = 0", "jitter = 0, probes = 1"));
        assert_eq!(code(&scene.client().get("/").await), "breaker_open");
        scene.seconds(6).await;
        app.status.set(200);
        assert_eq!(scene.client().get("/").await.status(), 200);
        assert_eq!(scene.shared.live().upstream("app").unwrap().breaker.state().code(), "closed");
        scene.reload(&BROKEN.replace("breaker = { minimum_requests = 5, jitter = 0 }", ""));
        app.status.set(503);
        for _ in 0..10 {
            assert_eq!(scene.client().get("/").await.text(), "app", "without a breaker nothing opens");
        }
    });
}

#[test]
fn another_upstream_answers_while_the_breaker_is_open() {
    let config = format!("{BROKEN}fallback = {{ upstream = \"spare\" }}");
    scene(config)
        .origin(APP, App::new(503).serve())
        .origin(SPARE, async |mut conn| conn.answer_all(ok("spare")).await)
        .run(async |scene| {
            break_it(scene).await;
            let request = "POST /order HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
            let answer = scene.client().ask(request).await;
            assert_eq!((answer.status(), answer.text()), (200, "spare"));
            assert_eq!(scene.requests_at(SPARE)[0].text(), "body");
            assert_eq!(seen(scene), 5);
            let totals = scene.totals();
            let app = totals.upstreams.iter().find(|upstream| &*upstream.name == "app").unwrap();
            assert_eq!(app.fallbacks(), 1);
        });
}

#[test]
fn a_file_answers_where_the_other_upstream_takes_as_little() {
    let config = BROKEN
        .replace("breaker = {", "fallback = { upstream = \"spare\", file = \"down.html\" }\nbreaker = {");
    scene(config).origin(APP, App::new(503).serve()).file("down.html", "<p>back soon").run(async |scene| {
        break_it(scene).await;
        let answer = scene.client().get("/").await;
        assert_eq!((answer.status(), answer.text()), (503, "<p>back soon"));
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("retry-after").is_some());
        scene.serve(SPARE, async |mut conn| drop(conn.request().await));
        let broken = scene.client().get("/").await;
        assert_eq!((broken.status(), code(&broken)), (502, "response_closed"), "it has seen the request");
    });
}

#[test]
fn with_both_down_the_first_reason_is_told() {
    let config = format!("{BROKEN}fallback = {{ upstream = \"spare\" }}");
    scene(config).origin(APP, App::new(503).serve()).run(async |scene| {
        break_it(scene).await;
        let refused = scene.client().get("/").await;
        assert_eq!((refused.status(), code(&refused)), (503, "breaker_open"));
        assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 5);
    });
}

#[test]
fn a_fallback_answers_without_a_breaker_when_nobody_takes_the_connection() {
    let config = format!(
        "{}fallback = {{ file = \"empty.json\", status = 200 }}",
        BROKEN.replace("breaker = { minimum_requests = 5, jitter = 0 }", "")
    );
    scene(config).file("empty.json", "[]").run(async |scene| {
        let answer = scene.client().get("/").await;
        assert_eq!((answer.status(), answer.text()), (200, "[]"));
        assert_eq!(answer.header("cache-control"), Some("no-store"), "it is for this moment");
        assert_eq!(answer.header("retry-after"), None);
        // What the app has seen is the app's to answer.
        scene.serve(APP, async |mut conn| drop(conn.request().await));
        assert_eq!(scene.client().get("/").await.status(), 502);
    });
}

#[test]
fn a_route_can_do_without_the_fallback_of_its_upstream() {
    let config = BROKEN.replace("breaker = {", "fallback = { file = \"down.html\" }\nbreaker = {");
    scene(format!("{config}fallback = \"off\"")).file("down.html", "sorry").run(async |scene| {
        assert_eq!(code(&scene.client().get("/").await), "connect_failed");
    });
}

/// The cache keeps what is past its grace, and the fallback bounds how old it may be.
#[test]
fn something_stale_answers_while_the_breaker_is_open_within_its_bound() {
    let config = format!("{BROKEN}cache = true\nfallback = {{ stale = \"1h\" }}");
    let app = App::new(503);
    scene(config).origin(APP, app.serve()).run(async |scene| {
        for path in ["/kept", "/strict"] {
            let strict = if path == "/strict" { ", must-revalidate" } else { "" };
            scene.serve(APP, async move |mut conn: Conn| {
                let head =
                    format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=10{strict}\r\nConnection: close\r\n");
                conn.request().await;
                conn.send(format!("{head}Content-Length: 4\r\n\r\nkept")).await;
            });
            assert_eq!(scene.client().get(path).await.text(), "kept");
        }
        scene.serve(APP, app.serve());
        scene.seconds(1_800).await;
        break_it(scene).await;
        let answer = scene.client().get("/kept").await;
        assert_eq!((answer.status(), answer.text()), (200, "kept"));
        assert!(answer.header("cache-status").unwrap().ends_with("detail=fallback"), "{}", answer.head);
        assert_eq!(scene.client().get("/strict").await.status(), 503, "what must be validated is not given");
        assert_eq!(seen(scene), 7);
        scene.seconds(2_000).await;
        break_it(scene).await;
        assert_eq!(scene.client().get("/kept").await.status(), 503, "nor what is older than the bound");
    });
}

#[test]
fn explain_tells_the_breaker_and_what_stands_in() {
    let config = format!("{BROKEN}cache = true\nfallback = {{ stale = \"1h\", upstream = \"spare\" }}");
    scene(config).origin(APP, App::new(503).serve()).run(async |scene| {
        break_it(scene).await;
        let asked = Asked::read("GET", "http://a/", &[]).unwrap();
        let steps = explain(&scene.shared.live(), Some(&scene.shared), &asked);
        let said = |stage: &str| steps.iter().find(|step| step.stage == stage).unwrap().text.clone();
        assert!(said("breaker").starts_with("open: too large a share of requests failed"), "{}", said("breaker"));
        assert_eq!(
            said("fallback"),
            "while the upstream takes nothing, what is stored, up to 3600s after its lifetime, then upstream spare"
        );
    });
}
