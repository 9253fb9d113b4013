//! Clients of every kind on real sockets: too many, of many addresses, behind balancers, slow, old.

#[path = "support/mod.rs"]
mod stage;

use std::io::{BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use stage::{Connection, Heard, Nginx, Origin, Tidegate, endpoints, front, get, pause, tidegate, wait_until};

/// Tells what it was told of the client.
fn mirror() -> Origin {
    Origin::answering(|heard| Heard::ok(heard.header("x-forwarded-for").unwrap_or("nobody")))
}

fn start(origin: &Origin, server: &str) -> Tidegate {
    Tidegate::start(&front(server, &endpoints(&[origin.address])))
}

/// Connects from an address of its own: all of 127.0.0.0/8 is this machine.
fn open_from(source: [u8; 4], address: SocketAddr) -> Connection {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::from(source), 0)).unwrap();
    connect(&socket, &address).unwrap();
    Connection::over(TcpStream::from(socket)).unwrap()
}

#[test]
fn past_the_limit_of_connections_new_ones_are_told_so_and_old_ones_go_on() {
    let origin = mirror();
    let running = start(&origin, "limits.connections = 3");
    let mut kept: Vec<Connection> = (0..3).map(|_| Connection::open(running.address).unwrap()).collect();
    for connection in &mut kept {
        assert_eq!(connection.get("/").unwrap().status, 200);
    }
    let mut fourth = Connection::open(running.address).unwrap();
    let told = fourth.get("/").unwrap();
    assert_eq!((told.status, told.header("connection")), (503, Some("close")));
    assert!(told.text().contains("too_many_connections"), "{}", told.text());
    assert!(told.header("retry-after").is_some());
    assert_eq!(fourth.rest().unwrap(), b"");
    for connection in &mut kept {
        assert_eq!(connection.get("/").unwrap().status, 200);
    }
    kept.pop();
    wait_until("a place is free again", || get(running.address, "/").is_ok_and(|a| a.status == 200));
    assert!(running.metric("tidegate_connections_refused_total", "too_many_connections") >= 1.0);
}

