//! The real program on a free port with a database of its own, and a client that speaks just enough HTTP to see
//! every byte of an answer.

// Each test file is a program of its own and uses its own part of this one.
#![allow(dead_code)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that anything here may take; a test that waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// What the programs here take as their import token.
pub const TOKEN: &str = "let-me-in";

/// A running screener; killed when it drops.
pub struct Screener {
    child: Child,
    pub address: SocketAddr,
    log: Receiver<String>,
    /// What it has logged so far, as it was read.
    pub logged: Vec<String>,
}

/// A screener that is on its way up.
pub struct Starting {
    child: Child,
    log: Receiver<String>,
}

/// Starts a screener over `database` with further options, without waiting for it.
pub fn spawn(database: &Path, options: &[&str]) -> Starting {
    let mut child = Command::new(env!("CARGO_BIN_EXE_screener"))
        .args(["--threads", "2"])
        .args(options)
        .env("PORT", "0")
        .env("DATABASE_URL", database)
        .env_remove("RUST_LOG")
        .env("SCREENER_IMPORT_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (sender, log) = channel();
    // The log must be read to its end, or the program would block on a full pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    Starting { child, log }
}

/// Starts a screener over `database` and waits until it listens.
pub fn start(database: &Path, options: &[&str]) -> Screener {
    spawn(database, options).listening()
}

impl Starting {
    /// Waits until it listens.
    pub fn listening(self) -> Screener {
        let mut logged = Vec::new();
        loop {
            let Ok(line) = self.log.recv_timeout(PATIENCE) else {
                panic!("the screener does not listen: {logged:#?}");
            };
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            logged.push(line);
            if event["message"] == "listening" {
                let address = event["address"].as_str().unwrap().parse().unwrap();
                return Screener { child: self.child, address, log: self.log, logged };
            }
        }
    }

    /// Waits until it gives up, and returns how and what it said.
    pub fn failing(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.log.iter().collect::<Vec<_>>().join("\n"))
    }
}

impl Screener {
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub fn ended(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        self.logged.extend(self.log.iter());
        status
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], b"")
    }

    /// The JSON of a target that must answer 200.
    pub fn json(&self, target: &str) -> Value {
        let answer = self.get(target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(&request(method, target, headers, body)).unwrap();
        Answer::read(&mut stream, method == "HEAD")
    }

    pub fn post_json(&self, target: &str, body: &Value) -> Answer {
        self.ask("POST", target, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    pub fn import(&self, target: &str, csv: &[u8]) -> Answer {
        let authorization = format!("Bearer {TOKEN}");
        self.ask("POST", target, &[("authorization", &authorization), ("content-type", "text/csv")], csv)
    }
}

impl Drop for Screener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A whole request that asks for the connection to be closed after its answer.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("{method} {target} HTTP/1.1\r\nhost: screener\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    if !body.is_empty() || method == "POST" {
        bytes.extend(format!("content-length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// An answer, head and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads to the end of the connection and checks that nothing is missing from the body.
    pub fn read(stream: &mut TcpStream, is_head: bool) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let answer = Self { status, headers, body: bytes[end + 4..].to_vec() };
        if let Some(length) = answer.header("content-length") {
            let wanted = if is_head { 0 } else { length.parse().unwrap() };
            assert_eq!(answer.body.len(), wanted, "the body is whole");
        }
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The fields that a problem names, with their lines where they have one.
    pub fn named(&self) -> Vec<(Option<u64>, String)> {
        let problem = self.json();
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no errors in {problem}"));
        errors
            .iter()
            .map(|error| (error["line"].as_u64(), error["field"].as_str().unwrap().to_owned()))
            .collect()
    }
}

/// Asks again and again until `is_so`, which must come to pass.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// A small random source, so that a failing case can be run again from the seed that it prints.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        // Xorshift (Marsaglia 2003); any seed but zero.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
