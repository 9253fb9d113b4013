//! One core of the data plane: everything that its connections share, none of it shared with
//! another core but what [`Shared`] names.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::Write as _;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use cache::UnixMs;
use signals::{Shard, Signals};
use tokio::time::Instant;
use traffic::Moment;
use traffic::endpoint::Address;

use crate::census::Census;
use crate::clock::Clock;
use crate::compress;
use crate::disk::{self, Disk};
use crate::exchange::Store;
use crate::files::Shelf;
use crate::live::Live;
use crate::pool::Pools;
use crate::stream::Stream;
use crate::surge;
use crate::timers::Timers;

/// Bytes read at once. A body of 64 KiB with its head goes through in one piece.
pub const SCRATCH_BYTES: usize = 72 * 1024;

/// What all cores share.
pub struct Shared {
    /// The configuration in force.
    live: ArcSwap<Live>,
    /// Rises with every reload; a core compares it before it asks for `live`.
    generation: AtomicU64,
    /// Metrics and logs.
    pub signals: Arc<Signals>,
    /// Set once Tidegate is told to stop: readiness fails, traffic goes on.
    leaving: AtomicBool,
    /// Set after the lame-duck time: no keep-alive, no new work.
    draining: AtomicBool,
    /// Client connections open, all cores.
    pub connections: AtomicUsize,
    /// Clients that are being told that there is no place for them.
    pub turned_away: AtomicUsize,
    /// What changes what is in force.
    pub surge: surge::Switch,
    /// Client connections open, by client.
    pub census: Census,
    /// What is stored, for all routes.
    pub cache: cache::Store,
    /// The tier on disk below it, where one is configured: see [`Shared::open_disk`].
    pub disk: OnceLock<Disk>,
    /// Whose turn it is to be compressed again.
    pub again: compress::again::Again,
    /// Threads of the data plane.
    pub threads: usize,
    /// Where moments are counted from.
    pub start: Instant,
    /// What the cache counts ages by.
    clock: Clock,
}

impl Shared {
    /// The state before the first connection.
    pub fn new(live: Live, signals: Arc<Signals>) -> Arc<Self> {
        let threads = live.plan.server.threads;
        let config::Cache { memory_bytes, shards, .. } = live.plan.cache;
        let cache = cache::Store::new(memory_bytes, shards, fastrand::u64(..));
        let surge = surge::Switch::new(live.plan.server.state.as_deref());
        Arc::new(Self {
            surge,
            live: ArcSwap::from_pointee(live),
            generation: AtomicU64::new(0),
            signals,
            leaving: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            turned_away: AtomicUsize::new(0),
            census: Census::default(),
            cache,
            disk: OnceLock::new(),
            again: compress::again::Again::default(),
            threads,
            start: Instant::now(),
            clock: Clock::set_to(unix_ms(SystemTime::now())),
        })
    }

    /// Opens the cache's tier on disk, if one is configured. To be called before the first connection, and once.
    ///
    /// # Errors
    /// Why the folder cannot be used.
    pub fn open_disk(&self) -> Result<(), disk::Error> {
        let config::Cache { memory_bytes, disk, .. } = &self.live.load().plan.cache;
        if let Some(settings) = disk {
            let opened = Disk::open(settings, *memory_bytes, &self.cache)?;
            // Somebody who comes second finds the folder taken.
            let _ = self.disk.set(opened);
        }
        Ok(())
    }

    /// What the cache holds and has done, in memory and on disk.
    pub fn cache_usage(&self) -> cache::Usage {
        let disk = self.disk.get().map(Disk::usage).unwrap_or_default();
        cache::Usage { disk, ..self.cache.usage() }
    }

