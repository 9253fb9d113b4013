//! Waiting for a slot: who waits, how long, who goes first, and who leaves how.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use testkit::{Conn, Message, Scene, Script, ok, scene};

const APP: &str = "127.0.0.1:3001";
const OTHER: &str = "127.0.0.1:3002";

/// One endpoint with one slot, and these keys of its queue; then these of the route.
fn queue(keys: &str, route: &str) -> String {
    format!(
        "[upstream.app]\nendpoints = [\"{APP}\"]\nqueue = {{ concurrency = 1, {keys} }}\n\
         [[route]]\nupstream = \"app\"\n{route}"
    )
}

/// An app that answers when it is told to, one request at a time, with the request's target.
#[derive(Clone, Default)]
struct App {
    seen: Rc<RefCell<Vec<String>>>,
    let_go: Rc<Cell<usize>>,
    answered: Rc<Cell<usize>>,
}

impl App {
    fn serve(&self, script: Script) -> Script {
        self.at(APP, script)
    }

    fn at(&self, address: &str, script: Script) -> Script {
        let this = self.clone();
        script.origin(address, async move |mut conn: Conn| {
            while let Some(request) = conn.request().await {
                this.seen.borrow_mut().push(request.target().to_owned());
                while this.answered.get() >= this.let_go.get() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                this.answered.set(this.answered.get() + 1);
                conn.send(ok(request.target())).await;
            }
        })
    }

    /// Lets the app answer one more request.
    async fn answer(&self, scene: &Scene) {
        self.let_go.set(self.let_go.get() + 1);
        scene.pass(Duration::from_millis(5)).await;
    }

