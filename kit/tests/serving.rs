//! A real listener, real connections: what the proxy in front sees while the app serves, stops and is watched.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tidegate_kit::{self as kit, Checks, Limits, Metrics, Stop, Stopped};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

struct App {
    address: SocketAddr,
    stop: mpsc::Sender<Stop>,
    served: JoinHandle<Stopped>,
    metrics: Metrics,
}

fn start(router: Router, limits: Limits, request_timeout: Duration) -> App {
    let metrics = Metrics::new();
    let checks = Arc::new(Checks::new());
    let router = kit::watch(router, &metrics, &checks, request_timeout);
    let listener = kit::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, mut stopped) = mpsc::channel(2);
    let served =
        tokio::spawn(async move { kit::serve_until(listener, router, &checks, limits, &mut stopped).await });
    App { address, stop, served, metrics }
}

const MINUTE: Duration = Duration::from_mins(1);

fn patient() -> Limits {
    Limits { lame_duck: MINUTE, drain: MINUTE, ..Limits::default() }
}

/// A route that says when a request has arrived and answers when it is told to.
fn slow(arrived: &Arc<Notify>, go_on: &Arc<Notify>) -> Router {
    let (arrived, go_on) = (Arc::clone(arrived), Arc::clone(go_on));
    Router::new().route(
        "/slow/{id}",
        get(move || async move {
            arrived.notify_one();
            go_on.notified().await;
            "done"
        }),
    )
}

async fn send(stream: &mut TcpStream, path: &str, more: &str) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: app\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// One answer, by its Content-Length, leaving the connection open.
async fn answer(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.expect("every answer here has a length").parse().unwrap() {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "closed early after {text:?}");
    }
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, path, "").await;
    answer(&mut stream).await
}

async fn closes(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

#[tokio::test]
async fn a_stopping_app_fails_readiness_first_and_finishes_what_is_in_flight() {
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = start(slow(&arrived, &go_on), patient(), MINUTE);
    let mut busy = TcpStream::connect(app.address).await.unwrap();
    send(&mut busy, "/slow/1", "").await;
    arrived.notified().await;
    assert!(ask(app.address, "/ready").await.starts_with("HTTP/1.1 200"));

    app.stop.send(Stop::Terminate).await.unwrap();
    let unready = loop {
        let ready = ask(app.address, "/ready").await;
        if ready.starts_with("HTTP/1.1 503") {
            break ready;
        }
    };
    assert!(unready.contains("\"status\":\"stopping\""), "{unready}");
    assert!(unready.contains("connection: close"), "{unready}");
    assert!(ask(app.address, "/health").await.starts_with("HTTP/1.1 200"), "the lame duck still serves");

    go_on.notify_one();
    assert!(answer(&mut busy).await.ends_with("done"));
    closes(&mut busy).await;
    // The rest of the lame duck's minute passes at once.
    tokio::time::pause();
    assert_eq!(app.served.await.unwrap().connections_cut, 0);
}

#[tokio::test]
async fn past_its_bound_an_app_refuses_at_once_and_probes_pass() {
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = start(kit::at_most(slow(&arrived, &go_on), 2), patient(), MINUTE);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        send(&mut stream, "/slow/1", "").await;
        arrived.notified().await;
        held.push(stream);
    }
    let refused = ask(app.address, "/slow/1").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("\"code\":\"full\""), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    for probe in ["/health", "/ready"] {
        assert!(ask(app.address, probe).await.starts_with("HTTP/1.1 200"), "{probe}");
    }

    // A client that leaves makes room, as an answer does.
    drop(held.pop());
    let mut next = TcpStream::connect(app.address).await.unwrap();
    while !app.metrics.render().contains("in_flight 1\n") {
        tokio::task::yield_now().await;
    }
    send(&mut next, "/slow/2", "").await;
    arrived.notified().await;
    go_on.notify_one();
    assert!(answer(&mut held[0]).await.ends_with("done"));
    go_on.notify_one();
    assert!(answer(&mut next).await.ends_with("done"));
}

