//! The admin listener over real sockets, in front of a process that is made up.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use signals::{
    EndpointReading, Finished, LimitedKey, Observed, QueueReading, Reload, Signals, SurgeReading, Times,
};
use tidegate_admin::client::{self, AskError};
use tidegate_admin::{
    CacheStatus, Control, Drain, DrainRefused, Entries, EntryStatus, Explanation, NotReady, PurgeOrder,
    PurgeWhat, Purged, Question, Reloaded, Reloading, Step, SurgeOrder, serve,
};
use tokio::sync::oneshot;

const TIME: Duration = Duration::from_secs(20);

/// A process with one upstream of two endpoints.
#[derive(Default)]
struct Scene {
    not_ready: Mutex<Vec<NotReady>>,
    is_draining: Mutex<bool>,
    is_file_bad: Mutex<bool>,
    asked: Mutex<Vec<Question>>,
    purged: Mutex<Vec<PurgeOrder>>,
}

const SOCKET: &str = "unix:/run/my app.sock";

/// Entries in the cache of the scene.
const STORED: usize = 150;

fn entry(number: usize) -> EntryStatus {
    EntryStatus {
        url: format!("http://shop.example/{number}"),
        variant: Vec::new(),
        status: 200,
        body_bytes: 10,
        cost_bytes: 400,
        hits: number as u32,
        age_ms: 1_000,
        fresh_ms: -5,
        tags: 1,
        on_disk: false,
    }
}

fn some(entries: impl Iterator<Item = EntryStatus>, most: usize) -> Entries {
    let entries: Vec<_> = entries.take(most).collect();
    Entries { is_cut: entries.len() == most, entries, on_disk: 0 }
}

