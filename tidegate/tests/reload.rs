//! Reloads under load: nothing fails, nothing is cut off, nothing is forgotten.

#[path = "support/mod.rs"]
mod stage;

use std::io::{BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use stage::{Connection, Heard, Origin, Tidegate, endpoints, front, get, pause, wait_until};

/// An app that answers requests, and echoes after a 101 until the other side ends.
fn app(name: &'static str) -> Origin {
    Origin::start(move |stream| {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        while let Some(heard) = Heard::read(&mut reader)? {
            if heard.header("upgrade").is_none() {
                stream.write_all(&Heard::ok(name))?;
                continue;
            }
            stream.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
            )?;
            let mut piece = [0; 4096];
            loop {
                match reader.read(&mut piece)? {
                    0 => return Ok(()),
                    read => stream.write_all(&piece[..read])?,
                }
            }
        }
        Ok(())
    })
}

fn tunnel(address: SocketAddr) -> Connection {
    let mut connection = Connection::open(address).unwrap();
    let headers = [("Connection", "Upgrade"), ("Upgrade", "echo")];
    let answer = connection.request("GET", "/", &headers, b"").unwrap();
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("echo")));
    connection
}

/// Sends and expects the same back, again and again, until told to stop.
fn echo(mut connection: Connection, stop: &AtomicBool, turns: &AtomicU64) -> Result<(), String> {
    let mut turn = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let message = format!("turn {turn:>12} of an echo");
        connection.send(&message).map_err(|error| format!("turn {turn}: {error}"))?;
        let back = connection.take(message.len()).map_err(|error| format!("turn {turn}: {error}"))?;
        if back != message.as_bytes() {
            return Err(format!("turn {turn}: other bytes came back"));
        }
        turn += 1;
        turns.fetch_add(1, Ordering::Relaxed);
        pause(Duration::from_millis(5));
    }
    Ok(())
}