    fn seen(&self) -> Vec<String> {
        self.seen.borrow().clone()
    }
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn code(response: &Message) -> String {
    let document: serde_json::Value = serde_json::from_str(response.text()).expect("problem+json");
    document["code"].as_str().expect("a code").to_owned()
}

/// A client that has sent this and waits.
async fn asks(scene: &Scene, target: &str, fields: &str) -> testkit::Client {
    let mut client = scene.client();
    client.send(get(target, fields)).await;
    scene.pass(Duration::from_millis(5)).await;
    client
}

#[test]
fn whoever_finds_no_slot_waits_for_one_in_the_order_of_coming() {
    let app = App::default();
    app.serve(scene(queue("", ""))).run(async |scene| {
        let mut first = asks(scene, "/1", "").await;
        let mut second = asks(scene, "/2", "").await;
        let mut third = asks(scene, "/3", "").await;
        assert_eq!(app.seen(), ["/1"], "one slot");
        app.answer(scene).await;
        assert_eq!(first.response().await.text(), "/1");
        assert_eq!(app.seen(), ["/1", "/2"], "handed on");
        app.answer(scene).await;
        app.answer(scene).await;
        assert_eq!(second.response().await.text(), "/2");
        assert_eq!(third.response().await.text(), "/3");
        let queued = scene.totals().upstreams[1].queued().expect("two have waited");
        assert!(queued.p99 < Duration::from_millis(60), "{queued:?}");
    });
}

#[test]
fn the_last_place_is_taken_and_the_next_one_is_refused() {
    let app = App::default();
    app.serve(scene(queue("limit = 3", ""))).run(async |scene| {
        let mut served = vec![asks(scene, "/0", "").await];
        for target in ["/1", "/2", "/3"] {
            served.push(asks(scene, target, "").await);
        }
        let refused = scene.client().get("/4").await;
        assert_eq!((refused.status(), &code(&refused)[..]), (503, "queue_full"));
        let after: u32 = refused.header("retry-after").expect("when to come again").parse().unwrap();
        assert!((1..=5).contains(&after));
        for (at, client) in served.iter_mut().enumerate() {
            app.answer(scene).await;
            assert_eq!(client.response().await.text(), format!("/{at}"));
        }
        assert_eq!(scene.totals().upstreams[1].shed(), 1);
    });
}

#[test]
fn a_request_waits_no_longer_than_the_timeout() {
    let app = App::default();
    app.serve(scene(queue("timeout = \"2s\", interval = \"1m\"", ""))).run(async |scene| {
        let mut first = asks(scene, "/1", "").await;
        let began = scene.elapsed();
        let late = scene.client().get("/2").await;
        assert_eq!((late.status(), &code(&late)[..]), (503, "queue_timeout"));
        let waited = scene.elapsed().saturating_sub(began).as_millis();
        assert!((2_000..=2_200).contains(&waited), "{waited} ms");
        app.answer(scene).await;
        assert_eq!(first.response().await.text(), "/1");
        assert_eq!(app.seen(), ["/1"]);
    });
}

#[test]
fn once_the_queue_stands_nobody_waits_longer_than_the_target() {
    let app = App::default();
    app.serve(scene(queue("interval = \"1s\", target = \"200ms\"", ""))).run(async |scene| {
        let mut first = asks(scene, "/1", "").await;
        let early = asks(scene, "/2", "").await;
        scene.pass(Duration::from_millis(900)).await;
        let mut late = asks(scene, "/3", "").await;
        let mut early = early;
        let shed = early.response().await;
        assert_eq!((shed.status(), &code(&shed)[..]), (503, "queue_shed"));
        let at = scene.elapsed().as_millis();
        assert!((1_000..=1_200).contains(&at), "when the interval was over: {at} ms");
        let shed = late.response().await;
        assert_eq!(code(&shed), "queue_shed");
        // The queue is empty, so it does not stand any more.
        let mut next = asks(scene, "/4", "").await;
        scene.pass(Duration::from_millis(600)).await;
        app.answer(scene).await;
        app.answer(scene).await;
        assert_eq!(first.response().await.text(), "/1");
        assert_eq!(next.response().await.text(), "/4");
    });
}

#[test]
fn the_newest_goes_first_once_the_queue_stands_if_so_told() {
    let app = App::default();
    let keys = "order = \"newest\", interval = \"1s\", target = \"4s\", timeout = \"5s\"";
    app.serve(scene(queue(keys, ""))).run(async |scene| {
        let mut clients = vec![asks(scene, "/1", "").await, asks(scene, "/2", "").await];
        clients.push(asks(scene, "/3", "").await);
        app.answer(scene).await;
        assert_eq!(app.seen(), ["/1", "/2"], "not yet");
        scene.seconds(1).await;
        clients.push(asks(scene, "/4", "").await);
        app.answer(scene).await;
        assert_eq!(app.seen(), ["/1", "/2", "/4"]);
        app.answer(scene).await;
        app.answer(scene).await;
        for (at, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.response().await.text(), format!("/{}", at + 1));
        }
    });
}

#[test]
fn critical_requests_go_first_and_low_ones_get_one_slot_in_ten() {
    let app = App::default();
    app.serve(scene(queue("timeout = \"1m\", interval = \"1h\"", "priority = \"header:x-priority\""))).run(
        async |scene| {
            let mut clients = vec![asks(scene, "/held", "").await];
            clients.push(asks(scene, "/low", "X-Priority: low\r\n").await);
            for _ in 0..12 {
                clients.push(asks(scene, "/normal", "X-Priority: unheard of\r\n").await);
            }
            clients.push(asks(scene, "/critical", "X-Priority: Critical\r\n").await);
            for _ in 0..clients.len() {
                app.answer(scene).await;
            }
            let seen = app.seen();
            assert_eq!(seen[..2], ["/held", "/critical"]);
            let low = seen.iter().position(|target| target == "/low");
            assert_eq!(low, Some(11), "behind nine normal ones: {seen:?}");
            for client in &mut clients {
                assert_eq!(client.response().await.status(), 200);
            }
        },
    );
}