impl Observed for Scene {
    fn surges(&self, each: &mut dyn FnMut(SurgeReading<'_>)) {
        let off = SurgeReading { profile: "night", tightens: "limits times 0.5", on: None, left: None };
        each(off);
        let on = Some(Duration::from_mins(5));
        each(SurgeReading { profile: "sale", on, left: Some(Duration::from_mins(25)), ..off });
    }

    fn queues(&self, each: &mut dyn FnMut(QueueReading<'_>)) {
        each(QueueReading {
            upstream: "app",
            limit: Some(8),
            is_adaptive: false,
            taken: 2,
            in_flight: 3,
            waiting: [0, 1, 0],
            most_waiting: 1_000,
        });
    }

    fn limits(&self) -> traffic::limit::Usage {
        traffic::limit::Usage { entries: 3, memory_bytes: 4_096, overflowed: 2, ..Default::default() }
    }

    fn limited(&self, _most: usize) -> Vec<LimitedKey> {
        Vec::new()
    }

    fn cache(&self) -> cache::Usage {
        cache::Usage {
            entries: STORED as u64,
            memory_bytes: 1 << 20,
            fills_total: 160,
            ..cache::Usage::default()
        }
    }

    fn endpoints(&self, each: &mut dyn FnMut(EndpointReading<'_>)) {
        let is_draining = *self.is_draining.lock().unwrap();
        let reading = EndpointReading {
            upstream: "app",
            address: "127.0.0.1:3001",
            state: "up",
            available: true,
            why: "",
            in_flight: 2,
            weight: 1,
            backup: false,
            ewma: Some(Duration::from_millis(4)),
        };
        each(reading);
        let state = if is_draining { "draining" } else { "up" };
        each(EndpointReading { address: SOCKET, state, available: !is_draining, ewma: None, ..reading });
    }
}

impl Control for Scene {
    fn surge(&self, order: &SurgeOrder) -> Result<String, String> {
        match order {
            SurgeOrder::On { profile: Some(name), .. } if name != "sale" => {
                Err(format!("no surge is called {name:?}"))
            }
            order => Ok(format!("{order:?}")),
        }
    }

    fn purge(&self, order: &PurgeOrder) -> Result<u64, String> {
        if order.what == PurgeWhat::Url("nonsense".to_owned()) {
            return Err("nonsense is no url".to_owned());
        }
        self.purged.lock().unwrap().push(order.clone());
        Ok(3)
    }

    fn stored(&self, prefix: Option<&str>, most: usize) -> Result<Entries, String> {
        let all = (0..STORED).map(entry);
        Ok(some(all.filter(|entry| entry.url.starts_with(prefix.unwrap_or(""))), most))
    }

    fn top(&self, most: usize) -> Entries {
        some((0..STORED).rev().map(entry), most)
    }

    fn not_ready(&self) -> Vec<NotReady> {
        self.not_ready.lock().unwrap().clone()
    }

    fn listeners(&self) -> Vec<String> {
        vec!["127.0.0.1:8080".to_owned()]
    }

    fn reload(&self) -> Reloading<'_> {
        Box::pin(async {
            tokio::task::yield_now().await;
            if *self.is_file_bad.lock().unwrap() {
                let text = "error: unknown key \"upstreem\"\n  --> tidegate.toml:3:1\n".to_owned();
                return Reloaded { result: Reload::Refused, text };
            }
            Reloaded { result: Reload::Applied, text: "1 route, 1 upstream".to_owned() }
        })
    }

    fn drain(&self, upstream: &str, endpoint: &str, is_on: bool) -> Result<Drain, DrainRefused> {
        if upstream != "app" {
            return Err(DrainRefused::NoUpstream { known: vec!["app".to_owned()] });
        }
        if endpoint != SOCKET {
            return Err(DrainRefused::NoEndpoint { known: vec![SOCKET.to_owned()] });
        }
        let mut is_draining = self.is_draining.lock().unwrap();
        let is_changed = *is_draining != is_on;
        *is_draining = is_on;
        Ok(Drain { is_changed, in_flight: 2 })
    }

    fn explain(&self, question: &Question) -> Result<Explanation, String> {
        if !question.url.starts_with("http://") {
            return Err(format!("{} is no url", question.url));
        }
        self.asked.lock().unwrap().push(question.clone());
        let step = |stage: &str, text: &str| Step { stage: stage.to_owned(), text: text.to_owned() };
        Ok(Explanation { steps: vec![step("route", "/x/*"), step("upstream", "app")] })
    }
}

/// A listener that serves until it is dropped.
struct Running {
    address: SocketAddr,
    signals: Arc<Signals>,
    scene: Arc<Scene>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (signals, scene) = (Signals::new(1), Arc::new(Scene::default()));
        let (end, ended) = oneshot::channel();
        let control: Arc<dyn Control> = Arc::clone(&scene) as Arc<dyn Control>;
        let serving = serve(listener, Arc::clone(&signals), control, async {
            let _ = ended.await;
        });
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // Spawning demands that the future may move between threads.
            runtime.block_on(async { tokio::spawn(serving).await.unwrap().unwrap() });
        });
        Self { address, signals, scene, end: Some(end), thread: Some(thread) }
    }

    fn address(&self) -> String {
        self.address.to_string()
    }

    fn get(&self, path: &str) -> client::Answer {
        client::get(&self.address(), path, TIME).unwrap()
    }

    fn post(&self, path: &str) -> client::Answer {
        client::post(&self.address(), path, TIME).unwrap()
    }

    /// Sends a head as it is; gives everything that comes back until the connection ends.
    fn raw(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIME)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            drop(self.end.take());
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve_one(signals: &Signals) {
    let (route, upstream) = (signals.route("/x/*"), signals.upstream("app"));
    let endpoint = signals.endpoint(upstream, "127.0.0.1:3001");
    signals.shard(0).finished(&Finished {
        route: Some(route),
        upstream: Some(upstream),
        endpoint: Some(endpoint),
        status: 200,
        tries: 1,
        reused: true,
        sent_bytes: 10,
        times: Times { total: Duration::from_millis(3), wait: Duration::from_millis(2), ..Times::default() },
        method: b"GET",
        target: b"/x/1",
        host: b"localhost",
        version: 11,
        ..Finished::default()
    });
}

#[test]
fn metrics_come_in_the_text_format() {
    let running = Running::start();
    serve_one(&running.signals);
    let answer = running.raw("GET /metrics HTTP/1.1\r\nHost: tidegate:9900\r\nConnection: close\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(body.contains("tidegate_requests_total{route=\"/x/*\",class=\"2xx\"} 1\n"), "{body}");
    assert!(
        body.contains(
            "tidegate_endpoint_requests_in_flight{upstream=\"app\",endpoint=\"127.0.0.1:3001\"} 2\n"
        )
    );
}

