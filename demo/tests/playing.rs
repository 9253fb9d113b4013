//! The demo as a person sees it: up with one command, alive when a process dies, gone without a trace.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

const PATIENCE: Duration = Duration::from_mins(1);
/// Demos one after the other: two that start at the same moment may both find the usual ports free.
static STAGE: Mutex<()> = Mutex::new(());

/// A demo that has printed its invitation.
struct Demo {
    process: Child,
    front: String,
    pids: Vec<Pid>,
    /// Where it makes its temporary folder.
    folders: tempfile::TempDir,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Demo {
    fn start(system: &str) -> Self {
        let folders = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_demo"))
            .arg(system)
            .env("TMPDIR", folders.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut front, mut pids) = (String::new(), Vec::new());
        for line in lines.by_ref().map_while(Result::ok) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["page", url] => {
                    url.strip_prefix("http://").unwrap().trim_end_matches('/').clone_into(&mut front);
                }
                [_, _, _, "pid", pid] => pids.push(Pid::from_raw(pid.parse().unwrap()).unwrap()),
                ["Ctrl-C", ..] => break,
                _ => {}
            }
        }
        assert_eq!(pids.len(), 4, "the demo did not start");
        Self { process, front, pids, folders, lines }
    }

    fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(&self.front).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    fn temporary(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.folders.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// Whether a process has ended; one that has, but that nobody has waited for yet, has a Z in its state (proc(5)).
fn is_gone(pid: Pid) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    test_kill_process(pid).is_err() || state.contains(") Z ")
}

#[test]
fn one_process_killed_under_requests_costs_none_of_them() {
    let _alone = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut demo = Demo::start("screener");
    assert!(demo.get("/").contains("Synthetic data"));
    for at in 0..400 {
        if at == 100 {
            kill_process(demo.pids[1], Signal::KILL).unwrap();
        }
        let answer = demo.get(&format!("/api/stocks?per_page=1&page={}", 1 + at % 50));
        assert!(answer.starts_with("HTTP/1.1 200"), "request {at}: {answer}");
    }
    let told = demo.lines.by_ref().map_while(Result::ok).find(|line| line.contains("ended: signal: 9"));
    assert!(told.unwrap().contains("It is not started again; 3 of 4 go on."));

    demo.signal(Signal::INT);
    assert!(demo.ended().success());
    assert!(demo.pids.iter().all(|pid| is_gone(*pid)), "no process is left");
    assert_eq!(demo.temporary(), Vec::<PathBuf>::new(), "no file is left");
    assert!(TcpStream::connect(&demo.front).is_err());
}

#[test]
fn the_personal_site_plays_and_keeps_a_message() {
    let _alone = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut demo = Demo::start("resume");
    assert!(demo.get("/").contains("A synthetic person"));
    let mut stream = TcpStream::connect(&demo.front).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let letter = "name=Ada&email=ada%40example.org&message=Is+the+buoy+yours%3F";
    let length = letter.len();
    let head = "POST /contact HTTP/1.1\r\nhost: demo\r\norigin: http://demo\r\nconnection: close\r\n";
    write!(stream, "{head}content-length: {length}\r\n\r\n{letter}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("/contact/thanks"), "{answer}");
    // Whichever process answers, it sees what another one stored.
    for _ in 0..8 {
        assert!(demo.get("/ready").contains("1 messages"));
    }
    demo.signal(Signal::TERM);
    assert!(demo.ended().success());
    assert!(demo.pids.iter().all(|pid| is_gone(*pid)), "no process is left");
}

#[test]
fn children_end_even_when_the_demo_is_killed() {
    let _alone = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut demo = Demo::start("screener");
    demo.signal(Signal::KILL);
    demo.ended();
    for pid in demo.pids.clone() {
        eventually("the app ends", || is_gone(pid));
    }
    eventually("Tidegate ends", || TcpStream::connect(&demo.front).is_err());
}

#[test]
fn sigterm_during_the_start_leaves_nothing_behind() {
    let _alone = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let folders = tempfile::tempdir().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_demo"))
        .env("TMPDIR", folders.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("Starting"));
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    assert!(process.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(folders.path()).unwrap().count(), 0);
}
