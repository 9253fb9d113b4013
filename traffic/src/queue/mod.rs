//! Waiting for a slot at an upstream: who may wait, how long, and who goes first.
//!
//! A request that finds a free slot while nobody waits takes it without coming here; one load says that nobody does. All
//! others join the queue, which all cores share behind one short lock. A slot that is given back is handed to whoever is
//! next ([`lines`] says who that is, [`pace`] how soon), and its waker is called; nobody gets past those who wait but by
//! priority.
//!
//! ```text
//!                 a slot is free, and it is next
//!   ( Waiting ) ─────────────────────────────────▶ ( Granted ) ──▶ taken by its request
//!        ├── waited too long, or the queue stands, or its place went to another ──▶ ( Refused )
//!        └── its client leaves: out at once
//! ```
//!
//! While every endpoint is down the same queue holds the requests, as long as `hold` says. Where connections are refused
//! although no endpoint counts as down, one request at a time knocks, and the others wait for what it finds.

mod lines;
mod pace;

use crate::endpoint::{Concurrency, EndpointId};
use crate::moment::{Moment, nanos};
use crate::refusal::Refusal;
use crate::upstream::{Ask, Lease, NoEndpoint, Set};
use arc_swap::ArcSwap;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use core::task::{Poll, Waker};
use core::time::Duration;
use lines::Lines;
use pace::Pace;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How long it is from one knock at endpoints that take no connection to the next.
const KNOCK_AGAIN: Duration = Duration::from_millis(200);
/// Whoever knocks and is not heard of again is forgotten after this time.
const KNOCK_LOST: Duration = Duration::from_secs(1);
/// Slots are kept for critical requests for so long after the last one of them.
const CRITICAL_SEEN: Duration = Duration::from_secs(10);

/// How an upstream queues.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Slots per endpoint.
    pub concurrency: Concurrency,
    /// Most requests that wait.
    pub limit: usize,
    /// Longest wait for a slot.
    pub timeout: Duration,
    /// The wait that is still allowed once the queue stands; never less than a typical answer takes.
    pub target: Duration,
    /// The queue stands when it has not been empty for so long.
    pub interval: Duration,
    /// Who goes first while it stands.
    pub order: Order,
    /// Share of the slots that is kept for critical requests, as long as there are some.
    pub reserve_share: f64,
    /// Longest wait while no endpoint takes a connection.
    pub hold: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::Adaptive,
            limit: 1_000,
            timeout: Duration::from_secs(5),
            target: Duration::from_millis(100),
            interval: Duration::from_secs(1),
            order: Order::First,
            reserve_share: 0.1,
            hold: Duration::ZERO,
        }
    }
}

impl Settings {
    /// As many slots as are asked for; only endpoints that are down are waited for.
    pub fn off() -> Self {
        Self { concurrency: Concurrency::Unlimited, limit: 1_000_000, ..Self::default() }
    }
}

/// Who goes first while the queue stands, among those of one key and priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// Who came first.
    #[default]
    First,
    /// Who came last: the others have waited so long that their clients may be gone.
    Newest,
}

/// How much a request matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub enum Priority {
    /// Goes before all others, and slots are kept for it.
    Critical,
    /// Goes before low ones, mostly.
    #[default]
    Normal,
    /// Gets what is left, and one slot in ten.
    Low,
}

impl Priority {
    /// Every one, the first first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Normal, Self::Low];

    /// The word for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// The priority that the word means.
    pub fn named(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| word.eq_ignore_ascii_case(priority.code().as_bytes()))
    }

    /// Those who wait at this priority or above, as bits of the packed count.
    const fn at_or_above(self) -> u64 {
        match self {
            Self::Critical => COUNT_MASK,
            Self::Normal => COUNT_MASK | COUNT_MASK << COUNT_BITS,
            Self::Low => u64::MAX,
        }
    }
}

