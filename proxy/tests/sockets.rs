//! What only real sockets have: connections that are served before they join the event loop, resets,
//! listeners that come and go. Everything else is in the scenes, in paused time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use config::{ListenAddress, Plan};
use signals::Signals;
use tidegate_proxy::Server;

/// Nothing in here takes this long unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// An origin on a thread of its own: every connection is played by `play`.
fn origin(play: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let play = play.clone();
            thread::spawn(move || play(stream));
        }
    });
    address
}

/// Reads a head; false at the end of the stream.
fn head(stream: &mut impl Read) -> bool {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => return false,
        }
    }
    true
}

fn answer_all(mut stream: TcpStream) {
    while head(&mut stream) {
        let sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        if sent.is_err() {
            return;
        }
    }
}

fn plan(listeners: &[&str], endpoint: &str) -> Plan {
    let tables: Vec<String> =
        listeners.iter().map(|address| format!("[[listener]]\naddress = \"{address}\"\n")).collect();
    let text = format!(
        "{}[server]\nthreads = 2\nadmin = \"off\"\n[upstream.app]\nendpoints = [\"{endpoint}\"]\n\
         [[route]]\nupstream = \"app\"\nretry = \"off\"",
        tables.concat()
    );
    let missing = |_: &Path| Err(ErrorKind::NotFound.into());
    match config::parse(&text, "tidegate.toml", &|_| None, &missing) {
        Ok(loaded) => loaded.plan,
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

fn start(plan: Plan) -> Server {
    Server::start(plan, Signals::new(3)).unwrap_or_else(|error| panic!("{error}"))
}

fn stop(server: Server) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(server.shut_down(PATIENCE))
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address().expect("a listener")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Asks and reads a response with the body `hello`.
fn ask(stream: &mut (impl Read + Write)) {
    stream.write_all(GET).expect("sent");
    assert!(head(stream));
    let mut body = [0; 5];
    stream.read_exact(&mut body).expect("a body");
    assert_eq!(&body, b"hello");
}

#[test]
fn a_connection_is_served_request_after_request() {
    let server = start(plan(&["127.0.0.1:0"], &origin(answer_all).to_string()));
    let mut client = connect(&server);
    for _ in 0..20 {
        ask(&mut client);
    }
    for _ in 0..20 {
        ask(&mut connect(&server));
    }
    drop(client);
    assert_eq!(stop(server), 0);
}

#[test]
fn a_request_that_is_there_with_the_connection_is_answered_and_closed() {
    let server = start(plan(&["127.0.0.1:0"], &origin(answer_all).to_string()));
    let mut client = connect(&server);
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
    let mut all = String::new();
    client.read_to_string(&mut all).expect("a clean end");
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.ends_with("hello"), "{all}");
    drop(client);
    assert_eq!(stop(server), 0);
}

#[test]
fn a_connection_that_has_to_wait_is_watched_and_served_all_the_same() {
    let (tell, told) = mpsc::channel();
    let (finish, finished) = mpsc::channel();
    let finished = Arc::new(Mutex::new(finished));
    let waits = move |mut stream: TcpStream| {
        if !head(&mut stream) {
            return;
        }
        // The first to come is answered late, the second waits until Tidegate closes.
        let first = finished.try_lock();
        tell.send("asked").expect("somebody listens");
        if let Ok(finished) = first {
            finished.recv_timeout(PATIENCE).expect("the other client left");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("sent");
        } else if matches!(stream.read(&mut [0]), Ok(0) | Err(_)) {
            tell.send("left").expect("somebody listens");
        }
    };
    let server = start(plan(&["127.0.0.1:0"], &origin(waits).to_string()));
    let mut patient = connect(&server);
    let waiting = thread::spawn(move || ask(&mut patient));
    assert_eq!(told.recv_timeout(PATIENCE), Ok("asked"));
    let mut hasty = connect(&server);
    hasty.write_all(GET).expect("sent");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("asked"));
    let since = Instant::now();
    drop(hasty);
    assert_eq!(told.recv_timeout(PATIENCE), Ok("left"));
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    finish.send(()).expect("the origin waits");
    waiting.join().expect("the response came");
    assert_eq!(stop(server), 0);
}

#[test]
fn a_truncated_response_ends_in_a_reset() {
    let (tell, told) = mpsc::channel();
    let told = Arc::new(Mutex::new(told));
    let breaks = move |mut stream: TcpStream| {
        if head(&mut stream) {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").expect("sent");
            told.lock().expect("a lock").recv_timeout(PATIENCE).expect("half of it arrived");
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("linger");
        }
    };
    let server = start(plan(&["127.0.0.1:0"], &origin(breaks).to_string()));
    let mut client = connect(&server);
    // A client of HTTP/1.0 knows the end of a body by the end of the connection alone.
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
    assert!(head(&mut client));
    client.read_exact(&mut [0; 4]).expect("half");
    tell.send(()).expect("the origin waits");
    let error = client.read_to_end(&mut Vec::new()).expect_err("a clean end would be a lie");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(stop(server), 0);
}

#[test]
fn a_refused_request_is_told_before_its_connection_ends() {
    let server = start(plan(&["127.0.0.1:0"], &origin(answer_all).to_string()));
    let mut client = connect(&server);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").expect("sent");
    // Unread bytes must not turn the answer into a reset.
    client.write_all(&vec![b'x'; 100_000]).expect("sent");
    let mut all = String::new();
    client.read_to_string(&mut all).expect("a clean end");
    assert!(all.starts_with("HTTP/1.1 400 "), "{all}");
    drop(client);
    assert_eq!(stop(server), 0);
}