fn ask_on(address: SocketAddr, index: usize, stop: &AtomicBool, turns: &AtomicU64) -> Result<(), String> {
    let mut kept: Option<Connection> = None;
    while !stop.load(Ordering::Relaxed) {
        let said = |error| format!("client {index}: {error}");
        let mut connection = kept.take().map_or_else(|| Connection::open(address), Ok).map_err(said)?;
        let answer = connection.get("/").map_err(said)?;
        if answer.status != 200 {
            return Err(format!("client {index}: {} {}", answer.status, answer.text()));
        }
        // Some clients stay on their connection, some come anew each time.
        if !index.is_multiple_of(3) && answer.header("connection") != Some("close") {
            kept = Some(connection);
        }
        turns.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

#[test]
fn a_storm_of_reloads_fails_no_request_and_drops_no_tunnel() {
    let (one, two) = (app("one"), app("two"));
    let lean = front("", &endpoints(&[one.address]));
    let rich = front(
        "forwarded = true\nlimits.connections = 9000",
        &format!("{}\nbalance = \"round-robin\"", endpoints(&[one.address, two.address])),
    ) + "[[route]]\npath = \"/other/*\"\nrespond = 204\n";
    let running = Tidegate::start(&lean);
    let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut players = Vec::new();
    for index in 0..8 {
        let (stop, turns, address) = (Arc::clone(&stop), Arc::clone(&turns), running.address);
        players.push(std::thread::spawn(move || ask_on(address, index, &stop, &turns)));
    }
    for _ in 0..4 {
        let (stop, turns, connection) = (Arc::clone(&stop), Arc::clone(&turns), tunnel(running.address));
        players.push(std::thread::spawn(move || echo(connection, &stop, &turns)));
    }
    let (mut counted, mut reloads) = (0.0, 0.0);
    for round in 0..100 {
        let before = turns.load(Ordering::Relaxed);
        let is_bad = round % 10 == 7;
        running.write_config(match round % 10 {
            7 => "[server]\nadmin = \"${ADMIN}\"\n[[route]]\nupstream = \"nobody\"\n",
            even if even % 2 == 0 => &rich,
            _ => &lean,
        });
        if round % 2 == 0 {
            running.signal(Signal::HUP);
        } else {
            assert_eq!(running.ask(&["reload"]).code, i32::from(is_bad), "round {round}");
        }
        wait_until("it has taken place", || running.metric("tidegate_reloads_total", "") > reloads + 0.5);
        reloads += 1.0;
        let now = running.metric("tidegate_upstream_requests_total", "upstream=\"app\"");
        assert!(now >= counted, "round {round}: {now} after {counted}");
        counted = now;
        wait_until("work goes on", || turns.load(Ordering::Relaxed) > before + 5);
    }
    assert!(running.metric("tidegate_tunnels_open", "") > 3.5);
    stop.store(true, Ordering::Relaxed);
    for player in players {
        assert_eq!(player.join().unwrap(), Ok(()));
    }
    assert!(running.metric("tidegate_reloads_total", "result=\"refused\"") >= 10.0);
    assert!(two.accepted() > 0, "the richer configuration was in force");
    assert!(running.metric("tidegate_requests_total", "class=\"5xx\"").abs() < 0.5);
}

#[test]
fn a_listener_that_a_reload_adds_is_served_and_one_that_it_takes_away_is_not() {
    let origin = app("well");
    let other = stage::free_address();
    let text = front("", &endpoints(&[origin.address]));
    let running = Tidegate::start(&text);
    assert!(get(other, "/").is_err());
    running.write_config(&format!("{text}\n[[listener]]\naddress = \"{other}\"\n"));
    assert_eq!(running.ask(&["reload"]).code, 0);
    assert_eq!(get(other, "/").unwrap().text(), "well");
    let mut kept = Connection::open(other).unwrap();
    assert_eq!(kept.get("/").unwrap().status, 200);

    running.write_config(&text);
    assert_eq!(running.ask(&["reload"]).code, 0);
    wait_until("nothing listens there any more", || Connection::open(other).is_err());
    assert_eq!(kept.get("/").unwrap().status, 200, "what was connected stays");
}

#[test]
fn an_address_that_is_taken_refuses_the_reload_and_says_so() {
    let origin = app("well");
    let text = front("", &endpoints(&[origin.address]));
    let running = Tidegate::start(&text);
    running.write_config(&format!("{text}\n[[listener]]\naddress = \"{}\"\n", origin.address));
    let said = running.ask(&["reload"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains(&format!("cannot listen on {}", origin.address)), "{}", said.err);
    assert_eq!(get(running.address, "/").unwrap().text(), "well");
}

#[test]
fn who_reloads_is_told_what_waits_for_a_restart_and_what_has_no_effect() {
    let origin = app("well");
    let text = |server: &str| front(server, &endpoints(&[origin.address]));
    let running = Tidegate::start(&text("limits.connection_rate = \"1000/s\""));
    let silent = running.ask(&["reload"]);
    assert_eq!((silent.code, silent.out.as_str()), (0, "the configuration is in force\n"));
    let wishes = "limits = { connection_rate = \"1000/s\", limit_memory = \"1 MiB\" }\nstate = \"${FOLDER}/state\"\n\
                  watch = true\nclient_field = \"forwarded\"";
    running.write_config(&text(wishes));
    let said = running.ask(&["reload"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for key in ["server.state", "server.watch", "server.limits.limit_memory"] {
        let waits = format!("warning: {key} stays as it is until the next start");
        assert!(said.out.contains(&waits), "{waits} in {}", said.out);
        running.wait_for_log(&waits);
    }
    assert!(said.out.contains("client_field has no effect"), "{}", said.out);
    assert_eq!(said.out.matches("warning: ").count(), 4, "{}", said.out);
}

#[test]
fn a_watched_file_is_reloaded_when_it_changes_and_a_broken_one_changes_nothing() {
    let (one, two) = (app("one"), app("two"));
    let running = Tidegate::start(&front("watch = true", &endpoints(&[one.address])));
    assert_eq!(get(running.address, "/").unwrap().text(), "one");
    // Written in place, as a shell does.
    std::fs::write(running.config(), front("watch = true", &endpoints(&[two.address]))).unwrap();
    wait_until("the other serves", || get(running.address, "/").unwrap().text() == "two");

    running.write_config("[[listener]]\naddress = 5\n");
    running.wait_for_log("configuration refused, the old one stays in force");
    assert_eq!(get(running.address, "/").unwrap().text(), "two");

    // Replaced, as an editor does.
    running.write_config(&front("watch = true", &endpoints(&[one.address])));
    wait_until("the first serves again", || get(running.address, "/").unwrap().text() == "one");
}
