//! How Tidegate leaves: told to stop, it says so, finishes what it has begun, and goes.

#[path = "support/mod.rs"]
mod stage;

use std::io::{BufReader, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex};

use rustix::process::Signal;
use stage::{Connection, Heard, Origin, PATIENCE, Tidegate, endpoints, front, get, request, wait_until};

/// Opened once by the test; scripts wait for it.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(open, PATIENCE, |open| !*open).unwrap());
    }
}

/// An app whose `/slow` answers half, waits for the gate, and answers the rest; `/tunnel` echoes.
fn app(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |stream| {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        while let Some(heard) = Heard::read(&mut reader)? {
            match heard.line.split(' ').nth(1) {
                Some("/slow") => {
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")?;
                    gate.wait();
                    stream.write_all(b"9\r\n and done\r\n0\r\n\r\n")?;
                }
                Some("/tunnel") => {
                    stream.write_all(
                        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
                    )?;
                    std::io::copy(&mut reader, &mut stream)?;
                }
                _ => stream.write_all(&Heard::ok("well"))?,
            }
        }
        Ok(())
    })
}

fn is_ready(running: &Tidegate) -> bool {
    request(running.admin, "GET", "/ready", &[], b"").is_ok_and(|answer| answer.status == 200)
}

#[test]
fn what_is_in_flight_is_finished_and_what_is_idle_is_closed() {
    let gate = Gate::default();
    let origin = app(&gate);
    let config = front("shutdown = { lame_duck = \"3s\", drain = \"60s\" }", &endpoints(&[origin.address]));
    let mut running = Tidegate::start(&config);
    let mut idle = Connection::open(running.address).unwrap();
    assert_eq!(idle.get("/").unwrap().text(), "well");
    let mut slow = Connection::open(running.address).unwrap();
    slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(slow.take(12).unwrap(), b"HTTP/1.1 200");

    running.signal(Signal::TERM);
    running.wait_for_log("leaving: not ready, still serving for 3s");
    assert!(!is_ready(&running), "balancers in front can turn away");
    assert_eq!(get(running.address, "/").unwrap().text(), "well", "but who comes is served");
    assert_eq!(idle.get("/").unwrap().status, 200);

    running.wait_for_log("draining for up to 60s");
    assert_eq!(idle.rest().unwrap(), b"", "an idle connection ends cleanly");
    wait_until("nothing listens any more", || Connection::open(running.address).is_err());
    assert_eq!(
        request(running.admin, "GET", "/health", &[], b"").unwrap().status,
        200,
        "it can still be looked at"
    );

    gate.open();
    let rest = String::from_utf8(slow.rest().unwrap()).unwrap();
    assert!(rest.ends_with("9\r\n and done\r\n0\r\n\r\n"), "{rest:?}");
    assert_eq!(running.wait_for_end().code(), Some(0));
    assert!(running.log().contains("stopped") && !running.log().contains("cut off"), "{}", running.log());
}

#[test]
fn a_tunnel_is_cut_off_when_the_drain_is_over() {
    let origin = app(&Gate::default());
    let config = front("shutdown = { lame_duck = \"0s\", drain = \"1s\" }", &endpoints(&[origin.address]));
    let mut running = Tidegate::start(&config);
    let mut tunnel = Connection::open(running.address).unwrap();
    let headers = [("Connection", "Upgrade"), ("Upgrade", "echo")];
    assert_eq!(tunnel.request("GET", "/tunnel", &headers, b"").unwrap().status, 101);
    running.signal(Signal::TERM);
    running.wait_for_log("draining for up to 1s");
    tunnel.send("still there?").unwrap();
    assert_eq!(tunnel.take(12).unwrap(), b"still there?", "a tunnel is in flight while the drain lasts");
    assert!(tunnel.take(1).is_err(), "it ends with the drain");
    assert_eq!(running.wait_for_end().code(), Some(0));
    assert!(running.log().contains("1 connection(s) were cut off"), "{}", running.log());
}

#[test]
fn an_answer_that_is_cut_off_by_the_end_of_the_drain_does_not_look_whole() {
    let gate = Gate::default();
    let origin = app(&gate);
    let config = front("shutdown = { lame_duck = \"0s\", drain = \"500ms\" }", &endpoints(&[origin.address]));
    let mut running = Tidegate::start(&config);
    // To HTTP/1.0 an answer of unknown length ends with its connection, so only a reset can say that it is torn.
    let mut old = Connection::open(running.address).unwrap();
    old.send("GET /slow HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(old.take(12).unwrap(), b"HTTP/1.1 200");
    running.signal(Signal::TERM);
    assert_eq!(old.rest().map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
    assert_eq!(running.wait_for_end().code(), Some(0));
    gate.open();
}

#[test]
fn told_twice_it_leaves_at_once() {
    let origin = app(&Gate::default());
    let config = front("shutdown = { lame_duck = \"10m\", drain = \"10m\" }", &endpoints(&[origin.address]));
    let mut running = Tidegate::start(&config);
    running.signal(Signal::TERM);
    running.wait_for_log("leaving: not ready");
    running.signal(Signal::INT);
    assert_eq!(running.wait_for_end().code(), Some(0));
    running.wait_for_log("told again, leaving at once");
}

#[test]
fn a_connection_that_never_asked_does_not_hold_the_process() {
    let origin = app(&Gate::default());
    let config = front("shutdown = { lame_duck = \"0s\", drain = \"10m\" }", &endpoints(&[origin.address]));
    let mut running = Tidegate::start(&config);
    let mut silent = Connection::open(running.address).unwrap();
    wait_until("it is accepted", || running.metric("tidegate_connections_open", "") > 0.5);
    running.signal(Signal::TERM);
    assert_eq!(silent.rest().unwrap(), b"");
    assert_eq!(running.wait_for_end().code(), Some(0));
}

#[test]
fn a_tidegate_on_the_same_addresses_can_start_while_the_old_one_drains() {
    let gate = Gate::default();
    let origin = app(&gate);
    let config = front("shutdown = { lame_duck = \"0s\", drain = \"60s\" }", &endpoints(&[origin.address]));
    let config = config.replace("${ADMIN}", "off");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidegate.toml");
    let address = stage::free_address();
    std::fs::write(&file, config.replace("${LISTEN}", &address.to_string())).unwrap();
    let start = || {
        let mut command = stage::tidegate();
        command.args(["run", "-c"]).arg(&file);
        Ended(command.spawn().unwrap())
    };
    let old = start();
    wait_until("it listens", || get(address, "/").is_ok());
    let mut slow = Connection::open(address).unwrap();
    slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(slow.take(12).unwrap(), b"HTTP/1.1 200");
    stage::send(old.0.id(), Signal::TERM);
    wait_until("it listens no more", || Connection::open(address).is_err());

    let _new = start();
    wait_until("the new one serves", || get(address, "/").is_ok_and(|answer| answer.status == 200));
    gate.open();
    assert!(slow.rest().unwrap().ends_with(b"0\r\n\r\n"), "what the old one had begun is finished");
}

/// Killed when dropped.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        stage::end(&mut self.0);
    }
}