    /// The configuration in force.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Puts another configuration in force.
    pub fn replace(&self, live: Live) {
        let config::Cache { memory_bytes, disk: settings, .. } = &live.plan.cache;
        self.cache.set_memory(*memory_bytes);
        if let (Some(disk), Some(settings)) = (self.disk.get(), settings) {
            disk.set_limits(settings.bytes, *memory_bytes, &self.cache);
        }
        live.upstreams.iter().for_each(|upstream| upstream.traffic.enforce());
        self.live.store(Arc::new(live));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Counters of the control thread: the shard behind those of the data plane.
    pub fn control_shard(&self) -> Arc<Shard> {
        self.signals.shard(self.threads)
    }

    /// Readiness fails from here on.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether Tidegate was told to stop.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// No new work from here on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether Tidegate takes no new work.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Now, for the brains.
    pub fn now(&self) -> Moment {
        Moment(self.start.elapsed().as_nanos() as u64)
    }

    /// Now, for the cache: the wall's clock, but never earlier than before.
    pub fn unix_ms(&self) -> UnixMs {
        self.clock.at(self.since_start_ms())
    }

    /// Now on the wall's clock, as of the last [`Shared::follow`], for what has to do with dates.
    pub fn wall_ms(&self) -> UnixMs {
        self.clock.wall_at(self.since_start_ms())
    }

    /// The wall's clock says so. One thread tells it, again and again, since that clock may be set and goes on while
    /// the machine sleeps.
    pub fn follow(&self, wall: SystemTime) {
        self.clock.follow(self.since_start_ms(), unix_ms(wall));
    }

    fn since_start_ms(&self) -> u64 {
        self.now().0 / 1_000_000
    }
}

/// Opens connections to endpoints: sockets in life, pipes in scenes.
pub trait Connect {
    /// A connection to `address`; the caller bounds its time.
    fn connect<'a>(
        &'a self,
        address: &'a Address,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Stream>> + 'a>>;
}

/// One core.
pub struct Core {
    /// What all cores share.
    pub shared: Arc<Shared>,
    /// This core's counters.
    pub shard: Arc<Shard>,
    /// This core's access log, while one is configured.
    pub log: RefCell<Option<signals::log::LogHandle>>,
    /// Everything is read into this first.
    pub scratch: RefCell<Box<[u8]>>,
    /// Everything that is assembled is assembled in this.
    pub out: RefCell<Vec<u8>>,
    /// Coded bodies are assembled in this, before they are framed.
    pub coded: RefCell<Vec<u8>>,
    /// What codes bodies.
    pub encoders: compress::Pool,
    /// What requests hold.
    pub exchanges: Store,
    /// Kept-alive connections to endpoints.
    pub pools: RefCell<Pools>,
    /// Small files, ready to be sent.
    pub(crate) shelf: RefCell<Shelf>,
    /// Deadlines.
    pub timers: Rc<Timers>,
    /// Ties, jitter, ids.
    pub rng: RefCell<fastrand::Rng>,
    /// Opens connections to endpoints.
    pub connect: Box<dyn Connect>,
    /// Requests served, for the thread that spins while they come.
    pub served: Cell<u64>,
    /// Wakes the spinning.
    pub woken: tokio::sync::Notify,
    date: RefCell<Date>,
    // Requests hold on to it by the `Rc`, which no other core counts; the `Arc` is touched once per reload.
    #[allow(clippy::redundant_allocation)]
    live: RefCell<(u64, Rc<Arc<Live>>)>,
}

impl Core {
    /// A core without connections. `seed` fixes its random choices.
    pub fn new(shared: Arc<Shared>, shard: Arc<Shard>, connect: Box<dyn Connect>, seed: u64) -> Rc<Self> {
        let generation = shared.generation.load(Ordering::Acquire);
        let live = Rc::new(shared.live());
        Rc::new(Self {
            shard,
            log: RefCell::new(None),
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
            out: RefCell::new(Vec::with_capacity(SCRATCH_BYTES)),
            coded: RefCell::default(),
            encoders: compress::Pool::default(),
            exchanges: Store::default(),
            pools: RefCell::default(),
            shelf: RefCell::default(),
            timers: Timers::new(shared.start),
            rng: RefCell::new(fastrand::Rng::with_seed(seed)),
            connect,
            served: Cell::new(0),
            woken: tokio::sync::Notify::new(),
            date: RefCell::new(Date::at(SystemTime::now())),
            live: RefCell::new((generation, live)),
            shared,
        })
    }

