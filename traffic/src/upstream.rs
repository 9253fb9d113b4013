//! A named group of endpoints: who gets the next request, and what its outcome means.
//!
//! A pick goes in two steps. First, who may be picked at all: endpoints with weight that are not
//! drained, down, ejected or tried already; backups only when no primary is left. When fewer endpoints
//! are healthy than the panic share, judgements (too many failures, a probe's wrong status) are ignored,
//! but never proof (no connection, no valid answer). Second, the policy picks among those.

use crate::balance::{Field, Policy, Rotation};
use crate::endpoint::{
    Address, Concurrency, Ejection, Endpoint, EndpointId, State, Transition, Wanted, adopt,
};
use crate::moment::Moment;
use crate::outlier::{self, Failure};
use crate::queue::{self, Joining, Priority, Queue, Ticket, Unserved};
use crate::retry::{self, Budget, NoRetry, RetryAsk};
use arc_swap::ArcSwap;
use core::cell::Cell;
use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

/// How an upstream behaves.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    /// How the load is spread.
    pub policy: Policy,
    /// When live traffic takes an endpoint out.
    pub outlier: outlier::Settings,
    /// How far retries may go.
    pub retry: retry::Settings,
    /// Time over which an endpoint's weight rises from a tenth to all of it after it was away. Default
    /// zero: at once.
    pub slow_start: Duration,
    /// How many requests the endpoints have at once, and who waits for them.
    pub queue: queue::Settings,
}

/// A group of endpoints. Shared by all cores; a pick takes no lock (round-robin: a short one).
#[derive(Debug)]
pub struct Upstream {
    set: Arc<ArcSwap<Set>>,
    budget: Budget,
    queue: Arc<Queue>,
}

/// The endpoints at one time, with what belongs to exactly these. A lease holds on to its set, so that a
/// verdict is always reached among the endpoints that were there when the request began.
#[derive(Debug)]
pub(crate) struct Set {
    settings: Arc<Settings>,
    queue: Arc<Queue>,
    endpoints: Arc<[Arc<Endpoint>]>,
    rotation: Rotation,
    /// Held while an ejection is decided, so that two at once cannot exceed the share together.
    judging: Mutex<()>,
}

impl Set {
    fn new(settings: Arc<Settings>, endpoints: Vec<Arc<Endpoint>>, queue: Arc<Queue>) -> Arc<Self> {
        let rotation = Rotation::new(endpoints.len());
        for endpoint in &endpoints {
            endpoint.slots().configure(settings.queue.concurrency, false);
        }
        Arc::new(Self { settings, queue, endpoints: endpoints.into(), rotation, judging: Mutex::new(()) })
    }

    /// Whether the policy sends the request to one endpoint, and to no other as long as that one is usable.
    pub(crate) fn is_bound(&self, ask: &Ask<'_>) -> bool {
        match self.settings.policy {
            Policy::Client => ask.key.is_some(),
            Policy::Hash { bound } => ask.key.is_some() && bound.is_infinite(),
            Policy::Sticky => ask.sticky.is_some(),
            Policy::LeastRequests | Policy::RoundRobin | Policy::PeakEwma { .. } => false,
        }
    }

    /// Slots of all endpoints that are not drained; `None` is no limit.
    pub(crate) fn slots(&self) -> Option<u64> {
        let open = self.endpoints.iter().filter(|endpoint| endpoint.weight() > 0 && !endpoint.is_draining());
        open.map(|endpoint| endpoint.limit().map(u64::from)).sum()
    }