#[test]
fn a_full_queue_gives_the_place_of_a_low_request_to_a_critical_one() {
    let app = App::default();
    app.serve(scene(queue("limit = 2", "priority = \"header:x-priority\""))).run(async |scene| {
        let mut first = asks(scene, "/1", "").await;
        let mut normal = asks(scene, "/2", "").await;
        let mut low = asks(scene, "/3", "X-Priority: low\r\n").await;
        let mut critical = asks(scene, "/4", "X-Priority: critical\r\n").await;
        let displaced = low.response().await;
        assert_eq!((displaced.status(), &code(&displaced)[..]), (503, "queue_displaced"));
        let refused = scene.client().ask(&get("/5", "X-Priority: low\r\n")).await;
        assert_eq!(code(&refused), "queue_full");
        for (client, text) in [(&mut first, "/1"), (&mut critical, "/4"), (&mut normal, "/2")] {
            app.answer(scene).await;
            assert_eq!(client.response().await.text(), text);
        }
    });
}

#[test]
fn those_who_differ_in_the_key_take_turns() {
    let app = App::default();
    let keys = "fair_by = \"header:x-tenant\", limit = 6, timeout = \"1m\", interval = \"1h\"";
    app.serve(scene(queue(keys, ""))).run(async |scene| {
        let mut clients = vec![asks(scene, "/a0", "X-Tenant: a\r\n").await];
        for target in ["/a1", "/a2", "/a3", "/a4"] {
            clients.push(asks(scene, target, "X-Tenant: a\r\n").await);
        }
        for target in ["/b1", "/b2"] {
            clients.push(asks(scene, target, "X-Tenant: b\r\n").await);
        }
        // The queue is full, most of it with the requests of one.
        clients.push(asks(scene, "/c1", "X-Tenant: c\r\n").await);
        let displaced = clients[4].response().await;
        assert_eq!(code(&displaced), "queue_displaced", "its newest");
        clients.remove(4);
        for _ in 0..clients.len() {
            app.answer(scene).await;
        }
        assert_eq!(app.seen(), ["/a0", "/a1", "/b1", "/c1", "/a2", "/b2", "/a3"]);
        for client in &mut clients {
            assert_eq!(client.response().await.status(), 200);
        }
    });
}

#[test]
fn slots_that_come_free_together_are_handed_out_one_after_the_other() {
    let app = App::default();
    let config = format!(
        "[upstream.app]\nendpoints = [\"{APP}\"]\nqueue.concurrency = 2\n[[route]]\nupstream = \"app\"\n"
    );
    app.serve(scene(config)).run(async |scene| {
        let mut clients = Vec::new();
        for target in ["/1", "/2", "/3", "/4"] {
            clients.push(asks(scene, target, "").await);
        }
        scene.pass(Duration::from_millis(80)).await;
        app.let_go.set(2);
        scene.pass(Duration::from_millis(30)).await;
        assert_eq!(app.seen(), ["/1", "/2", "/3"], "answers take 90 ms, so with two slots one comes in 45");
        scene.pass(Duration::from_millis(30)).await;
        assert_eq!(app.seen(), ["/1", "/2", "/3", "/4"]);
        app.let_go.set(4);
        for client in &mut clients {
            assert_eq!(client.response().await.status(), 200);
        }
    });
}

#[test]
fn clients_that_leave_give_up_their_places_at_once() {
    let app = App::default();
    app.serve(scene(queue("limit = 2", ""))).run(async |scene| {
        scene.start_log();
        let mut first = asks(scene, "/1", "").await;
        for _ in 0..20 {
            let gone = asks(scene, "/gone", "").await;
            let posted = {
                let mut client = scene.client();
                client.send("POST /posted HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody").await;
                scene.pass(Duration::from_millis(5)).await;
                client
            };
            drop((gone, posted));
            scene.pass(Duration::from_millis(5)).await;
        }
        let mut second = asks(scene, "/2", "").await;
        app.answer(scene).await;
        app.answer(scene).await;
        assert_eq!(first.response().await.text(), "/1");
        assert_eq!(second.response().await.text(), "/2");
        assert_eq!(app.seen(), ["/1", "/2"]);
        let log = scene.log();
        let gone = log.iter().find(|line| line["target"] == "/gone").expect("a line");
        assert_eq!(gone["end"].as_str(), Some("client/connect"));
        assert!(gone["queued_ms"].as_f64() > Some(4.0), "{gone}");
    });
}

