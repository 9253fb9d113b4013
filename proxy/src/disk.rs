//! The cache's tier on disk: threads and files for what [`cache::disk`] decides.
//!
//! ```text
//!  memory full, large body ─▶ keep ─▶ ledger ─▶ one writer thread ─▶ segments
//!  miss in memory ─▶ has? ─▶ load, on a thread that may block ─▶ into memory, or a place that is sent from the file
//! ```
//!
//! No core ever waits for the disk: what cannot be written soon is not written, what cannot be read soon is asked of the
//! origin. A hit in memory does not come here.

mod folder;
mod load;
mod place;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use cache::disk::{Fault, Ledger, Usage, Writer};
use cache::{Ask, Entry, Key, Purge, Store, UnixMs, store::Tier, vary};
use tokio::task::spawn_blocking;

use crate::core::unix_ms;
use folder::Folder;
pub use load::{answer, given_alone};
pub use place::Lying;

/// Loads that are under way at once. Past it the origin is asked.
const MOST_LOADS: usize = 64;

/// Steps of the writer between two reckonings of the memory that the index takes.
const RECKON_EVERY: u32 = 256;

/// Entries whose heads are read for a list, at most.
const MOST_LISTED: usize = 10_000;

/// The tier on disk. Dropping it ends its thread, without what waits to be written.
pub struct Disk {
    inner: Arc<Inner>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    ledger: Arc<Mutex<Ledger>>,
    segments: place::Segments,
    /// Bodies from here on stay on disk. As the store has it.
    large_bytes: AtomicU64,
    /// The writer sleeps. Changed under the ledger's mutex.
    is_asleep: AtomicBool,
    is_ending: AtomicBool,
    wake: Condvar,
    /// Somebody may be interested in what the writer has done.
    done: Condvar,
    loads: AtomicUsize,
    /// Held as long as the folder is ours.
    _lock: folder::Lock,
}

/// Why the folder cannot be used.
#[derive(Debug)]
pub enum Error {
    /// It cannot be made, read or written to.
    Folder(PathBuf, io::Error),
    /// Another process uses it: which, if it says so.
    Taken(PathBuf, Option<u32>),
    /// The thread that writes cannot be started.
    Thread(io::Error),
}

