//! The thread that waits for the disk, and the queue in front of it.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::Tally;

/// Batches that wait for the writer, of some 64 KiB each: 16 MiB, a few seconds of a slow disk.
const QUEUE_BATCHES: usize = 256;

/// Empty buffers kept for the cores; more go back to the allocator.
const SPARE_BATCHES: usize = 64;

/// Memory of a batch: what makes it full, and room for the line that does.
const BATCH_BYTES: usize = super::handle::FULL_BYTES + 8 * 1024;

/// Lines on their way to the writer.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

/// What cores and writer share. Its lock is taken once per batch, never per line.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    is_reopening: AtomicBool,
    seed: AtomicU64,
    pub(super) tally: Arc<Tally>,
}

struct State {
    batches: VecDeque<Batch>,
    spare: Vec<Batch>,
    is_closed: bool,
    /// A warning was given that lines are dropped; the next one waits until the queue was empty again.
    is_dropping: bool,
}

impl Queue {
    fn new(tally: Arc<Tally>) -> Self {
        let state = State {
            batches: VecDeque::with_capacity(QUEUE_BATCHES),
            spare: Vec::with_capacity(SPARE_BATCHES),
            is_closed: false,
            is_dropping: false,
        };
        let (changed, is_reopening, seed) = (Condvar::new(), AtomicBool::new(false), AtomicU64::new(0));
        Self { state: Mutex::new(state), changed, is_reopening, seed, tally }
    }

    /// Puts a batch into the queue; when the queue is full or closed its lines are dropped and counted.
    pub(super) fn push(&self, mut batch: Batch) {
        let mut state = self.lock();
        if !state.is_closed && state.batches.len() < QUEUE_BATCHES {
            state.batches.push_back(batch);
            drop(state);
            self.changed.notify_one();
            return;
        }
        self.tally.dropped.fetch_add(batch.lines, Ordering::Relaxed);
        let is_first = !core::mem::replace(&mut state.is_dropping, true);
        batch.clear();
        state.keep(batch);
        drop(state);
        if is_first {
            tracing::warn!("access log: the disk falls behind, lines are dropped until it catches up");
        }
    }

    /// An empty buffer, used before where there is one.
    pub(super) fn fresh(&self) -> Batch {
        let spare = self.lock().spare.pop();
        spare.unwrap_or_else(|| Batch { bytes: Vec::with_capacity(BATCH_BYTES), lines: 0 })
    }