#[test]
fn both_sides_can_be_paths() {
    let folder = tempfile::tempdir().expect("a folder");
    let (front, behind) = (folder.path().join("front.sock"), folder.path().join("app.sock"));
    let listener = UnixListener::bind(&behind).expect("a path");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            while head(&mut stream) {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("sent");
            }
        }
    });
    let listen = format!("unix:{}", front.display());
    let server = start(plan(&[&listen], &format!("unix:{}", behind.display())));
    assert_eq!(server.addresses(), [ListenAddress::Unix(front.clone())]);
    let mut client = UnixStream::connect(&front).expect("a connection");
    for _ in 0..3 {
        ask(&mut client);
    }
    drop(client);
    assert_eq!(stop(server), 0);
    assert!(!front.exists(), "the path is taken away with the listener");
}

#[test]
fn an_address_that_is_taken_is_said_to_be() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let error = Server::start(plan(&[&address], "127.0.0.1:1"), Signals::new(3)).err().expect("it is taken");
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot listen on {address}: address already in use")), "{text}");
}

#[test]
fn a_reload_opens_and_closes_listeners_and_keeps_connections() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = format!("unix:{}", folder.path().join("one").display());
    let two = format!("unix:{}", folder.path().join("two").display());
    let endpoint = origin(answer_all).to_string();
    let server = start(plan(&[&one], &endpoint));
    let mut old = UnixStream::connect(folder.path().join("one")).expect("a connection");
    ask(&mut old);
    server.reload(plan(&[&two], &endpoint)).unwrap_or_else(|error| panic!("{error}"));
    ask(&mut old);
    ask(&mut UnixStream::connect(folder.path().join("two")).expect("a connection"));
    assert!(UnixStream::connect(folder.path().join("one")).is_err());
    drop(old);
    assert_eq!(stop(server), 0);
}

#[test]
fn a_listener_that_goes_and_comes_back_at_once_is_open() {
    let app = origin(answer_all).to_string();
    // No connection of another test begins at this address.
    let free = TcpListener::bind("127.0.0.77:0").expect("a port").local_addr().expect("an address");
    let (without, with) = (plan(&["127.0.0.1:0"], &app), plan(&["127.0.0.1:0", &free.to_string()], &app));
    let server = start(with.clone());
    for _ in 0..20 {
        // No core need have come to close its socket by the time that the address is wanted again.
        server.reload(without.clone()).unwrap_or_else(|error| panic!("{error}"));
        server.reload(with.clone()).unwrap_or_else(|error| panic!("{error}"));
    }
    ask(&mut TcpStream::connect(free).expect("a connection"));
    server.reload(without).unwrap_or_else(|error| panic!("{error}"));
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(free).is_ok() {
        assert!(Instant::now() < end, "it is never closed");
    }
    let _taken = TcpListener::bind(free).expect("it is free again");
    let error = server.reload(with).expect_err("another one has it");
    assert!(error.to_string().contains("another process listens there"), "{error}");
    assert_eq!(stop(server), 0);
}

#[test]
fn one_port_is_listened_on_at_all_addresses_and_at_one_of_them() {
    let endpoint = origin(answer_all).to_string();
    let server = start(plan(&["127.0.0.1:0"], &endpoint));
    let one = server.address().expect("a listener").to_string();
    let all = one.replace("127.0.0.1", "0.0.0.0");
    for listeners in [&[&all[..]][..], &[&one], &[&all, &one]] {
        server.reload(plan(listeners, &endpoint)).unwrap_or_else(|error| panic!("{listeners:?}: {error}"));
        assert_eq!(server.addresses().len(), listeners.len());
    }
    assert_eq!(stop(server), 0);
    let server = start(plan(&[&all, &one], &endpoint));
    ask(&mut TcpStream::connect(&one).expect("a connection"));
    assert_eq!(stop(server), 0);
}

#[test]
fn a_reload_that_cannot_be_carried_out_changes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let endpoint = origin(answer_all).to_string();
    let server = start(plan(&["127.0.0.1:0"], &endpoint));
    let mut client = connect(&server);
    ask(&mut client);
    assert!(server.reload(plan(&["127.0.0.1:0", &address], "127.0.0.1:1")).is_err());
    ask(&mut client);
    ask(&mut connect(&server));
    drop(client);
    assert_eq!(stop(server), 0);
}

#[test]
fn a_shutdown_waits_for_what_is_in_flight() {
    let (ask, asked) = mpsc::channel();
    let (finish, finished) = mpsc::channel();
    let finished = Arc::new(Mutex::new(finished));
    let slow = move |mut stream: TcpStream| {
        if head(&mut stream) {
            ask.send(()).expect("somebody listens");
            finished.lock().expect("a lock").recv_timeout(PATIENCE).expect("it drains");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("sent");
        }
    };
    let server = start(plan(&["127.0.0.1:0"], &origin(slow).to_string()));
    let mut client = connect(&server);
    client.write_all(GET).expect("sent");
    asked.recv_timeout(PATIENCE).expect("the request is in flight");
    let shared = Arc::clone(server.shared());
    let stopping = thread::spawn(move || stop(server));
    while !shared.is_draining() {
        thread::yield_now();
    }
    finish.send(()).expect("the origin waits");
    let mut all = String::new();
    client.read_to_string(&mut all).expect("a clean end");
    assert!(all.contains("Connection: close\r\n") && all.ends_with("hello"), "{all}");
    drop(client);
    assert_eq!(stopping.join().expect("stopped"), 0);
}