/// Numbers of waiting requests by priority, packed into one word.
const COUNT_BITS: u32 = 21;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Why a request that waited, or wanted to, gets no slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Unserved {
    /// As many wait as may.
    Full,
    /// It waited as long as it may.
    Timeout,
    /// The queue stands, and it has waited for longer than it may then.
    Shed,
    /// The queue was full, and one that matters more, or of one who asks for less, got its place.
    Displaced,
    /// A surge is on that sheds requests of its priority.
    Surge,
    /// No endpoint is left to try.
    NoEndpoint(NoEndpoint),
    /// Nobody took a connection, for longer than the upstream holds requests.
    Unreached,
}

impl Unserved {
    /// The reasons that are the queue's own, for metrics.
    pub const OWN: [Self; 5] = [Self::Full, Self::Timeout, Self::Shed, Self::Displaced, Self::Surge];

    /// How the client is told.
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::Full => Refusal::QueueFull,
            Self::Timeout => Refusal::QueueTimeout,
            Self::Shed => Refusal::QueueShed,
            Self::Displaced => Refusal::QueueDisplaced,
            Self::Surge => Refusal::SurgeShed,
            Self::NoEndpoint(NoEndpoint::Empty) => Refusal::NoEndpoint,
            Self::NoEndpoint(NoEndpoint::AllDown | NoEndpoint::AllTried | NoEndpoint::Full) => {
                Refusal::AllEndpointsDown
            }
            Self::Unreached => Refusal::ConnectFailed,
        }
    }
}

/// A request that joins the queue.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    /// What a pick has to know about it.
    pub ask: Ask<'a>,
    /// When it began, for how long it is held.
    pub begun: Moment,
    /// Whose turn it is: requests with different keys take turns.
    pub fair_key: u64,
    /// It has had a slot already, and failed there: it goes before the others of its key.
    pub is_retry: bool,
}

/// How the queue stands at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Requests that wait, by priority.
    pub waiting: [usize; 3],
    /// Most that may.
    pub limit: usize,
    /// It has not been empty for as long as its interval.
    pub stands: bool,
}

/// The queue of one upstream. Outlives reloads: who waits keeps its place.
pub struct Queue {
    /// See [`COUNT_BITS`].
    waiting: AtomicU64,
    /// When a critical request came last, in nanoseconds and one, to the second; 0 for never.
    critical_seen: AtomicU64,
    /// The latest time that anybody told, for decisions at moments when nobody does.
    clock: AtomicU64,
    /// About what an answer takes, in nanoseconds.
    service: AtomicU64,
    /// What the quicker answers take; see [`pace`].
    quick: AtomicU64,
    /// Endpoints take no connections.
    is_shut: AtomicBool,
    state: Mutex<State>,
}