#[tokio::test]
async fn an_interrupt_closes_idle_connections_and_waits_for_the_busy_one() {
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = start(slow(&arrived, &go_on), patient(), MINUTE);
    let mut idle = TcpStream::connect(app.address).await.unwrap();
    send(&mut idle, "/health", "").await;
    assert!(answer(&mut idle).await.starts_with("HTTP/1.1 200"));
    let mut busy = TcpStream::connect(app.address).await.unwrap();
    send(&mut busy, "/slow/1", "").await;
    arrived.notified().await;

    app.stop.send(Stop::Interrupt).await.unwrap();
    closes(&mut idle).await;
    assert!(TcpStream::connect(app.address).await.is_err(), "nothing is accepted any more");
    assert!(!app.served.is_finished());
    go_on.notify_one();
    assert!(answer(&mut busy).await.ends_with("done"));
    closes(&mut busy).await;
    assert_eq!(app.served.await.unwrap(), Stopped { reason: Stop::Interrupt, connections_cut: 0 });
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut_and_counted() {
    let (arrived, never) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let limits = Limits { drain: Duration::from_millis(20), ..patient() };
    let app = start(slow(&arrived, &never), limits, MINUTE);
    let mut busy = TcpStream::connect(app.address).await.unwrap();
    send(&mut busy, "/slow/1", "").await;
    arrived.notified().await;
    app.stop.send(Stop::Interrupt).await.unwrap();
    assert_eq!(app.served.await.unwrap().connections_cut, 1);
    closes(&mut busy).await;
}

#[tokio::test]
async fn a_second_signal_cuts_at_once() {
    let (arrived, never) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = start(slow(&arrived, &never), patient(), MINUTE);
    let mut busy = TcpStream::connect(app.address).await.unwrap();
    send(&mut busy, "/slow/1", "").await;
    arrived.notified().await;
    app.stop.send(Stop::Terminate).await.unwrap();
    app.stop.send(Stop::Terminate).await.unwrap();
    assert_eq!(app.served.await.unwrap().connections_cut, 1);
}

#[tokio::test]
async fn connections_past_the_limit_wait_until_one_ends() {
    let limits = Limits { connections_max: 1, ..patient() };
    let app = start(Router::new(), limits, MINUTE);
    let mut first = TcpStream::connect(app.address).await.unwrap();
    send(&mut first, "/health", "").await;
    answer(&mut first).await;
    let mut second = TcpStream::connect(app.address).await.unwrap();
    send(&mut second, "/health", "").await;
    // The first connection still gets answers while the second waits.
    send(&mut first, "/health", "").await;
    answer(&mut first).await;
    assert_eq!(second.try_read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_idle_connection_closes_after_the_keep_alive_time() {
    let limits = Limits { keep_alive: Duration::from_millis(20), ..patient() };
    let app = start(Router::new(), limits, MINUTE);
    let mut idle = TcpStream::connect(app.address).await.unwrap();
    send(&mut idle, "/health", "").await;
    answer(&mut idle).await;
    closes(&mut idle).await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_becomes_a_503_with_its_reason() {
    let (arrived, never) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = start(slow(&arrived, &never), patient(), Duration::from_millis(20));
    let refused = ask(app.address, "/slow/1").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("\"code\":\"timeout\""), "{refused}");
}

#[tokio::test]
async fn answers_carry_the_request_id_and_are_counted_by_route() {
    let router = Router::new().route("/things/{id}", get(|| async { StatusCode::NO_CONTENT }));
    let app = start(router.fallback(|| async { StatusCode::NOT_FOUND }), patient(), MINUTE);
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    send(&mut stream, "/things/7", "X-Request-Id: edge-1\r\nConnection: close\r\n").await;
    let mut answered = String::new();
    stream.read_to_string(&mut answered).await.unwrap();
    assert!(answered.contains("x-request-id: edge-1\r\n"), "{answered}");
    ask(app.address, "/nowhere/else").await;

    let text = app.metrics.render();
    for counted in [
        "_count{route=\"/things/{id}\",method=\"GET\",status=\"2xx\"} 1",
        "_count{route=\"unmatched\",method=\"GET\",status=\"4xx\"} 1",
    ] {
        assert!(text.contains(counted), "{counted} is missing in {text}");
    }
    assert!(ask(app.address, "/metrics").await.contains("http_request_duration_seconds_bucket"));
}