#[test]
fn health_is_good_and_readiness_says_why_not() {
    let running = Running::start();
    let ready = running.get("/ready");
    assert_eq!((ready.status, ready.body.trim()), (200, r#"{"ready":true,"reasons":[]}"#));
    running.scene.not_ready.lock().unwrap().push(NotReady::Draining);
    let ready = running.get("/ready");
    assert_eq!(ready.status, 503);
    let body: serde_json::Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!((&body["ready"], &body["reasons"][0]["code"]), (&false.into(), &"draining".into()));
    assert_eq!(running.get("/health").status, 200);
}

#[test]
fn the_status_joins_counts_and_states() {
    let running = Running::start();
    serve_one(&running.signals);
    let status = client::status(&running.address(), TIME).unwrap();
    assert_eq!((status.requests, status.listeners.as_slice()), (1, &["127.0.0.1:8080".to_owned()][..]));
    assert_eq!(
        status.routes.iter().map(|route| (route.name.as_str(), route.requests)).collect::<Vec<_>>(),
        [("/x/*", 1)]
    );
    let [app] = status.upstreams.as_slice() else { panic!("{:?}", status.upstreams) };
    let [first, second] = app.endpoints.as_slice() else { panic!("{:?}", app.endpoints) };
    assert_eq!((first.address.as_str(), first.requests, first.in_flight), ("127.0.0.1:3001", 1, 2));
    assert_eq!(first.ewma_ms, Some(4.0));
    assert_eq!((second.address.as_str(), second.requests, second.ewma_ms), (SOCKET, 0, None));
    let table = tidegate_admin::table::status(&status, 80, false);
    assert!(table.contains("\n127.0.0.1:3001 "), "{table}");
}

#[test]
fn surges_are_ordered_and_shown() {
    let running = Running::start();
    for (profile, lasts, path) in [
        (None, None, "/surge/on"),
        (Some("sale"), None, "/surge/on?profile=sale"),
        (None, Some(90), "/surge/on?for_s=90"),
        (Some("sale"), Some(90), "/surge/on?profile=sale&for_s=90"),
    ] {
        let order =
            SurgeOrder::On { profile: profile.map(str::to_owned), lasts: lasts.map(Duration::from_secs) };
        assert_eq!(client::surge_path(&order), path);
        assert_eq!(running.post(path).body.trim(), format!("{order:?}"));
    }
    assert_eq!(running.post(&client::surge_path(&SurgeOrder::Off)).body.trim(), "Off");
    for (query, what) in [
        ("?profile=sael", "no surge is called \"sael\""),
        ("?for_s=0", "no number of seconds"),
        ("?for_s=1m", "no number of seconds"),
        ("?name=sale", "is not known"),
    ] {
        let answer = running.post(&format!("/surge/on{query}"));
        assert!(answer.status == 400 && answer.body.contains(what), "{query}: {answer:?}");
    }
    let told = client::get_text(&running.address(), "/surge", TIME).unwrap();
    assert_eq!(
        told.body,
        "surge night: off; limits times 0.5\nsurge sale: on for 5m 0s, 25m 0s left; limits times 0.5\n"
    );
    let status = client::status(&running.address(), TIME).unwrap();
    let table = tidegate_admin::table::status(&status, 80, false);
    assert!(table.contains("\nsurge sale: on for") && !table.contains("surge night"), "{table}");
}

#[test]
fn a_purge_says_how_many_entries_it_took() {
    let running = Running::start();
    for (what, soft, path) in [
        (
            PurgeWhat::Url("http://a/b?c=1&d".to_owned()),
            false,
            "/cache/purge?url=http%3A%2F%2Fa%2Fb%3Fc%3D1%26d",
        ),
        (PurgeWhat::Prefix("http://a/".to_owned()), true, "/cache/purge?prefix=http%3A%2F%2Fa%2F&soft=true"),
        (PurgeWhat::Tag("a b".to_owned()), false, "/cache/purge?tag=a%20b"),
        (PurgeWhat::All, false, "/cache/purge?all=true"),
    ] {
        let order = PurgeOrder { what, soft };
        assert_eq!(client::purge_path(&order), path);
        let purged: Purged = client::read(&running.address(), running.post(path)).unwrap();
        assert_eq!(purged, Purged { purged: 3, soft });
        assert_eq!(running.scene.purged.lock().unwrap().pop(), Some(order));
    }
}

#[test]
fn a_purge_that_is_not_clear_is_refused() {
    let running = Running::start();
    for (query, what) in [
        ("", "what is to be purged?"),
        ("?soft=true", "what is to be purged?"),
        ("?all=true&tag=a", "what is to be purged?"),
        ("?all=yes", "all is true"),
        ("?all=true&soft=1", "soft is true"),
        ("?url=", "\"url\" is empty"),
        ("?tag=a%0ab", "control character"),
        ("?everything=true", "is not known"),
        ("?url=nonsense", "nonsense is no url"),
    ] {
        let answer = running.post(&format!("/cache/purge{query}"));
        assert!(answer.status == 400 && answer.body.contains(what), "{query}: {answer:?}");
    }
    assert!(running.scene.purged.lock().unwrap().is_empty());
}

#[test]
fn no_web_page_purges() {
    let running = Running::start();
    let head = "POST /cache/purge?all=true HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(running.raw(head).starts_with("HTTP/1.1 403 "));
    assert_eq!(running.get("/cache/purge?all=true").status, 405);
    assert!(running.scene.purged.lock().unwrap().is_empty());
}

#[test]
fn entries_are_listed_within_bounds() {
    let running = Running::start();
    let entries = |path: &str| client::read::<Entries>(&running.address(), running.get(path)).unwrap();
    let listed = entries("/cache/list");
    assert_eq!((listed.entries.len(), listed.is_cut), (100, true));
    let listed = entries(&client::list_path(Some("http://shop.example/14"), 50));
    assert_eq!((listed.entries.len(), listed.is_cut), (11, false));
    let top = entries("/cache/top?limit=2");
    assert_eq!(top.entries.iter().map(|entry| entry.hits).collect::<Vec<_>>(), [149, 148]);
    for path in
        ["/cache/list?limit=0", "/cache/list?limit=10001", "/cache/top?limit=1001", "/cache/top?prefix=a"]
    {
        assert_eq!(running.get(path).status, 400, "{path}");
    }
}

#[test]
fn what_the_cache_holds_is_part_of_the_status() {
    let running = Running::start();
    let alone: CacheStatus = client::read(&running.address(), running.get("/cache")).unwrap();
    let status = client::status(&running.address(), TIME).unwrap();
    assert_eq!((alone.entries, alone.fills), (150, 160));
    assert_eq!(status.cache, alone);
}

#[test]
fn a_route_that_left_is_not_part_of_the_status() {
    let running = Running::start();
    serve_one(&running.signals);
    let kept = running.signals.route("/y");
    running.signals.keep_routes(&[kept]);
    let status = client::status(&running.address(), TIME).unwrap();
    assert_eq!(status.routes.iter().map(|route| route.name.as_str()).collect::<Vec<_>>(), ["/y"]);
    assert_eq!(status.requests, 1, "what it served stays served");
}

#[test]
fn a_reload_answers_with_what_changed_or_what_is_wrong() {
    let running = Running::start();
    let good = running.post("/reload");
    assert_eq!((good.status, good.body.as_str()), (200, "1 route, 1 upstream\n"));
    *running.scene.is_file_bad.lock().unwrap() = true;
    let bad = running.post("/reload");
    assert_eq!((bad.status, bad.is_good()), (422, false));
    assert!(bad.body.contains("--> tidegate.toml:3:1"), "{}", bad.body);
}

#[test]
fn an_endpoint_is_drained_and_let_back_in() {
    let running = Running::start();
    running.signals.upstream("app");
    let drain = client::endpoint_path("drain", "app", SOCKET);
    let answer = running.post(&drain);
    let expected = "app/unix:/run/my app.sock takes no new requests; 2 requests in flight\n";
    assert_eq!((answer.status, answer.body.as_str()), (200, expected));
    let status = client::status(&running.address(), TIME).unwrap();
    let drained = &status.upstreams[0].endpoints[1];
    assert_eq!((drained.state.as_str(), drained.available), ("draining", false));
    assert!(running.post(&drain).body.contains("was draining already"));
    let answer = running.post(&client::endpoint_path("undrain", "app", SOCKET));
    assert_eq!(answer.body, "app/unix:/run/my app.sock takes requests again\n");
    assert!(!*running.scene.is_draining.lock().unwrap());
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    let running = Running::start();
    let answer = running.post("/drain/ap/x");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (404, "no upstream is called \"ap\"; there are: app\n")
    );
    let answer = running.post("/drain/app/x");
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("has no endpoint \"x\""), "{}", answer.body);
    let answer = running.get("/nowhere");
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("/metrics"), "{}", answer.body);
}

