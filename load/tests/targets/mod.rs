//! Targets that behave well or badly, on loopback, and runs against them.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tidegate_load::Nanos;
use tidegate_load::engine::{self, Clock};
use tidegate_load::failure::Failure;
use tidegate_load::plan::{Model, Part, Plan, Spacing, Stage, Users};
use tidegate_load::record::Record;
use tidegate_load::scenario::quick::{self, Options};

/// An answer that is as it should be.
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A target with a thread for each connection.
pub struct Target {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Target {
    /// A target that does `behave` with each connection, told how many there were before it.
    pub fn new(behave: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped, behave) = (accepted.clone(), stop.clone(), Arc::new(behave));
        let acceptor = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_nodelay(true).unwrap();
                let (number, behave) = (count.fetch_add(1, Ordering::SeqCst), behave.clone());
                // It ends when the other side closes the connection, which the end of a run does.
                thread::spawn(move || behave(stream, number));
            }
        });
        Self { address, accepted, stop, acceptor: Some(acceptor) }
    }

    /// A target that answers every request with these bytes.
    pub fn answering(answer: &'static [u8]) -> Self {
        Self::new(
            move |mut stream, _| {
                while read_request(&mut stream).is_some() && stream.write_all(answer).is_ok() {}
            },
        )
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }
}

/// Reads a request with its body; `None` at the end of the connection. Nothing follows a request before its answer.
pub fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    let mut whole = None;
    while whole.is_none_or(|whole| request.len() < whole) {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&buffer[..count]);
        if whole.is_none()
            && let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next());
            whole = Some(end + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap()));
        }
    }
    Some(String::from_utf8(request).unwrap())
}

/// Ends a connection with a reset.
pub fn reset(stream: TcpStream) {
    let stream = socket2::Socket::from(stream);
    stream.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Requests one after the other over one connection, so many of them.
pub fn closed(address: SocketAddr, requests: u64) -> Plan {
    quick::plan(&Options {
        url: format!("http://{address}/"),
        closed: true,
        connections: Some(1),
        requests: Some(requests),
        timeout: Some("20s".into()),
        seed: Some(7),
        ..Options::default()
    })
    .unwrap()
}

/// Requests at an even rate, for a time.
pub fn open(address: SocketAddr, rate: f64, time: Duration, users: Users) -> Plan {
    Plan {
        model: Model::Open(Spacing::Even),
        stages: vec![Stage { name: "only".into(), duration: time, from: rate, to: rate }],
        requests: None,
        users,
        ..closed(address, 1)
    }
}

/// Carries out all of a plan in this thread.
pub fn run(plan: &Plan) -> Record {
    run_with(plan, Clock::start(), &AtomicBool::new(false))
}

/// Carries out all of a plan in this thread.
pub fn run_with(plan: &Plan, clock: Clock, stop: &AtomicBool) -> Record {
    run_part(plan, Part { index: 0, of: 1 }, clock, stop)
}

/// Carries out a part of a plan in this thread.
pub fn run_part(plan: &Plan, part: Part, clock: Clock, stop: &AtomicBool) -> Record {
    let mut all: Option<Record> = None;
    engine::drive(plan, part, clock, stop, &mut |record| match &mut all {
        Some(all) => all.merge(&record),
        None => all = Some(record),
    })
    .unwrap();
    all.unwrap()
}

/// Requests, those that succeeded, and how the others failed.
pub fn outcome(record: &Record) -> (u64, u64, Vec<(Failure, u64)>) {
    (record.requests(), record.succeeded(), record.failures().ranked())
}

/// A moment of a run, in milliseconds.
pub const fn ms(ms: u64) -> Nanos {
    ms * 1_000_000
}
