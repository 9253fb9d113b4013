//! A real program of an app on a free port, and a client that speaks just enough HTTP to see every byte of an answer.
//!
//! What goes wrong in here fails the test that asked for it.
#![allow(clippy::missing_panics_doc)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that anything here may take; a test that waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running program; killed when it drops.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: Receiver<String>,
    /// What it has logged so far, as it was read.
    pub logged: Vec<String>,
}

/// A program that is on its way up.
#[derive(Debug)]
pub struct Starting {
    child: Child,
    log: Receiver<String>,
}

/// Starts a program of an app without waiting for it, on a free port and with the usual log.
///
/// # Panics
///
/// When it cannot be started.
pub fn spawn(command: &mut Command) -> Starting {
    let mut child = command
        .env("PORT", "0")
        .env_remove("RUST_LOG")
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

impl Starting {
    /// Waits until it listens.
    pub fn listening(self) -> Program {
        let mut logged = Vec::new();
        loop {
            let Ok(line) = self.log.recv_timeout(PATIENCE) else {
                panic!("the program does not listen: {logged:#?}");
            };
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            logged.push(line);
            if event["message"] == "listening" {
                let address = event["address"].as_str().unwrap().parse().unwrap();
                return Program { child: self.child, address, log: self.log, logged };
            }
        }
    }

    /// Waits until it gives up, and returns how and what it said.
    pub fn failing(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.log.iter().collect::<Vec<_>>().join("\n"))
    }
}

impl Program {
    /// Sends it a signal.
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

    /// A fresh connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The answer to a GET.
    pub fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], b"")
    }

    /// The JSON of a target that must answer 200.
    pub fn json(&self, target: &str) -> Value {
        let answer = self.get(target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    /// The answer to a request, on a connection of its own.
    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(&request(method, target, headers, body)).unwrap();
        Answer::read(&mut stream, method == "HEAD")
    }

    /// The answer to a POST of JSON.
    pub fn post_json(&self, target: &str, body: &Value) -> Answer {
        self.ask("POST", target, &[("content-type", "application/json")], body.to_string().as_bytes())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A whole request that asks for the connection to be closed after its answer.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nhost: app\r\nconnection: close\r\n").into_bytes();
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
    /// Its status.
    pub status: u16,
    /// Its header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
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

    /// The first header line of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
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