    /// See [`Upstream::pick`].
    pub(crate) fn pick(set: &Arc<Self>, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Result<Lease, NoEndpoint> {
        let kept_share = set.queue.kept_share(ask.priority, set.settings.queue.reserve_share, ask.now);
        // Another core may take the last slot, or the last endpoint out, between the survey and the taking.
        for _ in 0..RACES {
            let field = survey(set, ask, kept_share)?;
            if field.admitted == 0 {
                break;
            }
            let mut named = true;
            let index = match (set.settings.policy, ask.key) {
                (Policy::RoundRobin, _) => field.round_robin(&set.rotation),
                (Policy::PeakEwma { decay }, _) => field.peak_ewma(decay, rng),
                (Policy::Client, Some(key)) => field.crowded().hash(key, f64::INFINITY),
                (Policy::Hash { bound }, Some(key)) if bound.is_infinite() => {
                    field.crowded().hash(key, bound)
                }
                (Policy::Hash { bound }, Some(key)) => field.hash(key, bound),
                (Policy::Sticky, _) => {
                    ask.sticky.and_then(|cookie| field.crowded().sticky(cookie)).or_else(|| {
                        named = false;
                        field.least_requests(rng)
                    })
                }
                (Policy::LeastRequests | Policy::Client | Policy::Hash { .. }, _) => {
                    field.least_requests(rng)
                }
            };
            let Some(index) = index else { continue };
            let endpoint = &set.endpoints[index];
            if endpoint.slots().enter(kept_share) {
                return Ok(Lease {
                    set: Arc::clone(set),
                    index,
                    began: ask.now,
                    named,
                    hold: Cell::new(Hold::Slot),
                    is_quiet: false,
                });
            }
            if set.is_bound(ask) {
                break;
            }
        }
        set.endpoints.iter().for_each(|endpoint| endpoint.slots().note_wanted());
        Err(NoEndpoint::Full)
    }
}

/// How often a pick begins anew because others were faster.
const RACES: usize = 4;

/// What a pick has to know about a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ask<'a> {
    /// When.
    pub now: Moment,
    /// The balance key, by [`crate::balance::hash_key`]; without one, client and hash balancing fall
    /// back to least-requests.
    pub key: Option<u64>,
    /// The value of the sticky cookie.
    pub sticky: Option<&'a [u8]>,
    /// Endpoints that have already failed this request.
    pub tried: &'a [EndpointId],
    /// How much it matters.
    pub priority: Priority,
}

/// Why there is no endpoint for a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum NoEndpoint {
    /// There is none with weight that is not drained.
    Empty,
    /// All are down or ejected.
    AllDown,
    /// All that are usable have failed this request already.
    AllTried,
    /// All that could take it have as many requests as they may have.
    Full,
}

impl NoEndpoint {
    /// One of each variant.
    pub const ALL: [Self; 4] = [Self::Empty, Self::AllDown, Self::AllTried, Self::Full];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::AllDown => "all_down",
            Self::AllTried => "all_tried",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for NoEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no endpoint has weight and is not drained",
            Self::AllDown => "every endpoint is down or ejected",
            Self::AllTried => "every usable endpoint has failed this request",
            Self::Full => "every endpoint has as many requests as it may have",
        })
    }
}

/// Why an endpoint cannot be picked for a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PassedOver {
    /// Its weight is 0.
    NoWeight,
    /// It is drained, down or ejected.
    Unusable(State),
    /// It has failed this request already.
    Tried,
    /// It is a backup, and a primary is usable.
    BackupIdle,
    /// It is a primary, but the request is at the backups since no primary is left.
    PrimariesSpent,
    /// It has as many requests as it may have.
    Full,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWeight => f.write_str("has weight 0"),
            Self::Unusable(State::Ejected { why, .. }) => write!(f, "is ejected: {why}"),
            Self::Unusable(State::Down { why }) => write!(f, "is down: {why}"),
            Self::Unusable(state) => write!(f, "is {}", state.code()),
            Self::Tried => f.write_str("has failed this request already"),
            Self::BackupIdle => f.write_str("is a backup, and a primary endpoint is usable"),
            Self::PrimariesSpent => f.write_str("is a primary, but only backups are left"),
            Self::Full => f.write_str("has no free slot"),
        }
    }
}

impl Upstream {
    /// A group of these endpoints. To change settings, make a new upstream with the old one's endpoints:
    /// their state, counts and requests in flight are their own and live on.
    pub fn new(settings: Settings, endpoints: Vec<Arc<Endpoint>>) -> Self {
        let queue = Queue::new(settings.queue.clone());
        let this = Self::with_queue(settings, endpoints, queue);
        this.enforce();
        this
    }

    /// The same with the queue of the upstream that it will replace, so that who waits there keeps its place. The slots
    /// and the queue go by the new settings from [`Upstream::enforce`] on.
    pub fn with_queue(settings: Settings, endpoints: Vec<Arc<Endpoint>>, queue: Arc<Queue>) -> Self {
        let set = Set::new(Arc::new(settings), endpoints, Arc::clone(&queue));
        Self { set: Arc::new(ArcSwap::new(set)), budget: Budget::default(), queue }
    }

    /// Puts its settings in force for slots and queue, which it shares with the one before it.
    pub fn enforce(&self) {
        let set = self.set.load();
        for endpoint in &*set.endpoints {
            endpoint.slots().configure(set.settings.queue.concurrency, true);
        }
        self.queue.configure(set.settings.queue.clone(), &self.set);
        self.queue.freed();
    }

