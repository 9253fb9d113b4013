//! One address of an upstream: what is known about it, shared by all cores.
//!
//! What every request touches is atomic: the requests in flight, the failures in a row, the window of
//! the last ten seconds, and the gates, which are the endpoint's state boiled down to "from when on may
//! it be used". The state itself ([`State`], drawn there) changes rarely and sits behind a lock that a
//! healthy endpoint's requests never take.

mod address;
mod ewma;
mod slots;
mod standing;

pub use address::{Address, BadAddress};
pub use slots::Concurrency;
pub(crate) use slots::Slots;
pub use standing::{Cause, Ejection, Return, State};

use crate::balance::hash_key;
use crate::health::{self, ProbeFailure};
use crate::moment::{Moment, nanos};
use crate::outlier::{self, Failure};
use crate::window::Window;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use ewma::PeakEwma;
use standing::{Standing, UNTIL_UNDRAINED};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of an endpoint, unique in this process and never given twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct EndpointId(pub u32);

/// One address of an upstream.
pub struct Endpoint {
    id: EndpointId,
    address: Address,
    backup: bool,
    seed: u64,
    tag: Box<str>,
    weight: AtomicU32,
    slots: Slots,
    /// [`standing::Gates`], in nanoseconds, written whenever the standing changes.
    open_from: AtomicU64,
    panic_from: AtomicU64,
    /// 0 when there is nothing to ramp.
    ramp_from: AtomicU64,
    /// Whether a success must look at the standing.
    suspect: AtomicBool,
    failures: AtomicU32,
    connect_failures: AtomicU32,
    /// All requests left, failed ones right.
    window: Window,
    /// Slow answers left.
    slow: Window,
    ewma: PeakEwma,
    standing: Mutex<Standing>,
}

