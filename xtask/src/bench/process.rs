//! A process that ends when its guard does, pinned to one core.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::problem::{OrProblem, Problem};

use super::group;

/// The core that the measured server runs on.
pub(crate) const SERVER_CORE: u32 = 0;
/// The core that the load generator and the origin share.
pub(crate) const LOAD_CORE: u32 = 1;

/// How long a server may take until it accepts, and to leave after it was asked to.
const PATIENCE: Duration = Duration::from_secs(20);

/// A started server; dropping it ends it, by its own process id.
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts a command with its output in a file.
    pub(crate) fn start(mut command: Command, name: &str, log: &Path) -> Result<Self, Problem> {
        let file = File::create(log).problem(&format!("create {}", log.display()))?;
        let errors = file.try_clone().problem("open a log twice")?;
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        Ok(Self { child: child.problem(&format!("start {name}"))?, name: name.to_owned() })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the port accepts; fails when the process ends first or takes too long.
    pub(crate) fn wait_for_port(&mut self, port: u16, log: &Path) -> Result<(), Problem> {
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = self.child.try_wait().problem(&format!("watch {}", self.name))?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let fate =
                    ended.map_or_else(|| "does not accept".to_owned(), |status| format!("ended ({status})"));
                return Err(Problem::new(format!("{} {fate}\n{}", self.name, said.trim_end())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits until the process ends by itself.
    pub(crate) fn wait(&mut self) -> Result<(), Problem> {
        self.child.wait().problem(&format!("wait for {}", self.name)).map(drop)
    }

    /// Asks the process to leave and waits; a process that stays is killed.
    fn end(&mut self) {
        self.signal(Signal::TERM);
        let asked = Instant::now();
        // Servers drain before they leave; their idle connections are ours, so nobody is waiting for that.
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > Duration::from_millis(500) {
                for id in super::procfs::tree(self.id()) {
                    if let Some(pid) = Pid::from_raw(id.cast_signed()) {
                        // A process that left by itself in the meantime is what is wanted.
                        let _ = kill_process(pid, Signal::KILL);
                    }
                }
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Collects the exit status, so that no zombie stays.
        let _ = self.child.wait();
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.id().cast_signed()) {
            // A process that has gone needs no signal.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A command that will run on one core; the process keeps the id that it is started with.
///
/// It ends with the bench, also when that is ended without a chance to drop its guards.
pub(crate) fn pinned(core: u32, program: &Path) -> Result<Command, Problem> {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    group::join(&mut command)?;
    Ok(command)
}

/// A port of the loopback address that nobody listens on, and that was not given to anybody before.
pub(crate) fn free_port() -> Result<u16, Problem> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).problem("find a free port")?;
        let port = listener.local_addr().problem("find a free port")?.port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ends_with_its_guard() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; while :; do read -r line < /dev/null; done"]);
        let process = Process::start(command, "loop", &folder.path().join("log")).expect("starts");
        let id = process.id();
        assert!(Path::new(&format!("/proc/{id}")).exists());
        drop(process);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn a_server_that_ends_at_once_is_told_with_its_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such file; exit 2"]);
        let mut process = Process::start(command, "peer", &log).expect("starts");
        let problem = process.wait_for_port(free_port().expect("a port"), &log).expect_err("ended");
        assert_eq!(problem.what(), "peer ended (exit status: 2)\nno such file");
    }
}