    /// Slots and who waits for them, for people.
    pub fn slots(&self, now: Moment) -> SlotsReading {
        let set = self.set.load();
        let mut reading = SlotsReading {
            limit: Some(0),
            is_adaptive: set.settings.queue.concurrency == Concurrency::Adaptive,
            standing: self.queue.standing(now),
            ..SlotsReading::default()
        };
        for endpoint in &*set.endpoints {
            reading.taken += endpoint.taken();
            reading.in_flight += endpoint.in_flight();
            if endpoint.weight() > 0 && endpoint.state(now).is_usable() {
                reading.limit =
                    reading.limit.zip(endpoint.limit()).map(|(sum, limit)| sum.saturating_add(limit));
            }
        }
        reading
    }

    /// Who waits.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Replaces the endpoints. Leases on those that leave stay valid until they end.
    pub fn set_endpoints(&self, endpoints: Vec<Arc<Endpoint>>) {
        let settings = Arc::clone(&self.set.load().settings);
        self.set.store(Set::new(settings, endpoints, Arc::clone(&self.queue)));
    }

    /// Replaces the endpoints by those that a name resolved to, or a reload wants; those that stay keep
    /// their state. See [`adopt`].
    pub fn reconcile(&self, wanted: impl IntoIterator<Item = Wanted>) {
        let known = self.endpoints();
        self.set_endpoints(adopt(&known, wanted));
    }

    /// The endpoints as they are now.
    pub fn endpoints(&self) -> Arc<[Arc<Endpoint>]> {
        Arc::clone(&self.set.load().endpoints)
    }

    /// The settings it was made with.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.set.load().settings)
    }

    /// Picks an endpoint that has a free slot, and takes the slot until the lease is dropped. Allocates nothing. Asks
    /// nobody who waits: see [`Upstream::admit`].
    pub fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Result<Lease, NoEndpoint> {
        Set::pick(&self.set.load(), ask, rng)
    }

    /// The same for a request that has just come: those who wait go first.
    #[inline]
    pub fn admit(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Result<Lease, NoEndpoint> {
        if self.queue.is_waited(ask.priority) { Err(NoEndpoint::Full) } else { self.pick(ask, rng) }
    }

    /// Waits for a slot.
    ///
    /// # Errors
    /// The queue is full.
    pub fn join(&self, joining: &Joining<'_>) -> Result<Ticket, Unserved> {
        self.queue.join(&self.set, joining)
    }

    /// Every endpoint, and why it could not be picked for such a request, if so.
    pub fn explain(&self, ask: &Ask<'_>) -> Vec<(Arc<Endpoint>, Result<(), PassedOver>)> {
        let set = self.set.load_full();
        let field = survey(&set, ask, 0.0).ok();
        let verdict = |endpoint: &Endpoint| {
            if endpoint.weight() == 0 {
                return Err(PassedOver::NoWeight);
            }
            let panic = field.as_ref().is_some_and(|field| field.panic);
            if !endpoint.is_open(ask.now, panic) {
                return Err(PassedOver::Unusable(endpoint.state(ask.now)));
            }
            if ask.tried.contains(&endpoint.id()) {
                return Err(PassedOver::Tried);
            }
            match &field {
                Some(field) if endpoint.backup() && !field.backup => Err(PassedOver::BackupIdle),
                Some(field) if !endpoint.backup() && field.backup => Err(PassedOver::PrimariesSpent),
                _ if !endpoint.slots().has_room(0.0) => Err(PassedOver::Full),
                _ => Ok(()),
            }
        };
        set.endpoints.iter().map(|endpoint| (Arc::clone(endpoint), verdict(endpoint))).collect()
    }

    /// Whether judgements are ignored at the moment because too few endpoints are healthy.
    pub fn is_panicking(&self, now: Moment) -> bool {
        let set = self.set.load();
        let tally = Tally::of(&set, &Ask { now, ..Ask::default() }, 0.0);
        tally.is_panic(&set)
    }

    /// Notes ejections that have run out, and tells each; call it every second or at
    /// [`Upstream::next_return`]. Picks do not wait for it.
    pub fn settle(&self, now: Moment, mut tell: impl FnMut(Transition)) {
        for endpoint in &*self.set.load().endpoints {
            endpoint.settle(now).into_iter().for_each(&mut tell);
        }
    }

    /// When the next ejection ends.
    pub fn next_return(&self) -> Option<Moment> {
        self.set.load().endpoints.iter().filter_map(|endpoint| endpoint.returns_at()).min()
    }

    /// The operator's word on one endpoint: take no new work (`on`), or take it again. `None` also when
    /// there is no such endpoint; see [`Upstream::find`].
    pub fn drain(&self, address: &Address, on: bool, now: Moment) -> Option<Transition> {
        self.find(address)?.drain(on, now)
    }

    /// The endpoint at an address.
    pub fn find(&self, address: &Address) -> Option<Arc<Endpoint>> {
        self.set.load().endpoints.iter().find(|endpoint| endpoint.address() == address).cloned()
    }

    /// What retries are drawn from; [`Budget::deposit`] wants to be called once per request.
    pub fn retry_budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether a failed request may be tried again, by this upstream's settings and budget.
    pub fn may_retry(&self, now: Moment, ask: &RetryAsk) -> Result<(), NoRetry> {
        self.budget.may_retry(&self.set.load().settings.retry, now, ask)
    }
}