#[test]
fn explain_passes_the_whole_question_on() {
    let running = Running::start();
    let headers = ["Cookie: a=1; b=2".to_owned(), "X-Tenant: é".to_owned()];
    let path = client::explain_path("POST", "http://x/y?z=1&w=2", &headers, Some([192, 0, 2, 7].into()));
    let json: Explanation = serde_json::from_str(&running.get(&path).body).unwrap();
    assert_eq!(json.steps[1], Step { stage: "upstream".to_owned(), text: "app".to_owned() });
    let text = client::get_text(&running.address(), &path, TIME).unwrap();
    assert_eq!(text.body, "route     /x/*\nupstream  app\n");
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let question = Question {
        method: "POST".to_owned(),
        url: "http://x/y?z=1&w=2".to_owned(),
        headers: vec![field("Cookie", "a=1; b=2"), field("X-Tenant", "é")],
        client: Some([192, 0, 2, 7].into()),
    };
    assert_eq!(*running.scene.asked.lock().unwrap(), [question.clone(), question]);
}

#[test]
fn explain_says_what_is_wrong_with_a_question() {
    let running = Running::start();
    for (path, expected) in [
        ("/explain", "which request? add url=http://host/path\n"),
        ("/explain?url=nonsense", "nonsense is no url\n"),
        ("/explain?url=http://x/&client=me", "client \"me\" is no address; write client=192.0.2.7\n"),
        ("/explain?url=http://x/&header=x", "header \"x\" has no colon; write \"name: value\"\n"),
        ("/explain?uri=x", "parameter \"uri\" is not known; there are method, url, header and client\n"),
        (
            "/explain?url=http://x/&header=a:b%0D%0Ac:d",
            "a control character is no part of a request head; take it out\n",
        ),
    ] {
        let answer = running.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (400, expected), "{path}");
    }
    assert!(running.scene.asked.lock().unwrap().is_empty());
}