impl Endpoint {
    /// A new endpoint, usable at once. A `weight` of 0 takes no traffic; a `backup` takes some only
    /// when no other endpoint is usable.
    pub fn new(address: Address, weight: u32, backup: bool) -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let seed = hash_key(address.to_string().as_bytes());
        Arc::new(Self {
            id: EndpointId(NEXT.fetch_add(1, Relaxed)),
            address,
            backup,
            seed,
            tag: format!("{seed:016x}").into(),
            weight: AtomicU32::new(weight),
            slots: Slots::new(),
            open_from: AtomicU64::new(0),
            panic_from: AtomicU64::new(0),
            ramp_from: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            connect_failures: AtomicU32::new(0),
            window: Window::default(),
            slow: Window::default(),
            ewma: PeakEwma::default(),
            standing: Mutex::default(),
        })
    }

    /// Its number.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether it serves only when no other endpoint is usable.
    pub fn backup(&self) -> bool {
        self.backup
    }

    /// The value of a sticky cookie that names this endpoint: 16 hexadecimal digits, made from the
    /// address, so every instance and every restart of Tidegate gives the same.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Its share of the traffic, relative to the others' weights.
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Gives it another weight, from the next pick on.
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Relaxed);
    }

    /// Requests that it is working on, from all cores.
    pub fn in_flight(&self) -> u32 {
        self.slots.in_flight()
    }

    /// What it is at this moment.
    pub fn state(&self, now: Moment) -> State {
        self.standing().state(now)
    }

    /// Requests and failures of the last ten seconds, as the outlier rules see them.
    pub fn recent(&self, now: Moment) -> Recent {
        let counts = self.window.counts(now);
        Recent { requests: counts.left, failures: counts.right }
    }

    /// The moving average of its latency; measured only for peak-EWMA balancing.
    pub fn latency(&self, now: Moment, decay: Duration) -> Option<Duration> {
        self.ewma.cost(now, decay).map(|cost| Duration::from_nanos(cost as u64))
    }

    /// Says that probes are on their way: the state is Probing until the first one answers.
    pub fn expect_verdict(&self) {
        self.change(Standing::expect_verdict);
    }

    /// Says that it is no longer probed: what probes found is forgotten.
    pub fn forget_verdict(&self) {
        self.change(Standing::forget_verdict);
    }

    /// Takes in the result of a probe.
    pub fn probe(
        self: &Arc<Self>,
        now: Moment,
        settings: &health::Settings,
        result: Result<(), ProbeFailure>,
    ) -> Option<Transition> {
        self.transition(now, |standing| standing.probe(now, settings, result))
    }

    /// The operator's word: take no new work (`on`), or take it again.
    pub fn drain(self: &Arc<Self>, on: bool, now: Moment) -> Option<Transition> {
        self.transition(now, |standing| standing.drain(on, now))
    }

    /// Notes that an ejection has run out. The endpoint is usable from that moment on in any case; this
    /// is how the change gets known. See [`Endpoint::returns_at`].
    pub fn settle(self: &Arc<Self>, now: Moment) -> Option<Transition> {
        let until = self.returns_at().filter(|until| *until <= now)?;
        // The state on the eve of the return, for afterwards it reads as returned already.
        let eve = Moment(until.0.saturating_sub(1));
        self.transition(eve, |standing| standing.settle(now))
    }

    /// When the running ejection ends; in the past when nobody has called [`Endpoint::settle`] since.
    pub fn returns_at(&self) -> Option<Moment> {
        if self.suspect.load(Relaxed) { self.standing().ends() } else { None }
    }

    /// Whether it may be used; with `panic`, whether it may be used when judgements are ignored.
    pub(crate) fn is_open(&self, now: Moment, panic: bool) -> bool {
        let gate = if panic { &self.panic_from } else { &self.open_from };
        gate.load(Relaxed) <= now.0
    }

    /// Whether the operator has taken it out of the traffic.
    pub fn is_draining(&self) -> bool {
        self.open_from.load(Relaxed) == UNTIL_UNDRAINED.0
    }

    pub(crate) fn is_ejected(&self, now: Moment) -> bool {
        self.suspect.load(Relaxed) && self.standing().is_ejected(now)
    }

    /// The weight times 1024, less while it starts slowly after a return: the share rises in a straight
    /// line from a tenth, since nothing at all would never warm it up.
    pub(crate) fn effective_weight(&self, now: Moment, slow_start: Duration) -> u64 {
        let full = u64::from(self.weight()) << 10;
        if slow_start.is_zero() {
            return full;
        }
        let ramp_from = self.ramp_from.load(Relaxed);
        let passed = now.0.saturating_sub(ramp_from);
        let whole = nanos(slow_start);
        if ramp_from == 0 || passed >= whole {
            return full;
        }
        let share = (passed as f64 / whole as f64).max(0.1);
        ((full as f64 * share) as u64).max(1)
    }

    /// Where the endpoint stands among the others for a key; uniform over 53 bits.
    pub(crate) fn rank(&self, key: u64) -> u64 {
        crate::balance::mix(key ^ self.seed) >> 11
    }

    pub(crate) fn cost(&self, now: Moment, decay: Duration) -> Option<f32> {
        self.ewma.cost(now, decay)
    }

    pub(crate) fn observe(&self, now: Moment, latency: Duration, decay: Duration) {
        self.ewma.observe(now, latency, decay);
    }

    /// How many requests it may have at once now, streams not among them where the limit is adaptive; `None` is no limit.
    pub fn limit(&self) -> Option<u32> {
        self.slots.limit()
    }

    /// Slots that are taken.
    pub fn taken(&self) -> u32 {
        self.slots.taken()
    }

    /// What a request takes there while nobody waits, where the limit is adaptive and has been measured.
    pub fn baseline(&self) -> Option<Duration> {
        self.slots.baseline()
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// A request that `began` then has succeeded.
    pub(crate) fn succeed(self: &Arc<Self>, began: Moment, now: Moment) -> Option<Transition> {
        self.window.add(now, 1, 0);
        // A healthy endpoint's counts are zero; not writing keeps the cache line shared.
        for count in [&self.failures, &self.connect_failures] {
            if count.load(Relaxed) != 0 {
                count.store(0, Relaxed);
            }
        }
        if !self.suspect.load(Relaxed) {
            return None;
        }
        let returned = self.settle(now);
        self.transition(now, |standing| standing.succeed(began, now)).or(returned)
    }

    /// Counts a slow answer, which has been counted as a success before; says whether there are too many of them.
    pub(crate) fn is_slow(&self, now: Moment, settings: &outlier::Settings) -> bool {
        self.slow.add(now, 1, 0);
        let requests = self.window.counts(now).left;
        requests >= u64::from(settings.minimum_volume.max(1))
            && self.slow.counts(now).left as f64 >= requests as f64 * settings.slow_share
    }

    /// Counts a failure; says why it should be ejected, if it should. Wants [`Endpoint::settle`] before.
    pub(crate) fn fail(
        &self,
        began: Moment,
        now: Moment,
        failure: Failure,
        settings: &outlier::Settings,
    ) -> Option<Ejection> {
        self.window.add(now, 1, 1);
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        let connect_failures = if failure.is_proof() {
            self.connect_failures.fetch_add(1, Relaxed) + 1
        } else {
            self.connect_failures.store(0, Relaxed);
            0
        };
        if self.suspect.load(Relaxed) {
            let standing = self.standing();
            if standing.is_ejected(now) {
                return None;
            }
            if standing.relapses(began) {
                let proof = failure.is_proof() && settings.connect_failures > 0;
                return Some(if proof { Ejection::ConnectFailures } else { Ejection::Relapsed });
            }
        }
        let reaches = |count: u32, bound: u32| bound > 0 && count >= bound;
        if reaches(connect_failures, settings.connect_failures) {
            return Some(Ejection::ConnectFailures);
        }
        if reaches(failures, settings.consecutive_failures) {
            return Some(Ejection::ConsecutiveFailures);
        }
        let counts = self.window.counts(now);
        let judged = counts.left >= u64::from(settings.minimum_volume.max(1));
        let share = counts.right as f64 / counts.left as f64;
        (judged && share >= settings.failure_share).then_some(Ejection::FailureRate)
    }

    /// Takes it out. What led here is forgotten, so that the time after its return is judged anew.
    pub(crate) fn eject(
        self: &Arc<Self>,
        why: Ejection,
        failure: Failure,
        now: Moment,
        settings: &outlier::Settings,
    ) -> Option<Transition> {
        self.failures.store(0, Relaxed);
        self.connect_failures.store(0, Relaxed);
        self.window.clear();
        self.slow.clear();
        self.transition(now, |standing| Some(standing.eject(why, failure, now, settings)))
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // Nothing that holds the lock can panic half-way through a change.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the standing and publishes what follows from it.
    fn change<T>(&self, change: impl FnOnce(&mut Standing) -> T) -> T {
        let mut standing = self.standing();
        let result = change(&mut standing);
        let gates = standing.gates();
        self.open_from.store(gates.calm.0, Relaxed);
        self.panic_from.store(gates.panic.0, Relaxed);
        self.ramp_from.store(gates.ramp.map_or(0, |from| from.0.max(1)), Relaxed);
        self.suspect.store(standing.is_suspect(), Relaxed);
        result
    }

    /// The same, and tells what changed, if the state did.
    fn transition(
        self: &Arc<Self>,
        now: Moment,
        change: impl FnOnce(&mut Standing) -> Option<Cause>,
    ) -> Option<Transition> {
        let (from, cause, to) = self.change(|standing| {
            let from = standing.state(now);
            let cause = change(standing);
            (from, cause, standing.state(now))
        });
        let why = cause.filter(|_| from.index() != to.index())?;
        Some(Transition { endpoint: Arc::clone(self), from, to, why })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, address, backup, .. } = self;
        write!(f, "Endpoint({} {address} weight {} backup {backup})", id.0, self.weight())
    }
}

/// What the outlier rules see of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    /// Tries that were judged in the last ten seconds.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
}

/// A change of an endpoint's state, to be logged and counted.
#[derive(Clone, Debug)]
pub struct Transition {
    /// Whose.
    pub endpoint: Arc<Endpoint>,
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// What caused it.
    pub why: Cause,
}

/// An endpoint as configured or resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Where.
    pub address: Address,
    /// Its weight; 0 takes no traffic.
    pub weight: u32,
    /// Whether it is a backup.
    pub backup: bool,
}

/// The endpoints that are wanted, taken over from `known` where the address is the same, so that their
/// state, requests in flight and counts live on; only their weight is set. Repeated addresses count once.
pub fn adopt(known: &[Arc<Endpoint>], wanted: impl IntoIterator<Item = Wanted>) -> Vec<Arc<Endpoint>> {
    let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
    for Wanted { address, weight, backup } in wanted {
        if endpoints.iter().any(|endpoint| endpoint.address == address) {
            continue;
        }
        let old = known.iter().find(|old| old.address == address && old.backup == backup);
        endpoints.push(if let Some(old) = old {
            old.set_weight(weight);
            Arc::clone(old)
        } else {
            Endpoint::new(address, weight, backup)
        });
    }
    endpoints
}