struct State {
    settings: Settings,
    /// The endpoints of the configuration in force.
    current: Weak<ArcSwap<Set>>,
    lines: Lines,
    rng: fastrand::Rng,
    /// Since when it has not been empty.
    stands_since: Option<Moment>,
    /// A backlog from a time without endpoints is worked off: waiting for that is no overload.
    is_catching_up: bool,
    /// Why nobody can be served.
    down: Option<NoEndpoint>,
    gate: Gate,
    /// When endpoints were last found again.
    up_at: Moment,
    pace: Pace,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gate {
    Open,
    /// Nobody goes until then.
    Shut {
        until: Moment,
    },
    /// One has gone to find out.
    Knocking {
        since: Moment,
    },
}

/// One who waits.
struct Place {
    /// Those who joined before have lower ones.
    number: u64,
    stand: Stand,
    waker: Option<Waker>,
    joined: Moment,
    begun: Moment,
    priority: Priority,
    fair_key: u64,
    key: Option<u64>,
    sticky: Option<Box<[u8]>>,
    tried: Box<[EndpointId]>,
    /// Where it picks: the endpoints of the configuration that it began with.
    source: Arc<ArcSwap<Set>>,
}

enum Stand {
    Waiting,
    Granted(Lease),
    Refused(Unserved),
}

/// How an attempt to serve one who waits has ended.
enum Served {
    /// It has its lease, or knows why it gets none.
    Settled(Stand),
    /// Nothing for this one; there may be something for another.
    Skip,
    /// Nothing for anybody.
    Stop,
    /// A slot that is not due yet.
    Early,
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            waiting: AtomicU64::new(0),
            critical_seen: AtomicU64::new(0),
            clock: AtomicU64::new(0),
            service: AtomicU64::new(0),
            quick: AtomicU64::new(0),
            is_shut: AtomicBool::new(false),
            state: Mutex::new(State {
                settings,
                current: Weak::new(),
                lines: Lines::default(),
                rng: fastrand::Rng::with_seed(0x7107),
                stands_since: None,
                is_catching_up: false,
                down: None,
                gate: Gate::Open,
                up_at: Moment::ZERO,
                pace: Pace::default(),
            }),
        })
    }

    /// Puts other settings and endpoints in force; who waits keeps its place.
    pub(crate) fn configure(&self, settings: Settings, current: &Arc<ArcSwap<Set>>) {
        let mut state = self.state();
        state.settings = settings;
        // They hold on to the queue: the other way round too, neither would ever be gone.
        state.current = Arc::downgrade(current);
    }

    /// Whether one of this priority has to wait behind others.
    #[inline]
    pub fn is_waited(&self, priority: Priority) -> bool {
        self.waiting.load(SeqCst) & priority.at_or_above() != 0
    }

    /// Whether anybody waits.
    #[inline]
    pub fn is_anybody_waiting(&self) -> bool {
        self.waiting.load(SeqCst) != 0
    }

    /// How it stands.
    pub fn standing(&self, now: Moment) -> Standing {
        let state = self.state();
        Standing { waiting: self.counts(), limit: state.settings.limit, stands: state.stands(now) }
    }

    /// Requests that wait, by priority.
    pub fn counts(&self) -> [usize; 3] {
        let packed = self.waiting.load(Relaxed);
        [0, 1, 2].map(|at| (packed >> (at * COUNT_BITS) & COUNT_MASK) as usize)
    }

    /// Share of the slots that this one leaves to others.
    pub(crate) fn kept_share(&self, priority: Priority, reserve_share: f64, now: Moment) -> f64 {
        let seen = self.critical_seen.load(Relaxed);
        if priority == Priority::Critical {
            // To the second: it is not worth more writes to what all cores read.
            if now.0 >= seen.saturating_add(1_000_000_000) || seen == 0 {
                self.critical_seen.store(now.0 + 1, Relaxed);
            }
            return 0.0;
        }
        if seen != 0 && now.0 < seen.saturating_add(nanos(CRITICAL_SEEN)) { reserve_share } else { 0.0 }
    }

    /// A request was answered; only looked at while somebody waits.
    pub(crate) fn note_service(&self, now: Moment, latency: Duration) {
        if self.is_anybody_waiting() {
            // The slot that is given back next may be due.
            self.tell(now);
            let (old, new) = (self.service.load(Relaxed), nanos(latency));
            // Two cores at once lose one of two equally good numbers.
            self.quick.store(pace::learn(self.quick.load(Relaxed), new), Relaxed);
            self.service.store(if old == 0 { new } else { old - old / 8 + new / 8 }, Relaxed);
        }
    }

    /// Takes a place in the queue of a request that found no slot.
    ///
    /// # Errors
    /// The queue is full.
    pub(crate) fn join(
        self: &Arc<Self>,
        source: &Arc<ArcSwap<Set>>,
        joining: &Joining<'_>,
    ) -> Result<Ticket, Unserved> {
        let Joining { ask, begun, fair_key, is_retry } = *joining;
        let now = self.tell(ask.now);
        let mut wakers = Vec::new();
        let mut state = self.state();
        if state.lines.len() >= state.settings.limit {
            let victim = state.lines.victim(ask.priority, fair_key).ok_or(Unserved::Full)?;
            state.settle(self, victim, Stand::Refused(Unserved::Displaced), &mut wakers);
        }
        if state.lines.len() == 0 {
            state.stands_since = Some(now);
        }
        let place = Place {
            number: 0,
            stand: Stand::Waiting,
            waker: None,
            joined: now,
            begun,
            priority: ask.priority,
            fair_key,
            key: ask.key,
            sticky: ask.sticky.map(Into::into),
            tried: ask.tried.into(),
            source: Arc::clone(source),
        };
        let place = state.lines.join(place, is_retry);
        self.count(ask.priority, true);
        // A slot may have become free between the pick and this moment.
        state.serve(self, now, &mut wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Ok(Ticket { queue: Arc::clone(self), place })
    }

    /// A slot was given back, or more of them are there: hands out what is free. Costs a load while nobody waits.
    pub(crate) fn freed(&self) {
        if self.is_anybody_waiting() {
            self.hand_out(Moment(self.clock.load(Relaxed)));
        }
    }

    /// Looks after those who wait: sends away who has waited too long, and hands out what is free. To be called every
    /// tenth of a second or so; costs a load while nobody waits.
    pub fn tick(&self, now: Moment) {
        if self.is_anybody_waiting() {
            let now = self.tell(now);
            let mut wakers = Vec::new();
            let mut state = self.state();
            state.expire(self, now, &mut wakers);
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            self.hand_out(now);
        }
    }

    /// Nobody took a connection of one who tried every endpoint: the others wait until somebody does.
    pub fn shut(&self, now: Moment) {
        let now = self.tell(now);
        self.state().gate = Gate::Shut { until: now.plus(KNOCK_AGAIN) };
        self.is_shut.store(true, Relaxed);
    }

    /// A connection was taken. Costs a load while nothing else is known.
    pub fn open(&self, now: Moment) {
        if self.is_shut.load(Relaxed) && self.is_shut.swap(false, Relaxed) {
            let now = self.tell(now);
            let mut state = self.state();
            state.gate = Gate::Open;
            state.is_up_again(now);
            drop(state);
            self.hand_out(now);
        }
    }

    fn hand_out(&self, now: Moment) {
        let mut wakers = Vec::new();
        self.state().serve(self, now, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn tell(&self, now: Moment) -> Moment {
        Moment(self.clock.fetch_max(now.0, Relaxed).max(now.0))
    }

    fn count(&self, priority: Priority, is_more: bool) {
        let one = 1 << (priority as u32 * COUNT_BITS);
        if is_more {
            self.waiting.fetch_add(one, SeqCst);
        } else {
            self.waiting.fetch_sub(one, SeqCst);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stands(&self, now: Moment) -> bool {
        let interval = self.settings.interval;
        !self.is_catching_up
            && self.down.is_none()
            && self.gate == Gate::Open
            && self.stands_since.is_some_and(|since| now.since(since) >= interval)
    }

    /// Endpoints are there again: what waits has waited for them, not for a slot.
    fn is_up_again(&mut self, now: Moment) {
        self.down = None;
        self.up_at = now;
        self.stands_since = Some(now);
        self.is_catching_up = self.lines.len() > 0;
    }

    fn waited(&self, place: u32, now: Moment) -> (Duration, Duration) {
        let up_at = match (self.down, self.gate) {
            (None, Gate::Open) => self.up_at.min(now),
            _ => now,
        };
        let joined = self.lines.get(place).joined;
        let held = up_at.since(joined);
        (held, now.since(joined).saturating_sub(held))
    }

    /// Why one that waits has to go, if it has to.
    fn overdue(&self, queue: &Queue, place: &Place, now: Moment) -> Option<Unserved> {
        let held = now.since(place.begun) < self.settings.hold;
        match (self.down, self.gate) {
            (Some(why), _) => (!held).then_some(Unserved::NoEndpoint(why)),
            (None, Gate::Shut { .. } | Gate::Knocking { .. }) => (!held).then_some(Unserved::Unreached),
            (None, Gate::Open) => {
                let waited = now.since(place.joined.max(self.up_at));
                if waited >= self.settings.timeout {
                    return Some(Unserved::Timeout);
                }
                let service = Duration::from_nanos(queue.service.load(Relaxed));
                let target = self.settings.target.max(service);
                (self.stands(now) && waited >= target).then_some(Unserved::Shed)
            }
        }
    }

    /// Sends away who has waited too long.
    fn expire(&mut self, queue: &Queue, now: Moment, wakers: &mut Vec<Waker>) {
        for place in self.lines.all() {
            if let Some(why) = self.overdue(queue, self.lines.get(place), now) {
                self.settle(queue, place, Stand::Refused(why), wakers);
            }
        }
    }

    /// Hands slots to those who wait, in their order, until there is none left for them.
    fn serve(&mut self, queue: &Queue, now: Moment, wakers: &mut Vec<Waker>) {
        match self.gate {
            Gate::Open => {}
            Gate::Shut { until } if now >= until => {}
            Gate::Knocking { since } if now.since(since) >= KNOCK_LOST => {}
            Gate::Shut { .. } | Gate::Knocking { .. } => return,
        }
        while self.lines.len() > 0 {
            let newest = self.settings.order == Order::Newest && self.stands(now);
            let mut served = None;
            for place in self.lines.in_turn(newest) {
                match self.attempt(queue, place, now) {
                    Served::Settled(stand) => {
                        served = Some((place, stand));
                        break;
                    }
                    Served::Skip => {}
                    Served::Stop => break,
                    Served::Early => {
                        if self.pace.lookout.is_none() {
                            self.pace.lookout = Some(place);
                            wakers.extend(self.lines.get_mut(place).waker.take());
                        }
                        return;
                    }
                }
            }
            let Some((place, stand)) = served else {
                if self.down.is_some() {
                    // Whoever is not held any more hears of it at once.
                    self.expire(queue, now, wakers);
                }
                return;
            };
            let is_granted = matches!(stand, Stand::Granted(_));
            if is_granted {
                self.lines.took_turn(place);
                self.pace.handed_out(now, self.gap(queue));
            }
            self.settle(queue, place, stand, wakers);
            if is_granted && self.gate != Gate::Open {
                self.gate = Gate::Knocking { since: now };
                return;
            }
        }
    }

    fn attempt(&mut self, queue: &Queue, place: u32, now: Moment) -> Served {
        let waiting = self.lines.get(place);
        let ask = Ask {
            now,
            key: waiting.key,
            sticky: waiting.sticky.as_deref(),
            tried: &waiting.tried,
            priority: waiting.priority,
        };
        let set = waiting.source.load_full();
        let is_choosy = set.is_bound(&ask) || !ask.tried.is_empty();
        let mut picked = Set::pick(&set, &ask, &mut self.rng);
        if let (Err(NoEndpoint::AllDown | NoEndpoint::Empty), Some(current)) =
            (&picked, self.current.upgrade())
            && !Arc::ptr_eq(&current, &waiting.source)
        {
            // What it began with is gone; what a reload has put in its place may be there.
            picked = Set::pick(&current.load_full(), &ask, &mut self.rng);
        }
        let was_down = self.down.is_some();
        match picked {
            Ok(lease) => {
                if was_down {
                    self.is_up_again(now);
                }
                match self.overdue(queue, self.lines.get(place), now) {
                    // Dropping the lease would come back here for the lock.
                    Some(why) if self.gate == Gate::Open => {
                        lease.give_back();
                        Served::Settled(Stand::Refused(why))
                    }
                    None if self.gate == Gate::Open && now < self.due(queue) => {
                        lease.give_back();
                        Served::Early
                    }
                    _ => Served::Settled(Stand::Granted(lease)),
                }
            }
            Err(NoEndpoint::Full) => {
                if was_down {
                    self.is_up_again(now);
                }
                if let Some(why) = self.overdue(queue, self.lines.get(place), now) {
                    return Served::Settled(Stand::Refused(why));
                }
                if is_choosy { Served::Skip } else { Served::Stop }
            }
            Err(why @ NoEndpoint::AllTried) => Served::Settled(Stand::Refused(Unserved::NoEndpoint(why))),
            Err(why) => {
                self.down = Some(why);
                Served::Stop
            }
        }
    }

    /// One that has a ticket looks what has become of it, which is told once.
    fn look(
        &mut self,
        queue: &Queue,
        place: u32,
        now: Moment,
        waker: &Waker,
        wakers: &mut Vec<Waker>,
    ) -> Option<Result<Lease, Unserved>> {
        if matches!(self.lines.get(place).stand, Stand::Waiting) {
            let is_lookout = self.pace.lookout == Some(place);
            let overdue = self.overdue(queue, self.lines.get(place), now);
            if overdue.is_some() || is_lookout {
                // It need not be woken.
                self.lines.get_mut(place).waker = None;
            }
            if let Some(why) = overdue {
                self.settle(queue, place, Stand::Refused(why), wakers);
            }
            if is_lookout && (overdue.is_some() || now >= self.due(queue)) {
                self.pace.lookout = None;
                self.serve(queue, now, wakers);
            }
        }
        let place = self.lines.get_mut(place);
        match core::mem::replace(&mut place.stand, Stand::Refused(Unserved::Timeout)) {
            Stand::Waiting => {
                place.stand = Stand::Waiting;
                if !place.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                    place.waker = Some(waker.clone());
                }
                None
            }
            Stand::Granted(lease) => Some(Ok(lease)),
            Stand::Refused(why) => Some(Err(why)),
        }
    }

    /// The shortest time from one slot to the next.
    fn gap(&self, queue: &Queue) -> Duration {
        let slots = self.current.upgrade().and_then(|current| current.load().slots());
        slots.map_or(Duration::ZERO, |slots| pace::gap(queue.quick.load(Relaxed), slots))
    }

    /// When the next slot may be handed out.
    fn due(&self, queue: &Queue) -> Moment {
        self.pace.due(self.gap(queue))
    }

    /// One that waits does not any more.
    fn settle(&mut self, queue: &Queue, place: u32, stand: Stand, wakers: &mut Vec<Waker>) {
        let priority = self.lines.get(place).priority;
        let waker = self.lines.settle(place, stand);
        self.pace.left(place);
        wakers.extend(waker);
        self.left(queue, priority);
    }

    fn left(&mut self, queue: &Queue, priority: Priority) {
        queue.count(priority, false);
        if self.lines.len() == 0 {
            self.stands_since = None;
            self.is_catching_up = false;
            self.down = None;
        }
    }
}

/// A place in the queue; given up when dropped.
#[must_use]
pub struct Ticket {
    queue: Arc<Queue>,
    place: u32,
}

/// What became of one who waited.
#[derive(Debug)]
pub struct Waited {
    /// Its lease, or why it gets none.
    pub result: Result<Lease, Unserved>,
    /// How long it waited for an endpoint to be there.
    pub held: Duration,
    /// How long it waited for a slot.
    pub queued: Duration,
}

impl Ticket {
    /// Ready once it is known what becomes of the request; until then `waker` is called when it may be. It is also to be
    /// polled at [`Ticket::next_look`].
    pub fn poll(&self, now: Moment, waker: &Waker) -> Poll<Waited> {
        let now = self.queue.tell(now);
        let mut wakers = Vec::new();
        let mut state = self.queue.state();
        let settled = state.look(&self.queue, self.place, now, waker, &mut wakers);
        let (held, queued) = state.waited(self.place, now);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        match settled {
            None => Poll::Pending,
            Some(result) => {
                let result = result.map(|lease| lease.from(now));
                Poll::Ready(Waited { result, held, queued })
            }
        }
    }

    /// When to poll it again whether it is woken or not, if that has to be: one of those who wait takes care that a slot
    /// is handed out when it is due. Asked after each poll.
    pub fn next_look(&self) -> Option<Moment> {
        let state = self.queue.state();
        (state.pace.lookout == Some(self.place)).then(|| state.due(&self.queue))
    }

    /// How long it has waited, for an endpoint to be there and for a slot.
    pub fn waited(&self, now: Moment) -> (Duration, Duration) {
        self.queue.state().waited(self.place, now)
    }

    /// Whether it waits for an endpoint to be there, rather than for a slot.
    pub fn is_held(&self) -> bool {
        let state = self.queue.state();
        state.down.is_some() || state.gate != Gate::Open
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let priority = state.lines.get(self.place).priority;
        let was_lookout = state.pace.lookout == Some(self.place);
        state.pace.left(self.place);
        let (stand, was_waiting) = state.lines.leave(self.place);
        if was_waiting {
            state.left(&self.queue, priority);
        }
        drop(state);
        // A slot that was handed to it goes to the next one, for which the lock has to be free.
        drop(stand);
        if was_lookout {
            self.queue.freed();
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.place)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({:?} waiting)", self.counts())
    }
}