/// Slots of an upstream at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlotsReading {
    /// Slots of the usable endpoints together; `None` is no limit.
    pub limit: Option<u32>,
    /// Whether the limit is found out.
    pub is_adaptive: bool,
    /// Slots that are taken.
    pub taken: u32,
    /// Requests in flight, streams and tunnels included.
    pub in_flight: u32,
    /// Who waits.
    pub standing: queue::Standing,
}

/// How many endpoints could be picked, by kind: primaries, then backups.
#[derive(Clone, Copy, Default)]
struct Tally {
    serving: u32,
    kinds: [Kind; 2],
}

/// Endpoints of one kind; calm at 0, panic at 1.
#[derive(Clone, Copy, Default)]
struct Kind {
    usable: [usize; 2],
    untried: [usize; 2],
    /// Of the untried, those with a free slot.
    free: [usize; 2],
}

impl Tally {
    fn of(set: &Set, ask: &Ask<'_>, kept_share: f64) -> Self {
        let mut this = Self::default();
        for endpoint in &*set.endpoints {
            if endpoint.weight() == 0 || endpoint.is_draining() {
                continue;
            }
            this.serving += 1;
            let kind = &mut this.kinds[usize::from(endpoint.backup())];
            let untried = !ask.tried.contains(&endpoint.id());
            let free = untried && endpoint.slots().has_room(kept_share);
            for panic in [false, true] {
                let open = usize::from(endpoint.is_open(ask.now, panic));
                kind.usable[usize::from(panic)] += open;
                kind.untried[usize::from(panic)] += if untried { open } else { 0 };
                kind.free[usize::from(panic)] += if free { open } else { 0 };
            }
        }
        this
    }

    fn is_panic(&self, set: &Set) -> bool {
        let healthy = self.kinds[0].usable[0] + self.kinds[1].usable[0];
        (healthy as f64) < f64::from(self.serving) * set.settings.outlier.panic_share
    }
}

/// Decides between primaries and backups, calm and panic; whether any of them has a free slot is for the caller to see.
fn survey<'a>(set: &'a Set, ask: &Ask<'a>, kept_share: f64) -> Result<Field<'a>, NoEndpoint> {
    let tally = Tally::of(set, ask, kept_share);
    let panic = tally.is_panic(set);
    let at = usize::from(panic);
    let [primaries, backups] = tally.kinds;
    let backup = match (primaries.untried[at], backups.untried[at]) {
        (0, 0) if tally.serving == 0 => return Err(NoEndpoint::Empty),
        (0, 0) if primaries.usable[at] + backups.usable[at] == 0 => return Err(NoEndpoint::AllDown),
        (0, 0) => return Err(NoEndpoint::AllTried),
        (0, _) => true,
        _ => false,
    };
    let admitted = tally.kinds[usize::from(backup)].free[at];
    Ok(Field {
        endpoints: &set.endpoints,
        now: ask.now,
        slow_start: set.settings.slow_start,
        tried: ask.tried,
        backup,
        panic,
        kept_share: Some(kept_share),
        admitted,
    })
}

/// A request at an endpoint: counted as in flight there until dropped. Dropping says nothing about how
/// it went; that is what [`Lease::succeed`] and [`Lease::fail`] are for.
#[derive(Debug)]
pub struct Lease {
    set: Arc<Set>,
    index: usize,
    began: Moment,
    named: bool,
    hold: Cell<Hold>,
    /// Nobody is told of the slot that its end leaves free.
    is_quiet: bool,
}