#[test]
fn web_pages_cannot_give_orders() {
    let running = Running::start();
    let drain = client::endpoint_path("drain", "app", SOCKET);
    let host = format!("Host: {}\r\n", running.address);
    for (fields, status, code) in [
        (format!("{host}Origin: https://evil.example\r\n"), 403, "origin_foreign"),
        (format!("{host}Origin: null\r\n"), 403, "origin_foreign"),
        ("Host: evil.example:9900\r\n".to_owned(), 403, "host_foreign"),
        (format!("{host}Content-Length: 70000\r\n"), 413, "body_too_large"),
        (format!("{host}Transfer-Encoding: chunked\r\n"), 413, "body_too_large"),
    ] {
        for path in [drain.as_str(), "/reload", "/undrain/app/x"] {
            let answer = running.raw(&format!("POST {path} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{fields}{answer}");
            assert!(answer.contains(code), "{answer}");
        }
    }
    assert!(!*running.scene.is_draining.lock().unwrap());
    let own = format!(
        "POST {drain} HTTP/1.1\r\n{host}Origin: http://{}\r\nConnection: close\r\n\r\n",
        running.address
    );
    assert!(running.raw(&own).starts_with("HTTP/1.1 200 "));
}

#[test]
fn orders_are_not_given_by_get() {
    let running = Running::start();
    for path in ["/reload", "/drain/app/x"] {
        assert_eq!(running.get(path).status, 405, "{path}");
    }
}

#[test]
fn the_end_waits_for_nobody_idle() {
    let mut running = Running::start();
    let mut idle = TcpStream::connect(running.address).unwrap();
    idle.set_read_timeout(Some(TIME)).unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut buffer = [0; 1024];
    assert!(idle.read(&mut buffer).unwrap() > 0);
    running.stop();
    assert_eq!(idle.read(&mut buffer).unwrap(), 0, "the kept-alive connection was closed");
    let error = client::get(&running.address(), "/health", TIME).unwrap_err();
    assert!(matches!(error, AskError::NothingListens(_)), "{error}");
}
