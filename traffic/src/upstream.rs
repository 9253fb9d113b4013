//! A named group of endpoints: who gets the next request, and what its outcome means.
//!
//! A pick goes in two steps. First, who may be picked at all: endpoints with weight that are not
//! drained, down, ejected or tried already; backups only when no primary is left. When fewer endpoints
//! are healthy than the panic share, judgements (too many failures, a probe's wrong status) are ignored,
//! but never proof (no connection, no valid answer). Second, the policy picks among those.

use crate::balance::{Field, Policy, Rotation};
use crate::endpoint::{Address, Ejection, Endpoint, EndpointId, State, Transition, Wanted, adopt};
use crate::moment::Moment;
use crate::outlier::{self, Failure};
use crate::retry::{self, Budget, NoRetry, RetryAsk};
use arc_swap::ArcSwap;
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
}

/// A group of endpoints. Shared by all cores; a pick takes no lock (round-robin: a short one).
#[derive(Debug)]
pub struct Upstream {
    set: ArcSwap<Set>,
    budget: Budget,
}

/// The endpoints at one time, with what belongs to exactly these. A lease holds on to its set, so that a
/// verdict is always reached among the endpoints that were there when the request began.
#[derive(Debug)]
struct Set {
    settings: Arc<Settings>,
    endpoints: Arc<[Arc<Endpoint>]>,
    rotation: Rotation,
    /// Held while an ejection is decided, so that two at once cannot exceed the share together.
    judging: Mutex<()>,
}

impl Set {
    fn new(settings: Arc<Settings>, endpoints: Vec<Arc<Endpoint>>) -> Arc<Self> {
        let rotation = Rotation::new(endpoints.len());
        Arc::new(Self { settings, endpoints: endpoints.into(), rotation, judging: Mutex::new(()) })
    }
}

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
}

impl NoEndpoint {
    /// One of each variant.
    pub const ALL: [Self; 3] = [Self::Empty, Self::AllDown, Self::AllTried];

    /// The word for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::AllDown => "all_down",
            Self::AllTried => "all_tried",
        }
    }
}

impl fmt::Display for NoEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no endpoint has weight and is not drained",
            Self::AllDown => "every endpoint is down or ejected",
            Self::AllTried => "every usable endpoint has failed this request",
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
        }
    }
}

impl Upstream {
    /// A group of these endpoints. To change settings, make a new upstream with the old one's endpoints:
    /// their state, counts and requests in flight are their own and live on.
    pub fn new(settings: Settings, endpoints: Vec<Arc<Endpoint>>) -> Self {
        let set = Set::new(Arc::new(settings), endpoints);
        Self { set: ArcSwap::new(set), budget: Budget::default() }
    }

    /// Replaces the endpoints. Leases on those that leave stay valid until they end.
    pub fn set_endpoints(&self, endpoints: Vec<Arc<Endpoint>>) {
        let settings = Arc::clone(&self.set.load().settings);
        self.set.store(Set::new(settings, endpoints));
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

    /// Picks an endpoint and counts the request as in flight there until the lease is dropped.
    /// Allocates nothing.
    pub fn pick(&self, ask: &Ask<'_>, rng: &mut fastrand::Rng) -> Result<Lease, NoEndpoint> {
        let set = self.set.load_full();
        let field = survey(&set, ask)?;
        let mut named = true;
        let index = match (set.settings.policy, ask.key) {
            (Policy::RoundRobin, _) => field.round_robin(&set.rotation),
            (Policy::PeakEwma { decay }, _) => field.peak_ewma(decay, rng),
            (Policy::Client, Some(key)) => field.hash(key, f64::INFINITY),
            (Policy::Hash { bound }, Some(key)) => field.hash(key, bound),
            (Policy::Sticky, _) => ask.sticky.and_then(|cookie| field.sticky(cookie)).or_else(|| {
                named = false;
                field.least_requests(rng)
            }),
            (Policy::LeastRequests | Policy::Client | Policy::Hash { .. }, _) => field.least_requests(rng),
        };
        // Another core may have taken the last one out since the survey.
        let index = index.ok_or(NoEndpoint::AllDown)?;
        set.endpoints[index].enter();
        Ok(Lease { set, index, began: ask.now, named })
    }

    /// Every endpoint, and why it could not be picked for such a request, if so.
    pub fn explain(&self, ask: &Ask<'_>) -> Vec<(Arc<Endpoint>, Result<(), PassedOver>)> {
        let set = self.set.load_full();
        let field = survey(&set, ask).ok();
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
                _ => Ok(()),
            }
        };
        set.endpoints.iter().map(|endpoint| (Arc::clone(endpoint), verdict(endpoint))).collect()
    }

    /// Whether judgements are ignored at the moment because too few endpoints are healthy.
    pub fn is_panicking(&self, now: Moment) -> bool {
        let set = self.set.load();
        survey(&set, &Ask { now, ..Ask::default() }).is_ok_and(|field| field.panic)
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

/// Counts who could be picked, and decides between primaries and backups, calm and panic.
fn survey<'a>(set: &'a Set, ask: &Ask<'a>) -> Result<Field<'a>, NoEndpoint> {
    /// Endpoints of one kind, primaries or backups.
    #[derive(Clone, Copy, Default)]
    struct Tally {
        /// Calm at 0, panic at 1.
        usable: [usize; 2],
        untried: [usize; 2],
    }
    let mut tallies = [Tally::default(); 2];
    let mut serving = 0;
    for endpoint in &*set.endpoints {
        if endpoint.weight() == 0 || endpoint.is_draining() {
            continue;
        }
        serving += 1;
        let tally = &mut tallies[usize::from(endpoint.backup())];
        let tried = ask.tried.contains(&endpoint.id());
        for panic in [false, true] {
            let open = usize::from(endpoint.is_open(ask.now, panic));
            tally.usable[usize::from(panic)] += open;
            tally.untried[usize::from(panic)] += if tried { 0 } else { open };
        }
    }
    let healthy = tallies[0].usable[0] + tallies[1].usable[0];
    let panic = (healthy as f64) < f64::from(serving) * set.settings.outlier.panic_share;
    let [primaries, backups] =
        tallies.map(|tally| (tally.usable[usize::from(panic)], tally.untried[usize::from(panic)]));
    let (backup, admitted) = match (primaries.1, backups.1) {
        (0, 0) if serving == 0 => return Err(NoEndpoint::Empty),
        (0, 0) if primaries.0 + backups.0 == 0 => return Err(NoEndpoint::AllDown),
        (0, 0) => return Err(NoEndpoint::AllTried),
        (0, untried) => (true, untried),
        (untried, _) => (false, untried),
    };
    Ok(Field {
        endpoints: &set.endpoints,
        now: ask.now,
        slow_start: set.settings.slow_start,
        tried: ask.tried,
        backup,
        panic,
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
}

impl Lease {
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
        let returned = endpoint.succeed(self.began, now);
        let settings = &self.set.settings.outlier;
        if settings.slow.is_none_or(|slow| latency <= slow) || !endpoint.is_slow(now, settings) {
            return returned;
        }
        self.eject(Ejection::SlowShare, Failure::Timeout, now).or(returned)
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
        self.endpoint().leave();
    }
}