    /// The configuration in force. Costs a load and a compare while nothing changed, and no write
    /// to memory that another core reads.
    #[allow(clippy::redundant_allocation)]
    pub fn live(&self) -> Rc<Arc<Live>> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let mut live = self.live.borrow_mut();
        if live.0 != generation {
            *live = (generation, Rc::new(self.shared.live()));
        }
        Rc::clone(&live.1)
    }

    /// Now, for the brains.
    pub fn now(&self) -> Moment {
        self.shared.now()
    }

    /// Now, for the cache: the wall's clock, but never earlier than before.
    pub fn unix_ms(&self) -> UnixMs {
        self.shared.unix_ms()
    }

    /// Milliseconds since the start, coarse and free.
    pub fn now_ms(&self) -> u64 {
        self.timers.now_ms()
    }

    /// Notes a request, so that a thread that may spin does.
    pub fn count_served(&self, live: &Live) {
        self.served.set(self.served.get() + 1);
        if !live.plan.server.spin.is_zero() {
            self.woken.notify_one();
        }
    }

    /// Writes into `out`, which is cleared first where it may hold what others have left in it.
    pub fn assemble(&self, anew: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = self.out.borrow_mut();
        if anew {
            out.clear();
        }
        write(&mut out);
    }

    /// Writes the `Date` field (RFC 9110 section 6.6.1): at most one tick late.
    pub fn date(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.date.borrow().line.as_bytes());
    }

    /// What has to be done now and then; runs every [`crate::timers::TICK`].
    pub fn tick(&self) {
        self.timers.sweep();
        self.date.borrow_mut().set(SystemTime::now());
        self.pools.borrow_mut().look_over(self.now_ms(), &self.shard);
        if let Some(log) = self.log.borrow_mut().as_mut() {
            log.tick();
        }
        for upstream in &self.live().upstreams {
            upstream.traffic.queue().tick(self.now());
        }
        if self.shared.is_draining() {
            self.timers.wake_all();
        }
    }
}

/// The `Date` line of one second.
#[derive(Debug)]
struct Date {
    second: u64,
    line: String,
}

impl Date {
    fn at(now: SystemTime) -> Self {
        Self { second: unix_s(now), line: format!("Date: {}\r\n", httpdate::fmt_http_date(now)) }
    }

    /// Formats the line anew once per second.
    fn set(&mut self, now: SystemTime) {
        if self.second != unix_s(now) {
            *self = Self::at(now);
        }
    }
}

/// Seconds since 1970; none before.
pub(crate) fn unix_s(time: SystemTime) -> u64 {
    unix_ms(time) / 1000
}

/// Milliseconds since 1970; none before.
pub(crate) fn unix_ms(time: SystemTime) -> UnixMs {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("served", &self.served).finish_non_exhaustive()
    }
}

/// Who is at the other end of a client connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Address; 127.0.0.1 on a Unix-domain socket, which only this machine can reach.
    pub ip: IpAddr,
    /// The address as text, written once for all requests of the connection.
    text: [u8; Self::TEXT_BYTES],
    text_len: u8,
}

impl Peer {
    /// Longest address as text: eight groups of four digits and their colons.
    const TEXT_BYTES: usize = 39;

    /// The peer at this address.
    pub fn new(ip: IpAddr) -> Self {
        let mut text = [0; Self::TEXT_BYTES];
        let mut rest = &mut text[..];
        // No address is longer than the text has room for.
        let _ = write!(rest, "{ip}");
        let text_len = (Self::TEXT_BYTES - rest.len()) as u8;
        Self { ip, text, text_len }
    }

    /// The address as text.
    pub fn text(&self) -> &[u8] {
        &self.text[..usize::from(self.text_len)]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_date_follows_the_clock_second_by_second() {
        let mut date = Date::at(SystemTime::UNIX_EPOCH);
        assert_eq!(date.line, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
        date.set(SystemTime::UNIX_EPOCH + Duration::from_millis(999));
        assert_eq!(date.line, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
        date.set(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        assert_eq!(date.line, "Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n");
    }
}