#[test]
fn a_client_with_too_many_connections_does_not_keep_others_out() {
    let origin = mirror();
    let running = start(&origin, "limits.connections_per_client = 2");
    let mut greedy: Vec<Connection> = (0..2).map(|_| open_from([127, 0, 0, 2], running.address)).collect();
    for connection in &mut greedy {
        assert_eq!(connection.get("/").unwrap().text(), "127.0.0.2");
    }
    let told = open_from([127, 0, 0, 2], running.address).get("/").unwrap();
    assert_eq!(told.status, 429);
    assert!(told.text().contains("too_many_client_connections"), "{}", told.text());
    assert_eq!(open_from([127, 0, 0, 3], running.address).get("/").unwrap().text(), "127.0.0.3");
    greedy.pop();
    wait_until("it has a place again", || {
        open_from([127, 0, 0, 2], running.address).get("/").is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn who_the_client_is_is_believed_only_of_trusted_proxies() {
    let origin = mirror();
    let running = start(&origin, "trusted_proxies = [\"127.0.0.9/32\"]\nlimits.connections_per_client = 2");
    let claim = [("X-Forwarded-For", "203.0.113.7")];
    let mut liar = open_from([127, 0, 0, 2], running.address);
    assert_eq!(liar.request("GET", "/", &claim, b"").unwrap().text(), "127.0.0.2");
    // A trusted hop stands for many clients, so its connections are not counted as one client's.
    let mut hops: Vec<Connection> = (0..4).map(|_| open_from([127, 0, 0, 9], running.address)).collect();
    for hop in &mut hops {
        assert_eq!(hop.request("GET", "/", &claim, b"").unwrap().text(), "203.0.113.7, 127.0.0.9");
    }
}

/// A listener that wants the preamble, from 127.0.0.9 only.
fn behind_balancer(origin: &Origin) -> Tidegate {
    let text = front("trusted_proxies = [\"127.0.0.9/32\"]", &endpoints(&[origin.address]));
    Tidegate::start(&text.replace("\"${LISTEN}\"", "\"${LISTEN}\"\nproxy_protocol = true"))
}

#[test]
fn the_proxy_preamble_names_the_client() {
    let origin = mirror();
    let running = behind_balancer(&origin);
    let first = b"PROXY TCP4 198.51.100.1 127.0.0.1 4321 80\r\n".to_vec();
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    second.extend([198, 51, 100, 2, 127, 0, 0, 1, 0x10, 0xe1, 0, 80]);
    for (preamble, client) in [(first, "198.51.100.1"), (second, "198.51.100.2")] {
        let mut connection = open_from([127, 0, 0, 9], running.address);
        // A preamble may come in pieces, and a request right behind it.
        connection.send(&preamble[..5]).unwrap();
        pause(Duration::from_millis(50));
        connection.send(&preamble[5..]).unwrap();
        for _ in 0..2 {
            assert_eq!(connection.get("/").unwrap().text(), client);
        }
    }
}

#[test]
fn without_a_good_preamble_from_a_trusted_network_nothing_is_answered() {
    let origin = mirror();
    let running = behind_balancer(&origin);
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (source, bytes) in [
        ([127, 0, 0, 9], request.to_owned()),
        ([127, 0, 0, 9], format!("PROXY TCP4 somewhere else 1 2\r\n{request}")),
        ([127, 0, 0, 2], format!("PROXY TCP4 198.51.100.1 127.0.0.1 4321 80\r\n{request}")),
    ] {
        let mut connection = open_from(source, running.address);
        connection.send(&bytes).unwrap();
        // Unread bytes may turn the close into a reset; either way there is not a byte of an answer.
        assert!(connection.take(1).is_err(), "{bytes:?}");
    }
    assert_eq!(origin.accepted(), 0);
    assert!(running.metric("tidegate_connections_refused_total", "") >= 3.0);
}

#[test]
fn unix_sockets_serve_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app.sock");
    let listener = UnixListener::bind(&app).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone()?);
                while let Some(heard) = Heard::read(&mut reader)? {
                    stream.write_all(&Heard::ok(format!("{} over a socket file", heard.line)))?;
                }
                std::io::Result::Ok(())
            });
        }
        std::io::Result::Ok(())
    });
    let text = front("shutdown.lame_duck = \"0s\"", &format!("endpoints = [\"unix:{}\"]", app.display()))
        + "[[listener]]\naddress = \"unix:${FOLDER}/web.sock\"\n";
    let mut running = Tidegate::start(&text);
    let web = running.file("web.sock");
    let mut connection = Connection::open_unix(&web).unwrap();
    for _ in 0..3 {
        assert_eq!(connection.get("/x").unwrap().text(), "GET /x HTTP/1.1 over a socket file");
    }
    assert_eq!(get(running.address, "/").unwrap().status, 200);
    drop(connection);
    running.signal(rustix::process::Signal::TERM);
    assert_eq!(running.wait_for_end().code(), Some(0));
    assert!(!web.exists(), "the socket file is taken away");
}

/// Growth of resident memory that a few slow connections may cause.
const GROWTH_BYTES: u64 = 20 * 1024 * 1024;

/// Looks at the memory of a process for a while, and gives the most it has grown.
fn growth(running: &Tidegate, before: u64) -> u64 {
    let looks = (0..40).map(|_| {
        pause(Duration::from_millis(50));
        running.resident_bytes().saturating_sub(before)
    });
    looks.max().unwrap_or(0)
}