impl Disk {
    /// Opens the folder, finds out what is in it, and begins to write there what leaves the store.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(settings: &config::Disk, memory_bytes: u64, store: &Store) -> Result<Self, Error> {
        let lock = folder::Lock::take(&settings.path)?;
        let ledger = Ledger::new(store.seed().clone(), settings.bytes, memory_bytes);
        let began = Instant::now();
        let segments = place::Segments::default();
        let ledger = folder::recover(&settings.path, ledger, &segments)
            .map_err(|error| Error::Folder(settings.path.clone(), error))?;
        let usage = ledger.usage();
        tracing::info!(
            "cache on disk: {} entries in {} bytes found in {}, in {:?}",
            usage.entries,
            usage.used_bytes,
            settings.path.display(),
            began.elapsed()
        );
        store.account_below(ledger.memory_bytes());
        let inner = Arc::new(Inner {
            ledger: Arc::new(Mutex::new(ledger)),
            segments,
            large_bytes: AtomicU64::new(store.large_bytes()),
            is_asleep: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            wake: Condvar::new(),
            done: Condvar::new(),
            loads: AtomicUsize::new(0),
            _lock: lock,
        });
        let folder = Folder::new(settings.path.clone(), Arc::clone(&inner), store.clone());
        let writer = Writer::new(Arc::clone(&inner.ledger), folder);
        let (shared, accounts) = (Arc::clone(&inner), store.clone());
        let thread = std::thread::Builder::new()
            .name("tidegate-disk".to_owned())
            .spawn(move || write(&shared, writer, &accounts))
            .map_err(Error::Thread)?;
        store.set_below(Arc::new(Below(Arc::clone(&inner))));
        Ok(Self { inner, writer: Mutex::new(Some(thread)) })
    }

    /// Changes how many bytes it may take, here and of the store's memory.
    pub fn set_limits(&self, bytes: u64, memory_bytes: u64, store: &Store) {
        self.inner.large_bytes.store(store.large_bytes(), Ordering::Relaxed);
        self.inner.change(|ledger| ledger.set_limits(bytes, memory_bytes));
    }

    /// Whether there may be something for a key, by its hash.
    pub fn has(&self, key_hash: u64) -> bool {
        self.inner.lock().find(key_hash).is_some()
    }

    /// What it counts.
    pub fn usage(&self) -> Usage {
        self.inner.lock().usage()
    }

    /// What is there for a request, without any effect but that of looking. Blocks.
    pub fn peek(&self, key: &Key<'_>, ask: &Ask<'_>, store: &Store) -> Option<Arc<Entry>> {
        let first = self.inner.read(key.bytes, key.hash)?;
        let Some(spec) = first.vary() else { return Some(first) };
        let hash = vary::hash(spec, ask, key.hash, store.seed());
        self.inner.read(key.bytes, hash).filter(|entry| entry.fits(ask))
    }

    /// Entries whose URL begins with one of these, those written last first, at most so many, with what is around their
    /// bodies. Whether there may be more. Blocks.
    pub fn list(&self, prefixes: &[Vec<u8>], most: usize) -> (Vec<Arc<Entry>>, bool) {
        let newest = self.inner.lock().newest(MOST_LISTED);
        let is_cut = newest.len() == MOST_LISTED;
        let is_meant = |entry: &Arc<Entry>| prefixes.iter().any(|prefix| entry.url().starts_with(prefix));
        let entries = newest.into_iter().filter_map(|lies| self.inner.read_front(lies));
        let found: Vec<_> = entries.filter(is_meant).take(most).collect();
        let is_cut = is_cut || found.len() == most;
        (found, is_cut)
    }

    /// Reads that are under way.
    pub fn loads(&self) -> usize {
        self.inner.loads.load(Ordering::Relaxed)
    }

    /// Waits until everything that was handed over is written, or dropped. Whether that came about.
    pub fn settle(&self, most: Duration) -> bool {
        self.inner.wait(most, Ledger::is_settled)
    }

    /// Waits until what was purged is purged on disk as well, so that no crash brings it back. Whether that came about.
    pub fn wait_for_notes(&self, most: Duration) -> bool {
        self.inner.wait(most, Ledger::is_noted)
    }

    /// The process is about to end: writes what is in memory, as far as there is time, so that the next one finds it.
    pub fn leave(&self, store: &Store, most: Duration) {
        let end = Instant::now() + most;
        let left = || end.saturating_duration_since(Instant::now());
        store.each_entry(|entry| {
            let roomy = self.inner.wait(left(), |ledger| ledger.takes(entry));
            roomy
                && self.inner.change(|ledger| ledger.keep(entry, unix_ms(SystemTime::now())))
                    != Err(cache::disk::Dropped::Failing)
        });
        if !self.settle(left()) {
            tracing::warn!("cache on disk: there was no time to write everything");
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.inner.is_ending.store(true, Ordering::Relaxed);
        self.inner.change(|_| ());
        if let Some(thread) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // A panic elsewhere leaves nothing half done: what is written is looked at again before it is believed.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that the writer may have to do something about.
    fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.lock();
        let made = change(&mut ledger);
        // A call to the system only if somebody sleeps.
        let sleeps = self.is_asleep.swap(false, Ordering::Relaxed);
        drop(ledger);
        if sleeps {
            self.wake.notify_one();
        }
        made
    }

    fn wait(&self, most: Duration, is: impl Fn(&Ledger) -> bool) -> bool {
        let waiting = self.done.wait_timeout_while(self.lock(), most, |ledger| !is(ledger));
        !waiting.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn count(&self, fault: Fault) {
        self.lock().count(fault);
    }
}

/// What the store is told of.
struct Below(Arc<Inner>);

impl Tier for Below {
    /// Reads on a thread of the core's runtime that may block. What is one too many is not looked for.
    fn load(&self, key: &[u8], hash: u64, done: Box<dyn FnOnce(Option<Arc<Entry>>) + Send>) {
        if self.0.loads.fetch_add(1, Ordering::Relaxed) >= MOST_LOADS {
            self.0.loads.fetch_sub(1, Ordering::Relaxed);
            self.0.count(Fault::Slow);
            return done(None);
        }
        let (inner, key) = (Arc::clone(&self.0), Box::<[u8]>::from(key));
        // Whoever waits is told by `done`.
        drop(spawn_blocking(move || {
            let found = inner.read(&key, hash);
            inner.loads.fetch_sub(1, Ordering::Relaxed);
            done(found);
        }));
    }

    fn keep(&self, entry: &Arc<Entry>) {
        // What is dropped is counted.
        let _ = self.0.change(|ledger| ledger.keep(entry, unix_ms(SystemTime::now())));
    }

    fn replace(&self, hash: u64) {
        self.0.change(|ledger| ledger.replace(hash));
    }

    fn purge(&self, what: Purge<'_>, soft: bool, now: UnixMs) {
        self.0.change(|ledger| ledger.purge(what, soft, now));
    }
}

/// What the thread does that writes.
fn write(inner: &Inner, mut writer: Writer<Folder>, store: &Store) {
    let mut steps = 0_u32;
    loop {
        if writer.step(unix_ms(SystemTime::now())) {
            steps += 1;
            inner.done.notify_all();
            if steps.is_multiple_of(RECKON_EVERY) {
                reckon(inner, store);
            }
            if !inner.is_ending.load(Ordering::Relaxed) {
                continue;
            }
        }
        writer.files.sync();
        reckon(inner, store);
        let ledger = inner.lock();
        inner.done.notify_all();
        if inner.is_ending.load(Ordering::Relaxed) {
            return;
        }
        let now = unix_ms(SystemTime::now());
        if ledger.has_work(now) {
            continue;
        }
        let pause = ledger.paused_until_ms().saturating_sub(now);
        inner.is_asleep.store(true, Ordering::Relaxed);
        // Woken for nothing it goes to sleep again; while the disk is left alone nobody need wake it.
        let most = if pause > 0 { Duration::from_millis(pause) } else { Duration::from_mins(1) };
        drop(inner.wake.wait_timeout(ledger, most));
        inner.is_asleep.store(false, Ordering::Relaxed);
    }
}

fn reckon(inner: &Inner, store: &Store) {
    let bytes = inner.lock().memory_bytes();
    store.account_below(bytes);
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Path::display;
        match self {
            Self::Folder(path, error) => {
                write!(f, "cannot use cache.disk.path {}: {}", shown(path), crate::server::plain(error))?;
                write!(f, "\nhelp: it has to be a folder that this process may read and write, or can make")
            }
            Self::Taken(path, process) => {
                write!(f, "cache.disk.path {} is used by another process", shown(path))?;
                if let Some(process) = process {
                    write!(f, ", {process}")?;
                }
                write!(f, "\nhelp: stop that one, or give each a folder of its own")
            }
            Self::Thread(error) => write!(f, "cannot start a thread: {}", crate::server::plain(error)),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}