/// What a lease holds at its endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hold {
    /// A slot; its latency is not known yet.
    Slot,
    /// A slot, though it was answered: there is more to come.
    Answered,
    /// No slot any more: its response goes on for as long as it likes.
    Stream,
    /// No slot any more, and no response yet.
    Long,
}

impl Lease {
    /// The same, begun now.
    pub(crate) fn from(mut self, now: Moment) -> Self {
        self.began = now;
        self
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.set.endpoints[self.index]
    }

    /// The value to set the sticky cookie to; `None` when the client has the right one, or the policy
    /// is not sticky.
    pub fn cookie(&self) -> Option<&str> {
        (!self.named).then(|| self.endpoint().tag())
    }

    /// The endpoint answered. `latency` is the time from the try's beginning to the response head. The
    /// change that is told is a return; or an ejection, where too many answers are slow.
    pub fn succeed(&self, now: Moment, latency: Duration) -> Option<Transition> {
        let endpoint = self.endpoint();
        if let Policy::PeakEwma { decay } = self.set.settings.policy {
            endpoint.observe(now, latency, decay);
        }
        self.answered(now);
        let returned = endpoint.succeed(self.began, now);
        let settings = &self.set.settings.outlier;
        if settings.slow.is_none_or(|slow| latency <= slow) || !endpoint.is_slow(now, settings) {
            return returned;
        }
        self.eject(Ejection::SlowShare, Failure::Timeout, now).or(returned)
    }

    /// The response's head has come, and its body is still to come, or a tunnel: how long that takes is nobody's latency.
    pub fn stream(&self, now: Moment) {
        self.answered(now);
        if self.hold.get() == Hold::Answered && self.endpoint().slots().stream() {
            self.hold.set(Hold::Stream);
            self.set.queue.freed();
        }
    }

    /// No response yet, for long: perhaps it is one that waits on purpose.
    pub fn linger(&self, now: Moment) {
        let slots = self.endpoint().slots();
        if self.hold.get() == Hold::Slot && slots.is_long(self.began, now) && slots.stream() {
            self.hold.set(Hold::Long);
            self.set.queue.freed();
        }
    }

    fn answered(&self, now: Moment) {
        let latency = now.since(self.began);
        match self.hold.get() {
            Hold::Slot => {
                self.hold.set(Hold::Answered);
                self.endpoint().slots().answered(now, latency);
                self.set.queue.note_service(now, latency);
            }
            Hold::Long => {
                self.hold.set(Hold::Stream);
                self.endpoint().slots().answered_late(now, latency);
            }
            Hold::Answered | Hold::Stream => {}
        }
    }

    /// Ends it while the queue is being looked after by whoever has it.
    pub(crate) fn give_back(mut self) {
        self.is_quiet = true;
    }

    fn leave(&self) {
        match self.hold.get() {
            Hold::Slot | Hold::Answered => self.endpoint().slots().leave(),
            Hold::Stream | Hold::Long => self.endpoint().slots().stream_ended(),
        }
    }

    /// The try failed. If that takes the endpoint out, the change is told; else a return that nobody has
    /// noticed yet, if there was one.
    ///
    /// The permission is asked among the endpoints that were there when the request began: at most the
    /// configured share of them is ejected by judgement at once, and never the only one.
    pub fn fail(&self, now: Moment, failure: Failure) -> Option<Transition> {
        let settings = &self.set.settings.outlier;
        let endpoint = self.endpoint();
        let returned = endpoint.settle(now);
        let Some(why) = endpoint.fail(self.began, now, failure, settings) else { return returned };
        self.eject(why, failure, now).or(returned)
    }

    /// Takes the endpoint out, if that is permitted.
    fn eject(&self, why: Ejection, failure: Failure, now: Moment) -> Option<Transition> {
        let endpoint = self.endpoint();
        let _judging = self.set.judging.lock().unwrap_or_else(PoisonError::into_inner);
        // Another core may have been faster while this one waited for the lock.
        if endpoint.is_ejected(now) || !self.may_eject(why, now) {
            return None;
        }
        endpoint.eject(why, failure, now, &self.set.settings.outlier)
    }

    fn may_eject(&self, why: Ejection, now: Moment) -> bool {
        let endpoints = &self.set.endpoints;
        if endpoints.len() < 2 {
            return false;
        }
        let ejected = endpoints.iter().filter(|endpoint| endpoint.is_ejected(now)).count();
        why == Ejection::ConnectFailures || ejected < self.set.settings.outlier.ejected_max(endpoints.len())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leave();
        if !self.is_quiet {
            self.set.queue.freed();
        }
    }
}
