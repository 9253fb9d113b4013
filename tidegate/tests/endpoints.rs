//! Endpoints that die, come back, close idle connections early, are known by name, and are probed.

#[path = "support/mod.rs"]
mod stage;

use std::io::{BufReader, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, sync::Arc};

use stage::{Connection, Heard, Nginx, Origin, Tidegate, endpoints, front, get, pause, wait_until};

/// Clients that send GETs until they are told to stop, and keep every failure.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Half of the clients keep their connection, half open a new one for each request.
    fn start(address: SocketAddr, clients: usize) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..clients)
            .map(|index| {
                let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
                std::thread::spawn(move || client(address, index % 2 == 0, &stop, &sent))
            })
            .collect();
        Self { stop, sent, clients }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until so many more requests were answered.
    fn wait_for(&self, more: u64) {
        let wanted = self.sent() + more;
        wait_until(&format!("{more} more requests are answered"), || self.sent() >= wanted);
    }

    fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().expect("a client ends")).collect()
    }
}

fn client(address: SocketAddr, keeps: bool, stop: &AtomicBool, sent: &AtomicU64) -> Vec<String> {
    let mut failures = Vec::new();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        let answer = kept.take().map_or_else(|| Connection::open(address), Ok).and_then(|mut connection| {
            let headers: &[(&str, &str)] = if keeps { &[] } else { &[("Connection", "close")] };
            let answer = connection.request("GET", "/", headers, b"")?;
            kept = keeps.then_some(connection);
            Ok(answer)
        });
        match answer {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => failures.push(format!("{} {}", answer.status, answer.text())),
            Err(error) => failures.push(format!("keeps {keeps}: {error}")),
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
    failures
}

fn answering_nginx() -> Nginx {
    Nginx::start("server { listen ${ADDRESS}; location / { return 200 \"well\"; } }")
}

#[test]
fn no_client_sees_an_endpoint_killed_under_load() {
    let mut instances: Vec<Nginx> = (0..4).map(|_| answering_nginx()).collect();
    let addresses: Vec<SocketAddr> = instances.iter().map(|nginx| nginx.address).collect();
    let running = Tidegate::start(&front("", &endpoints(&addresses)));
    let load = Load::start(running.address, 8);
    load.wait_for(500);

    let victim = addresses[1].to_string();
    instances[1].kill();
    wait_until("the dead endpoint is ejected", || running.state_of(&victim) == "ejected");
    load.wait_for(1000);
    let requests_then = running.metric("tidegate_endpoint_requests_total", &victim);
    instances[1].revive();
    wait_until("the endpoint returns", || running.state_of(&victim) == "up");
    wait_until("it gets requests again", || {
        running.metric("tidegate_endpoint_requests_total", &victim) > requests_then
    });
    load.wait_for(500);
    let failures = load.stop();
    assert!(failures.is_empty(), "{} failures, the first: {:?}", failures.len(), failures.first());
    assert!(running.metric("tidegate_endpoint_ejections_total", &victim) >= 1.0);
    assert!(running.metric("tidegate_endpoint_returns_total", &victim) >= 1.0);
}

#[test]
fn no_client_sees_an_endpoint_that_freezes_under_load() {
    let instances: Vec<Nginx> = (0..3).map(|_| answering_nginx()).collect();
    let addresses: Vec<SocketAddr> = instances.iter().map(|nginx| nginx.address).collect();
    let text = endpoints(&addresses)
        + "\nbalance = \"round-robin\"\ntimeouts.response = \"2s\"\noutlier = { failures = 3, ejection = \"2s\" }";
    let running = Tidegate::start(&front("", &text));
    let load = Load::start(running.address, 8);
    load.wait_for(300);
    let victim = addresses[2].to_string();
    instances[2].freeze();
    wait_until("the frozen endpoint is ejected", || running.state_of(&victim) == "ejected");
    load.wait_for(300);
    instances[2].thaw();
    wait_until("it returns", || running.state_of(&victim) == "up");
    load.wait_for(300);
    let failures = load.stop();
    assert!(failures.is_empty(), "{} failures, the first: {:?}", failures.len(), failures.first());
    let retried = running.metric("tidegate_upstream_retries_total", "reason=\"response_timeout\"");
    assert!(retried >= 3.0, "{retried} requests were answered by another");
}

/// An app that closes a connection once it was idle for two seconds.
fn closes_after_two_seconds() -> Origin {
    Origin::start(|stream| {
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            match Heard::read(&mut reader) {
                Ok(Some(heard)) => stream.write_all(&Heard::ok(&heard.body))?,
                Ok(None) => return Ok(()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    })
}

/// Requests at just the time at which the app closes: some a little before, some a little after.
fn knock_at_two_seconds(running: &Tidegate, post: &'static str) {
    let address = running.address;
    let clients: Vec<_> = (0..8_u64)
        .map(|index| {
            std::thread::spawn(move || -> io::Result<()> {
                let mut connection = Connection::open(address)?;
                for round in 0..6_u64 {
                    let answer = match (index + round) % 2 {
                        0 => connection.get("/")?,
                        _ => connection.request("POST", post, &[], b"once")?,
                    };
                    assert_eq!(answer.status, 200, "client {index}, round {round}: {}", answer.text());
                    pause(Duration::from_millis(1900 + (index * 29 + round * 67) % 200));
                }
                Ok(())
            })
        })
        .collect();
    for client in clients {
        client.join().expect("every answer is good").expect("no connection breaks");
    }
}

#[test]
fn an_app_that_closes_idle_connections_never_causes_a_502() {
    let origin = closes_after_two_seconds();
    let running = Tidegate::start(&front("", &endpoints(&[origin.address])));
    knock_at_two_seconds(&running, "/");
    assert!(running.metric("tidegate_refusals_total", "").abs() < 0.5);
}

#[test]
fn an_nginx_that_closes_idle_connections_never_causes_a_502() {
    let origin = Nginx::start(
        "keepalive_timeout 2s; server { listen ${ADDRESS}; location / { return 200 \"well\"; } }",
    );
    let running = Tidegate::start(&front("", &endpoints(&[origin.address])));
    knock_at_two_seconds(&running, "/");
    assert!(running.metric("tidegate_refusals_total", "").abs() < 0.5);
}

#[test]
fn a_name_stands_for_the_addresses_it_has() {
    let origin = Origin::answering(|_| Heard::ok("found by name"));
    let name = format!("localhost:{}", origin.address.port());
    let running = Tidegate::start(&front("", &format!("endpoints = [\"{name}\"]\nhold = \"10s\"")));
    assert_eq!(get(running.address, "/").unwrap().text(), "found by name");
    assert_eq!(running.state_of(&origin.address.to_string()), "up");
    assert!(running.metric("tidegate_upstream_resolutions_total", "result=\"answered\"") >= 1.0);
}

#[test]
fn a_name_that_nobody_knows_is_told_as_no_endpoint_and_logged_once() {
    let running = Tidegate::start(&front("", "endpoints = [\"no-such-app.invalid:3000\"]"));
    let answer = get(running.address, "/").unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("no_endpoint"), "{}", answer.text());
    let logged = "no-such-app.invalid cannot be resolved";
    running.wait_for_log(logged);
    let failed = || running.metric("tidegate_upstream_resolutions_total", "result=\"failed\"");
    wait_until("it is asked for again and again", || failed() > 2.5);
    assert_eq!(running.log().matches(logged).count(), 1);
}

#[test]
fn probes_take_an_endpoint_out_and_bring_it_back() {
    // What /health says is a file, so that the test can make it ill and well again.
    let sick = Nginx::start(
        "server { listen ${ADDRESS}; location /health { root ${FOLDER}; } location / { return 200 \"sick\"; } }",
    );
    let health = sick.folder().join("health");
    std::fs::write(&health, "all is well").unwrap();
    let well = Nginx::start("server { listen ${ADDRESS}; location / { return 200 \"is well\"; } }");
    let probes = "[upstream.app.health]\npath = \"/health\"\nstatus = 200\nbody = \"is well\"\ninterval = \"500ms\"\n\
                  timeout = \"500ms\"\nfall = 2\nrise = 2";
    let running =
        Tidegate::start(&front("", &format!("{}\n{probes}", endpoints(&[sick.address, well.address]))));
    let address = sick.address.to_string();
    let reaches_it = || (0..8).any(|_| get(running.address, "/").unwrap().text() == "sick");
    wait_until("both serve", reaches_it);

    for (body, what) in [(Some("all is lost"), "the body does not match"), (None, "the status is 404")] {
        match body {
            Some(body) => std::fs::write(&health, body).unwrap(),
            None => std::fs::remove_file(&health).unwrap(),
        }
        wait_until(what, || running.state_of(&address) == "down");
        assert!(!reaches_it(), "{what}, so nothing is sent there");
        std::fs::write(&health, "all is well").unwrap();
        wait_until("it is well again", || running.state_of(&address) == "up");
        wait_until("it serves again", reaches_it);
    }
    assert!(running.metric("tidegate_endpoint_probes_total", "result=\"failed\"") >= 4.0);
}

#[test]
fn requests_wait_for_an_app_that_is_being_restarted() {
    let mut app = answering_nginx();
    let probes = "hold = \"20s\"\nhealth = { interval = \"200ms\", timeout = \"200ms\", fall = 1 }";
    let text = format!("{}\n{probes}", endpoints(&[app.address]));
    let running = Tidegate::start(&front("", &text));
    assert_eq!(get(running.address, "/").unwrap().status, 200);
    app.kill();
    wait_until("the probe has seen it", || running.state_of(&app.address.to_string()) == "down");
    let address = running.address;
    let waiting: Vec<_> = (0..4).map(|_| std::thread::spawn(move || get(address, "/"))).collect();
    wait_until("all four arrived", || running.metric("tidegate_connections_open", "") >= 4.0);
    app.revive();
    for client in waiting {
        assert_eq!(client.join().unwrap().unwrap().status, 200);
    }
}

#[test]
fn with_every_endpoint_gone_the_answer_comes_at_once_and_says_why() {
    let mut app = answering_nginx();
    let running = Tidegate::start(&front("", &endpoints(&[app.address])));
    assert_eq!(get(running.address, "/").unwrap().status, 200);
    app.kill();
    for _ in 0..5 {
        let answer = get(running.address, "/").unwrap();
        assert!(matches!(answer.status, 502 | 503), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    app.revive();
    wait_until("it is served again", || get(running.address, "/").unwrap().status == 200);
}

#[test]
fn five_seconds_without_the_app_cost_no_request_that_hold_covers() {
    let mut app = answering_nginx();
    // Room for all that come within the time; without it the queue would be full after two seconds.
    let text = format!("{}\nhold = \"10s\"\nqueue = {{ limit = 4000 }}", endpoints(&[app.address]));
    let running = Tidegate::start(&front("", &text));
    assert_eq!(get(running.address, "/").unwrap().status, 200);
    app.kill();
    let began = std::time::Instant::now();
    let mut waiting = Vec::new();
    for number in 1..=2_500 {
        let mut connection = Connection::open(running.address).unwrap();
        connection.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        waiting.push(connection);
        pause((Duration::from_millis(2) * number).saturating_sub(began.elapsed()));
    }
    app.revive();
    let failed = waiting.iter_mut().map(|connection| connection.response(false).unwrap().status);
    let failed: Vec<u16> = failed.filter(|status| *status != 200).collect();
    assert_eq!(failed, [0; 0], "after {:?}", began.elapsed());
    assert!(running.metric("tidegate_upstream_held_seconds_count", "") >= 2_400.0);
}