#[test]
fn a_body_is_not_called_for_while_its_request_waits() {
    let calling = async |mut conn: Conn| {
        while let Some(request) = conn.head().await {
            if request.target() == "/2" {
                conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
                conn.exactly(4).await;
            } else {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            conn.send(ok("done")).await;
        }
    };
    scene(queue("interval = \"1m\"", "")).origin(APP, calling).run(async |scene| {
        let mut first = asks(scene, "/1", "").await;
        let mut second = scene.client();
        let head = "POST /2 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
        second.send(head).await;
        scene.seconds(1).await;
        assert_eq!(second.waiting(), b"", "no 100 yet");
        assert_eq!(first.response().await.text(), "done");
        assert_eq!(second.head().await.status(), 100);
        second.send("body").await;
        assert_eq!(second.response().await.text(), "done");
    });
}

#[test]
fn a_fill_of_the_cache_takes_one_slot_for_all_who_wait_for_it() {
    let app = App::default();
    app.serve(scene(queue("", "cache = { ttl = \"1m\" }"))).run(async |scene| {
        let mut first = asks(scene, "/1", "").await;
        let mut leader = asks(scene, "/2", "").await;
        let mut follower = asks(scene, "/2", "").await;
        let waiting = scene.shared.live().upstreams[0].traffic.queue().counts();
        assert_eq!(waiting, [0, 1, 0], "the fill waits, its readers do not");
        app.answer(scene).await;
        app.answer(scene).await;
        assert_eq!(first.response().await.text(), "/1");
        assert_eq!(leader.response().await.text(), "/2");
        assert_eq!(follower.response().await.text(), "/2");
        assert_eq!(app.seen(), ["/1", "/2"]);
    });
}

#[test]
fn a_slot_is_held_to_the_end_of_a_stream_where_their_number_is_fixed() {
    let stream = async |mut conn: Conn| {
        while let Some(request) = conn.request().await {
            if request.target() == "/stream" {
                conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await;
                tokio::time::sleep(Duration::from_secs(3)).await;
                conn.send("3\r\ntwo\r\n0\r\n\r\n").await;
            } else {
                conn.send(ok("quick")).await;
            }
        }
    };
    scene(queue("interval = \"1m\"", "")).origin(APP, stream).run(async |scene| {
        let mut streaming = asks(scene, "/stream", "").await;
        assert_eq!(scene.client().get("/quick").await.text(), "quick");
        assert!(scene.elapsed() >= Duration::from_secs(3), "{:?}", scene.elapsed());
        assert_eq!(streaming.response().await.text(), "onetwo");
    });
    let auto = queue("", "").replace("concurrency = 1", "concurrency = \"auto\"");
    scene(auto).origin(APP, stream).run(async |scene| {
        let mut streams = Vec::new();
        for _ in 0..50 {
            streams.push(asks(scene, "/stream", "").await);
        }
        assert_eq!(scene.endpoint(APP).in_flight(), 50, "in flight they are");
        assert_eq!(scene.client().get("/quick").await.text(), "quick");
        assert!(scene.elapsed() < Duration::from_secs(1), "{:?}", scene.elapsed());
        for client in &mut streams {
            assert_eq!(client.response().await.text(), "onetwo");
        }
    });
}

#[test]
fn when_the_endpoint_dies_those_who_wait_hear_of_it_or_are_held() {
    let pair = "[upstream.app]\nendpoints = [\"127.0.0.1:3001\", \"127.0.0.1:3002\"]\n\
                queue = { concurrency = 1 }\n";
    for (hold, expected) in [("", 503), ("hold = \"20s\"\n", 200)] {
        let app = App::default();
        let script = scene(format!("{pair}{hold}[[route]]\nupstream = \"app\"\nretry = \"off\"\n"));
        app.at(OTHER, app.serve(script)).run(async |scene| {
            let mut working = vec![asks(scene, "/1", "").await, asks(scene, "/2", "").await];
            let mut waiting = vec![asks(scene, "/3", "").await, asks(scene, "/4", "").await];
            scene.kill(APP);
            scene.kill(OTHER);
            for client in &mut working {
                assert_eq!(client.response().await.status(), 502);
            }
            if hold.is_empty() {
                // One after the other finds that nobody takes its connection.
                for client in &mut waiting {
                    assert!(client.response().await.status() >= 502);
                }
                assert!(scene.elapsed() < Duration::from_secs(1), "{:?}", scene.elapsed());
                return;
            }
            scene.seconds(5).await;
            app.let_go.set(100);
            let back = app.clone();
            let serve = async move |mut conn: Conn| {
                while let Some(request) = conn.request().await {
                    back.seen.borrow_mut().push(request.target().to_owned());
                    conn.send(ok(request.target())).await;
                }
            };
            scene.serve(APP, serve.clone());
            scene.serve(OTHER, serve);
            for client in &mut waiting {
                assert_eq!(client.response().await.status(), expected);
            }
            assert!(scene.elapsed() < Duration::from_secs(40), "{:?}", scene.elapsed());
        });
    }
}

#[test]
fn while_nobody_takes_connections_one_at_a_time_knocks() {
    let config = queue("limit = 100", "").replace("queue =", "hold = \"10s\"\nqueue =");
    scene(config).run(async |scene| {
        let mut clients = Vec::new();
        for at in 0..60 {
            clients.push(asks(scene, &format!("/{at}"), "").await);
        }
        scene.seconds(5).await;
        scene.serve(APP, async |mut conn| conn.answer_all(ok("back")).await);
        for client in &mut clients {
            assert_eq!(client.response().await.text(), "back");
        }
        assert!(scene.elapsed() < Duration::from_secs(6), "{:?}", scene.elapsed());
        let retries = scene.totals().upstreams[1].shed();
        assert_eq!(retries, 0);
    });
}

#[test]
fn who_waits_keeps_its_place_over_a_reload() {
    let app = App::default();
    app.serve(scene(queue("", ""))).run(async |scene| {
        let mut clients = vec![asks(scene, "/1", "").await, asks(scene, "/2", "").await];
        scene.reload(&queue("limit = 5", "name = \"renamed\""));
        clients.push(asks(scene, "/3", "").await);
        for _ in 0..3 {
            app.answer(scene).await;
        }
        assert_eq!(app.seen(), ["/1", "/2", "/3"]);
        for client in &mut clients {
            assert_eq!(client.response().await.status(), 200);
        }
    });
}

#[test]
fn a_reload_that_allows_more_lets_those_go_who_wait() {
    let app = App::default();
    app.serve(scene(queue("", ""))).run(async |scene| {
        let mut clients = vec![asks(scene, "/1", "").await, asks(scene, "/2", "").await];
        clients.push(asks(scene, "/3", "").await);
        assert_eq!(app.seen().len(), 1);
        scene.reload(&queue("", "").replace("concurrency = 1", "concurrency = 2"));
        scene.settle().await;
        assert_eq!(app.seen().len(), 2);
        scene.reload("[upstream.app]\nendpoints = [\"127.0.0.1:3001\"]\nqueue = \"off\"\n[[route]]\nupstream = \"app\"\n");
        scene.settle().await;
        assert_eq!(app.seen().len(), 3, "the queue is off");
        app.let_go.set(3);
        for client in &mut clients {
            assert_eq!(client.response().await.status(), 200);
        }
    });
}

#[test]
fn a_drain_finishes_those_who_wait_for_a_slot() {
    let app = App::default();
    app.serve(scene(queue("", ""))).run(async |scene| {
        let mut clients = vec![asks(scene, "/1", "").await, asks(scene, "/2", "").await];
        scene.drain();
        scene.settle().await;
        app.answer(scene).await;
        app.answer(scene).await;
        for client in &mut clients {
            let response = client.response().await;
            assert_eq!((response.status(), response.header("connection")), (200, Some("close")));
        }
    });
}

#[test]
fn those_who_try_again_give_their_slot_up_meanwhile() {
    let config = queue("interval = \"1m\"", "").replace("[[route]]", "retry = { attempts = 3 }\n[[route]]");
    let failures = Rc::new(Cell::new(6));
    let left = Rc::clone(&failures);
    let flaky = async move |mut conn: Conn| {
        while let Some(request) = conn.request().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if left.get() > 0 {
                left.set(left.get() - 1);
                return;
            }
            conn.send(ok(request.target())).await;
        }
    };
    scene(config.replace("endpoints = [", "outlier = \"off\"\nendpoints = [\"127.0.0.1:3002\", "))
        .origin(APP, flaky.clone())
        .origin(OTHER, flaky)
        .run(async |scene| {
            let mut clients = Vec::new();
            for at in 0..8 {
                clients.push(asks(scene, &format!("/{at}"), "").await);
            }
            let mut answered = 0;
            for client in &mut clients {
                answered += usize::from(client.response().await.status() == 200);
            }
            assert!(answered >= 4, "{answered} of 8 found an answer");
            assert!(scene.elapsed() < Duration::from_secs(3), "{:?}", scene.elapsed());
        });
}

