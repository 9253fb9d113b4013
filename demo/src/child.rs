//! Processes that the stage starts: how they begin, how they are asked to end, and how they end when the stage
//! itself is gone.
//!
//! The stage holds the writing end of each child's standard input and never writes. When the stage ends, in
//! whatever way, the kernel closes that end; the child reads the end of its input and sends itself SIGTERM. This
//! needs no signal that only Linux has, and no code between fork and exec.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};
use tokio::process::{ChildStdin, Command};

/// Set for the stage's children, and only for them.
const STAGE: &str = "DEMO_STAGE";
/// The lines of a log that are shown when a child fails.
const LOG_TAIL_LINES: usize = 15;

/// A process that the stage has started.
pub(crate) struct Child {
    /// What people call it.
    pub(crate) name: String,
    /// Its process id.
    pub(crate) pid: u32,
    process: tokio::process::Child,
    /// Held, never written: closing it tells the child that the stage is gone.
    _lifeline: Option<ChildStdin>,
    log: PathBuf,
}

impl Child {
    /// Starts this executable again with `args`; its output goes to a file in `folder`.
    ///
    /// The child gets its own process group, so that a Ctrl-C in the terminal reaches only the stage, which then
    /// stops its children in order.
    pub(crate) fn start<A: AsRef<OsStr>>(
        name: &str,
        folder: &Path,
        args: impl IntoIterator<Item = A>,
        environment: &[(String, String)],
    ) -> std::io::Result<Self> {
        let log = folder.join(format!("{name}.log").replace(' ', "-"));
        let output = File::create(&log)?;
        let mut process = Command::new(std::env::current_exe()?)
            .args(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env(STAGE, "1")
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let lifeline = process.stdin.take();
        let pid = process.id().expect("a process that was not waited for has an id");
        Ok(Self { name: name.to_owned(), pid, process, _lifeline: lifeline, log })
    }

    /// Waits until it ends.
    pub(crate) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Asks it to end, waits up to `patience`, and kills it then.
    pub(crate) async fn stop(&mut self, patience: Duration) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It was not waited for, so the id still names this process and no other.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(patience, self.process.wait()).await.is_err() {
            eprintln!("{} did not stop within {} s and is killed", self.name, patience.as_secs());
            let _ = self.process.kill().await;
        }
    }

    /// The last lines that it wrote.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

/// In a child of the stage: from now on the process ends when the stage does. Elsewhere nothing happens.
pub(crate) fn end_with_the_stage() {
    if std::env::var_os(STAGE).is_none() {
        return;
    }
    let watch = || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = kill_process(getpid(), Signal::TERM);
    };
    // Without this thread the child would only outlive a stage that was killed; it can still be stopped.
    let _ = std::thread::Builder::new().name("stage-watch".to_owned()).spawn(watch);
}