#[test]
fn clients_that_do_not_read_cost_no_memory() {
    let size: usize = 50 * 1024 * 1024;
    let root = tempfile::tempdir().unwrap();
    std::fs::File::create(root.path().join("large")).unwrap().set_len(size as u64).unwrap();
    let nginx = Nginx::files(root.path(), "");
    let running = Tidegate::start(&front("", &endpoints(&[nginx.address])));
    assert_eq!(get(running.address, "/none").unwrap().status, 404);
    let before = running.resident_bytes();
    let mut slow: Vec<Connection> = (0..4).map(|_| Connection::open(running.address).unwrap()).collect();
    for connection in &mut slow {
        connection.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    let grown = growth(&running, before);
    assert!(grown < GROWTH_BYTES, "grown by {grown} bytes");
    // Once they read, they get everything.
    for connection in &mut slow {
        assert_eq!(connection.response(false).unwrap().body.len(), size);
    }
}

#[test]
fn an_app_that_does_not_read_costs_no_memory() {
    let origin = Origin::start(|stream| {
        // Holds the connection without reading from it, until the other side gives up.
        let mut probe = [0];
        while matches!(stream.peek(&mut probe), Ok(read) if read > 0) {
            pause(Duration::from_millis(100));
        }
        Ok(())
    });
    let running = start(&origin, "");
    let before = running.resident_bytes();
    let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut stream = TcpStream::connect(running.address).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let client = {
        let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
        std::thread::spawn(move || {
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 50 * 1024 * 1024);
            stream.write_all(head.as_bytes()).unwrap();
            while !stop.load(Ordering::Relaxed) {
                // It falls short as soon as nobody reads any more.
                sent.fetch_add(stream.write(&[b'x'; 16 * 1024]).unwrap_or(0) as u64, Ordering::Relaxed);
            }
        })
    };
    let grown = growth(&running, before);
    stop.store(true, Ordering::Relaxed);
    client.join().unwrap();
    assert!(grown < GROWTH_BYTES, "grown by {grown} bytes");
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 40 * 1024 * 1024, "the client is held back, it got rid of {sent} bytes");
}

#[test]
fn a_truncated_answer_never_ends_cleanly() {
    let origin = Origin::start(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone()?);
        Heard::read(&mut reader)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbefore\r\n8\r\nthe")
    });
    let running = start(&origin, "");
    let mut old = Connection::open(running.address).unwrap();
    old.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let error = old.response(false).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::ConnectionReset,
        "an end of stream would look like the end of the body"
    );
    let new = get(running.address, "/").unwrap_err();
    assert!(matches!(new.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{new}");
}

/// A Tidegate that may open so many descriptors.
fn with_descriptors(most: u64, origin: &Origin) -> Tidegate {
    Tidegate::start_by(&front("", &endpoints(&[origin.address])), |config| {
        let mut command = std::process::Command::new("sh");
        let program = tidegate().get_program().to_owned();
        let script = format!("ulimit -n {most}; exec \"$0\" run -c \"$1\"");
        command.args(["-c", &script]).arg(program).arg(config);
        command
    })
}

#[test]
fn the_admin_listener_answers_when_clients_have_taken_all_descriptors() {
    let origin = mirror();
    let running = with_descriptors(40, &origin);
    let crowd: Vec<Connection> = (0..40).map(|_| Connection::open(running.address).unwrap()).collect();
    running.wait_for_log("out of descriptors");
    for _ in 0..20 {
        assert_eq!(running.ask(&["status"]).code, 0);
    }
    assert!(!running.log().contains("admin: cannot accept"), "{}", running.log());
    drop(crowd);
    wait_until("there is room again", || get(running.address, "/").is_ok_and(|a| a.status == 200));
}

#[test]
fn few_descriptors_mean_few_connections_and_no_standstill() {
    let origin = mirror();
    let running = with_descriptors(64, &origin);
    running.wait_for_log("connections limited to 16 instead of 16000");
    let mut crowd: Vec<Connection> = (0..60).map(|_| Connection::open(running.address).unwrap()).collect();
    let mut served = 0;
    for connection in &mut crowd {
        if connection.get("/").is_ok_and(|answer| answer.status == 200) {
            served += 1;
        }
    }
    // While the whole crowd is being accepted, a connection to the app may for a moment find no descriptor.
    assert!((12..=16).contains(&served), "{served} of the 16 who have a place were served");
    drop(crowd);
    let complaints = running.log().lines().filter(|line| line.contains("out of descriptors")).count();
    assert!(complaints <= 2, "each thread says it once:\n{}", running.log());
    wait_until("there is room again", || get(running.address, "/").is_ok_and(|a| a.status == 200));
}

#[test]
fn a_head_that_trickles_in_is_timed_out() {
    let origin = mirror();
    let running = start(&origin, "timeouts.head = \"1s\"");
    let mut slow = Connection::open(running.address).unwrap();
    slow.send("GET / HTTP/1.1\r\nHost: x\r\n").unwrap();
    let told = slow.response(false).unwrap();
    assert_eq!((told.status, told.header("connection")), (408, Some("close")));
    // One that never says anything is closed without a word.
    let mut silent = Connection::open(running.address).unwrap();
    assert_eq!(silent.rest().unwrap(), b"");
}
