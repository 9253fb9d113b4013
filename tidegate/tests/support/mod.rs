//! The stage on which the end-to-end tests play: a real Tidegate with its configuration, real nginx, scripted
//! origins, and clients on plain sockets. Whatever a test starts ends with it, also when it fails.
//!
//! A configuration names its addresses `${LISTEN}` and `${ADMIN}`; the stage gives each process ports of its own.
#![allow(dead_code, unused_imports)] // Each test program uses its own part of the stage.

mod http;
mod nginx;
mod origin;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub use http::{Connection, Response, get, request};
pub use nginx::Nginx;
pub use origin::{Heard, Origin};

/// How long anything may take on a loaded machine before it counts as not happening.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test.
pub fn tidegate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env("NO_COLOR", "1").env_remove("TIDEGATE_ADMIN").env_remove("TIDEGATE_LOG").stdin(Stdio::null());
    command
}

/// Runs the program under test to its end.
pub fn ask(args: &[&str]) -> Said {
    Said::from(tidegate().args(args).output().expect("tidegate can be started"))
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("it speaks UTF-8"),
            err: String::from_utf8(output.stderr).expect("it speaks UTF-8"),
        }
    }
}

/// A configuration with one listener, one upstream `app` and one route: `server` and `upstream` hold keys of their
/// tables.
pub fn front(server: &str, upstream: &str) -> String {
    format!(
        "[server]\nadmin = \"${{ADMIN}}\"\nthreads = 2\n{server}\n\n[[listener]]\naddress = \"${{LISTEN}}\"\n\n\
         [upstream.app]\n{upstream}\n\n[[route]]\nupstream = \"app\"\n"
    )
}

/// `endpoints = [...]` for these addresses.
pub fn endpoints(addresses: &[SocketAddr]) -> String {
    let quoted: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("endpoints = [{}]", quoted.join(", "))
}

/// A running Tidegate; killed when dropped.
pub struct Tidegate {
    /// Where `${LISTEN}` listens.
    pub address: SocketAddr,
    /// Where `${ADMIN}` listens.
    pub admin: SocketAddr,
    child: Child,
    out: Log,
    log: Log,
    folder: TempDir,
}

impl Tidegate {
    /// Starts with a configuration and waits until it is ready.
    pub fn start(config: &str) -> Self {
        Self::start_by(config, |config| {
            let mut command = tidegate();
            command.args(["run", "-c"]).arg(config);
            command
        })
    }

    /// Starts with a configuration by a command of the test's own.
    pub fn start_by(config: &str, command: impl FnOnce(&Path) -> Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("tidegate.toml");
        std::fs::write(&file, config).expect("a file can be written");
        Self::spawn(command(&file), free_address(), free_address(), folder)
    }

    /// Starts a command that listens on these addresses, and waits until it is ready.
    pub fn spawn(mut command: Command, address: SocketAddr, admin: SocketAddr, folder: TempDir) -> Self {
        command
            .env("LISTEN", address.to_string())
            .env("ADMIN", admin.to_string())
            .env("FOLDER", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("tidegate can be started");
        let out = Log::of(child.stdout.take().expect("standard output is piped"));
        let log = Log::of(child.stderr.take().expect("standard error is piped"));
        let mut this = Self { address, admin, child, out, log, folder };
        wait_until("tidegate is ready", || {
            if let Ok(Some(status)) = this.child.try_wait() {
                panic!("tidegate ended with {status}:\n{}", this.log.text());
            }
            request(this.admin, "GET", "/ready", &[], b"").is_ok_and(|answer| answer.status == 200)
        });
        this
    }

    /// The file that it runs by.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    /// A file beside its configuration; `${FOLDER}` names the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces its configuration in one step, as editors do; nothing is reloaded by that.
    pub fn write_config(&self, text: &str) {
        let fresh = self.file("tidegate.toml.new");
        std::fs::write(&fresh, text).expect("a file can be written");
        std::fs::rename(fresh, self.config()).expect("a file can be renamed");
    }

    /// What it has written to standard output.
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// What it has said on standard error.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until it has said `text` on standard error.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} is logged"), || self.log.text().contains(text));
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until("tidegate ends", || {
            ended = self.child.try_wait().expect("a child can be waited for");
            ended.is_some()
        });
        ended.expect("it has ended")
    }

    /// Runs a command of the command line against its admin listener.
    pub fn ask(&self, args: &[&str]) -> Said {
        let admin = self.admin.to_string();
        Said::from(tidegate().args(args).args(["--admin", &admin]).output().expect("tidegate can be started"))
    }

    /// The answer of `/status`.
    pub fn status(&self) -> Value {
        let answer = request(self.admin, "GET", "/status", &[], b"").expect("the admin listener answers");
        serde_json::from_slice(&answer.body).expect("the status is JSON")
    }

    /// State of the endpoint at this address.
    pub fn state_of(&self, endpoint: &str) -> String {
        let status = self.status();
        let upstreams = status["upstreams"].as_array().expect("upstreams are listed");
        let mut endpoints =
            upstreams.iter().flat_map(|upstream| upstream["endpoints"].as_array().into_iter().flatten());
        endpoints
            .find(|known| known["address"] == endpoint)
            .map_or_else(|| "unknown".to_owned(), |known| known["state"].as_str().unwrap_or("").to_owned())
    }

    /// Sum of the samples of a metric whose labels contain `labels`.
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let answer = request(self.admin, "GET", "/metrics", &[], b"").expect("the admin listener answers");
        sum(&answer.text(), name, labels)
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        end(&mut self.child);
        if std::thread::panicking() {
            eprintln!("--- tidegate said:\n{}---", self.log.text());
        }
    }
}

/// Sum of the samples of a metric on a page of `/metrics`.
pub fn sum(page: &str, name: &str, labels: &str) -> f64 {
    page.lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
        .filter(|line| line.contains(labels))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Kills a child and waits for its end.
pub fn end(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Sends a signal to a process that the test started.
pub fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process id");
    kill_process(pid, signal).expect("the process takes signals");
}

/// Waits until `condition` holds. Other processes have no event for it, so it is looked at now and then.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        pause(Duration::from_millis(20));
    }
}

/// Lets time pass, where the passing of time is what is played.
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A loopback address that nothing listens on. Its port is below those that the kernel gives to outgoing
/// connections, so nobody takes it meanwhile.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() as u16;
    for _ in 0..10_000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + start.wrapping_mul(37).wrapping_add(step) % 20_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port between 12000 and 32000");
}

/// What a process says, gathered while it runs.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Gathers everything that comes from `source`.
    pub fn of(mut source: impl Read + Send + 'static) -> Self {
        let this = Self::default();
        let log = this.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read) = source.read(&mut piece) {
                if read == 0 {
                    return;
                }
                log.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..read]);
            }
        });
        this
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
