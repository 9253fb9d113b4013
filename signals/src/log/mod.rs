//! The access log: one line per finished request, and never a reason to hold traffic up.
//!
//! ```text
//!   core 0: LogHandle, buffer ──┐  full, or tick
//!   core 1: LogHandle, buffer ──┼───────────────▶ bounded queue ──▶ writer thread ──▶ file or standard output
//!   …                           │  (queue full: the lines are dropped and counted)
//! ```
//!
//! A core formats into a buffer of its own: no lock, no system call, and no allocation once the buffers have their
//! size. Only the writer thread waits for the disk. When the disk is full or the reader of a pipe is gone, lines are
//! lost and counted; one warning says so when it begins, and one note when it is over.

mod clock;
mod escape;
mod handle;
mod line;
mod sample;
mod writer;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

pub use handle::LogHandle;

use crate::names::Signals;
use writer::{Queue, Sink};

/// How long the log waits for its last lines to reach the disk when it is closed.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// How an access log is written.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// File to append to; `None` is standard output.
    pub path: Option<PathBuf>,
    /// Form of a line.
    pub format: Format,
    /// Share of requests written by class of status, 0.0 to 1.0: index 0 is 1xx, 4 is 5xx. A request that ended before
    /// a status was sent counts as 4xx when the client ended it, otherwise as 5xx.
    pub sample: [f64; 5],
}

/// Form of an access log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One JSON object per line (RFC 8259).
    Json,
    /// The combined log format that web servers share; behind it the termination state, the seconds that the request
    /// took, and in quotes route, upstream, endpoint and what the cache did. Its size is every byte sent, head included.
    Combined,
}

/// An open access log. Handles write to it from the cores; closing or dropping it writes what they handed over.
/// Drop the handles first: what a handle still holds when its log is closed is dropped and counted.
pub struct AccessLog {
    queue: Arc<Queue>,
    settings: Settings,
    thread: Option<JoinHandle<()>>,
    done: Receiver<()>,
}

impl AccessLog {
    /// Opens the file and starts the writer thread. Lines are counted in `signals`, across every log ever opened.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or the thread cannot be started.
    pub fn open(settings: Settings, signals: &Signals) -> io::Result<Self> {
        let sink = match &settings.path {
            Some(path) => Sink::file(path.clone())?,
            None => Sink::standard_output(),
        };
        Self::over(sink, settings, Arc::clone(&signals.log))
    }

    fn over(sink: Sink, settings: Settings, tally: Arc<Tally>) -> io::Result<Self> {
        let (queue, thread, done) = writer::start(sink, tally)?;
        Ok(Self { queue, settings, thread: Some(thread), done })
    }

    /// A handle for one core.
    pub fn handle(&self) -> LogHandle {
        LogHandle::new(Arc::clone(&self.queue), &self.settings)
    }

    /// Opens the file anew under its path, after something has moved it away. Returns at once; the writer does it
    /// before its next write. When the file cannot be opened, the old one stays in use and a warning says why.
    pub fn reopen(&self) {
        self.queue.reopen();
    }

    /// How the log is written.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Writes everything that the handles have handed over, then ends the writer; the same as dropping the log. After
    /// five seconds a disk that hangs is left to itself.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.queue.close();
        // The writer drops its end of `done` when it has written everything; that is what is waited for.
        let is_done =
            self.done.recv_timeout(CLOSE_PATIENCE) != Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        match self.thread.take() {
            Some(thread) if is_done => drop(thread.join()),
            _ => {
                tracing::warn!("access log: the last lines did not reach the disk within {CLOSE_PATIENCE:?}");
            }
        }
    }
}

/// What became of access log lines.
#[derive(Default, Debug)]
pub(crate) struct Tally {
    written: AtomicU64,
    sampled_out: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    pub(crate) fn counts(&self) -> [(&'static str, u64); 4] {
        [
            ("written", self.written.load(Relaxed)),
            ("sampled_out", self.sampled_out.load(Relaxed)),
            ("dropped", self.dropped.load(Relaxed)),
            ("failed", self.failed.load(Relaxed)),
        ]
    }
}

#[cfg(test)]
mod tests;