    pub(super) fn next_seed(&self) -> u64 {
        self.seed.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn reopen(&self) {
        // The lock makes sure that the writer, which reads the mark under it, is not about to fall asleep.
        let state = self.lock();
        self.is_reopening.store(true, Ordering::Release);
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next batch or for the mark to reopen; `None` once the queue is closed and empty.
    fn next(&self, done: Option<Batch>) -> Option<Event> {
        let mut state = self.lock();
        if let Some(batch) = done {
            state.keep(batch);
        }
        loop {
            if self.is_reopening.swap(false, Ordering::Acquire) {
                return Some(Event::Reopen);
            }
            if let Some(batch) = state.batches.pop_front() {
                return Some(Event::Write(batch));
            }
            if core::mem::take(&mut state.is_dropping) && !state.is_closed {
                tracing::info!("access log: the disk has caught up, lines are written again");
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, batch: Batch) {
        if self.spare.len() < SPARE_BATCHES {
            self.spare.push(batch);
        }
    }
}

impl Batch {
    fn clear(&mut self) {
        self.bytes.clear();
        self.lines = 0;
    }
}

enum Event {
    Write(Batch),
    Reopen,
}

/// Where lines go.
pub(super) struct Sink {
    out: Box<dyn Write + Send>,
    path: Option<PathBuf>,
}

impl Sink {
    pub(super) fn file(path: PathBuf) -> io::Result<Self> {
        Ok(Self { out: Box::new(append(&path)?), path: Some(path) })
    }

    pub(super) fn standard_output() -> Self {
        Self { out: Box::new(io::stdout()), path: None }
    }

    #[cfg(test)]
    pub(super) fn over(out: Box<dyn Write + Send>) -> Self {
        Self { out, path: None }
    }

    fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Starts the writer thread; the receiver hears of its end when the sender inside the thread is dropped.
pub(super) fn start(sink: Sink, tally: Arc<Tally>) -> io::Result<(Arc<Queue>, JoinHandle<()>, Receiver<()>)> {
    let queue = Arc::new(Queue::new(Arc::clone(&tally)));
    let (done_sender, done) = mpsc::sync_channel(1);
    let writer = Writer { sink, tally, torn: Vec::new(), is_failing: false, _done: done_sender };
    let shared = Arc::clone(&queue);
    let thread = thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run(&shared))?;
    Ok((queue, thread, done))
}

/// ```text
///            write failed: warn once              write succeeded: say so once
///   (fine) ────────────────────────▶ (failing) ──────────────────────────────▶ (fine)
///                                     lines are lost and counted
/// ```
struct Writer {
    sink: Sink,
    tally: Arc<Tally>,
    /// Rest of a line of which the disk took only the beginning; it goes first when the disk takes bytes again, so
    /// that a full disk leaves no broken line behind.
    torn: Vec<u8>,
    is_failing: bool,
    _done: SyncSender<()>,
}

impl Writer {
    fn run(mut self, queue: &Queue) {
        let mut done = None;
        while let Some(event) = queue.next(done.take()) {
            match event {
                Event::Reopen => self.reopen(),
                Event::Write(mut batch) => {
                    self.write(&batch);
                    batch.clear();
                    done = Some(batch);
                }
            }
        }
    }

    fn write(&mut self, batch: &Batch) {
        let torn = core::mem::take(&mut self.torn);
        let (taken, result) = push(&mut *self.sink.out, &torn);
        if let Err(error) = result {
            self.torn = torn[taken..].to_vec();
            self.lost(batch.lines, &error);
            return;
        }
        // The torn line is whole now.
        self.tally.written.fetch_add(u64::from(!torn.is_empty()), Ordering::Relaxed);
        let (taken, result) = push(&mut *self.sink.out, &batch.bytes);
        let result = result.and_then(|()| self.sink.out.flush());
        let Err(error) = result else {
            self.tally.written.fetch_add(batch.lines, Ordering::Relaxed);
            if core::mem::take(&mut self.is_failing) {
                tracing::info!("access log: {} takes lines again", self.sink.name());
            }
            return;
        };
        let written = batch.bytes[..taken].split(|&byte| byte == b'\n').count() as u64 - 1;
        let begins_line = taken == 0 || batch.bytes[taken - 1] == b'\n';
        if !begins_line {
            let rest = &batch.bytes[taken..];
            let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
            self.torn = rest[..end].to_vec();
        }
        self.tally.written.fetch_add(written, Ordering::Relaxed);
        self.lost(batch.lines - written - u64::from(!begins_line), &error);
    }

    fn lost(&mut self, lines: u64, error: &io::Error) {
        self.tally.failed.fetch_add(lines, Ordering::Relaxed);
        if !core::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(
                "access log: {}: {error}; lines are lost until it takes them again",
                self.sink.name()
            );
        }
    }

    fn reopen(&mut self) {
        let Some(path) = &self.sink.path else { return };
        match append(path) {
            Ok(file) => {
                // The rest of a torn line belongs to the file that was moved away.
                let torn = core::mem::take(&mut self.torn);
                let _ = push(&mut *self.sink.out, &torn);
                self.tally.failed.fetch_add(u64::from(!torn.is_empty()), Ordering::Relaxed);
                self.sink.out = Box::new(file);
            }
            Err(error) => {
                tracing::warn!(
                    "access log: cannot reopen {}: {error}; the old file stays in use",
                    path.display()
                );
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A line that never became whole is lost after all.
        self.tally.failed.fetch_add(u64::from(!self.torn.is_empty()), Ordering::Relaxed);
    }
}

/// Writes everything, and says how much was taken when it cannot.
fn push(out: &mut dyn Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match out.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => taken += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}