#[test]
fn clients_are_told_how_long_they_waited_if_so_wished() {
    let app = App::default();
    app.serve(scene(queue("server_timing = true", ""))).run(async |scene| {
        let mut first = asks(scene, "/1", "").await;
        let mut second = asks(scene, "/2", "").await;
        scene.pass(Duration::from_millis(30)).await;
        app.answer(scene).await;
        app.answer(scene).await;
        let none = first.response().await;
        assert_eq!(none.header("server-timing"), Some("queue;dur=0.0"));
        let told = second.response().await;
        let time = told.header("server-timing").and_then(|value| value.strip_prefix("queue;dur="));
        let time: f64 = time.expect("a time").parse().unwrap();
        assert!((30.0..60.0).contains(&time), "{time} ms");
    });
}

#[test]
fn whoever_comes_and_goes_as_they_like_leaves_nothing_behind() {
    let quick = async |mut conn: Conn| {
        while conn.request().await.is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            conn.send(ok("x")).await;
        }
    };
    let keys = "limit = 20, timeout = \"500ms\", interval = \"300ms\", fair_by = \"header:x-tenant\"";
    let config =
        queue(keys, "priority = \"header:x-priority\"").replace("concurrency = 1", "concurrency = 3");
    scene(config).origin(APP, quick).run(async |scene| {
        let mut rng = scene.rng();
        let mut clients = Vec::new();
        for _ in 0..600 {
            let priority = ["critical", "normal", "low"][rng.usize(..3)];
            let fields = format!("X-Priority: {priority}\r\nX-Tenant: {}\r\n", rng.u8(..4));
            let mut client = scene.client();
            client.send(get("/", &fields)).await;
            clients.push(client);
            if rng.u8(..3) == 0 {
                clients.swap_remove(rng.usize(..clients.len()));
            }
            scene.pass(Duration::from_millis(rng.u64(..8))).await;
        }
        let mut answered = 0;
        for client in &mut clients {
            let response = client.response().await;
            answered += usize::from(response.status() == 200);
            assert!(response.status() == 200 || code(&response).starts_with("queue_"), "{}", response.text());
        }
        assert!(answered > 50, "{answered}");
        scene.seconds(1).await;
        let slots = scene.shared.live().upstreams[0].traffic.slots(scene.shared.now());
        assert_eq!((slots.taken, slots.in_flight, slots.standing.waiting), (0, 0, [0; 3]));
    });
}
