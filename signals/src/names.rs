//! The process's signals: the shards, and the register that turns names into slots and back.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use crate::log::Tally;
use crate::shard::Shard;
use crate::slot::{EndpointSlot, LimitSlot, RouteSlot, Slot, UpstreamSlot};
use crate::{MAX_ENDPOINTS, MAX_LIMITS, MAX_ROUTES, MAX_UPSTREAMS, NONE, OTHER};

/// How long a name that left is still shown, so that the last scrape before it left is not the last word on it.
const SHOWN_AFTER_LEAVING: Duration = Duration::from_mins(10);

/// Everything that the process counts. One per process, shared by `Arc`.
pub struct Signals {
    pub(crate) shards: Box<[Arc<Shard>]>,
    names: Mutex<Names>,
    pub(crate) log: Arc<Tally>,
    pub(crate) reloads: [AtomicU64; Reload::ALL.len()],
    pub(crate) started: SystemTime,
    /// When the running configuration was put into force, in milliseconds since 1970.
    pub(crate) configured_ms: AtomicU64,
    pub(crate) is_last_reload_good: core::sync::atomic::AtomicBool,
}

/// What became of an attempt to load the configuration anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reload {
    /// The new configuration is in force.
    Applied,
    /// The file was read and is the same as what is in force.
    Unchanged,
    /// The file is bad, or could not be put into force; nothing was changed.
    Refused,
}

impl Reload {
    /// Every one, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Applied, Self::Unchanged, Self::Refused];

    /// The word for metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

impl Signals {
    /// Signals of a process with this many data-plane threads. A thread beside them that counts too (probes, name
    /// lookups) needs a shard of its own: ask for one more.
    pub fn new(shards: usize) -> Arc<Self> {
        let started = SystemTime::now();
        Arc::new(Self {
            shards: (0..shards.max(1)).map(|_| Arc::default()).collect(),
            names: Mutex::new(Names::new()),
            log: Arc::default(),
            reloads: Default::default(),
            started,
            configured_ms: AtomicU64::new(unix_ms(started)),
            is_last_reload_good: true.into(),
        })
    }

    /// The shard of thread `index`, below the number given to [`Signals::new`]; past it the number wraps around.
    pub fn shard(&self, index: usize) -> Arc<Shard> {
        Arc::clone(&self.shards[index % self.shards.len()])
    }

    /// Slot of a route's name: the same name gives the same slot again, so that its counters survive a reload.
    /// Past [`MAX_ROUTES`] names it is [`RouteSlot::OTHER`].
    pub fn route(&self, name: &str) -> RouteSlot {
        RouteSlot(self.names().routes.take(name.into(), Instant::now()))
    }

    /// Slot of an upstream's name, as [`Signals::route`]. Past [`MAX_UPSTREAMS`] names it is [`UpstreamSlot::OTHER`].
    pub fn upstream(&self, name: &str) -> UpstreamSlot {
        UpstreamSlot(self.names().upstreams.take(name.into(), Instant::now()))
    }

    /// Slot of an address within its upstream, as [`Signals::route`]. Past [`MAX_ENDPOINTS`] of them it is
    /// [`EndpointSlot::OTHER`].
    pub fn endpoint(&self, upstream: UpstreamSlot, address: &str) -> EndpointSlot {
        EndpointSlot(self.names().endpoints.take((upstream, address.into()), Instant::now()))
    }

    /// Slot of a limit by its route's name and its own, as [`Signals::route`]. Past [`MAX_LIMITS`] of them it is
    /// [`LimitSlot::OTHER`].
    pub fn limit(&self, route: &str, name: &str) -> LimitSlot {
        LimitSlot(self.names().limits.take((route.into(), name.into()), Instant::now()))
    }

    /// Says which limits there are after a reload, as [`Signals::keep_routes`].
    pub fn keep_limits(&self, kept: &[LimitSlot]) {
        let kept = kept.iter().map(|slot| slot.0).collect::<HashSet<_>>();
        self.names().limits.keep(Instant::now(), |slot, _| kept.contains(&slot));
    }

    /// Says which routes there are after a reload. The others leave: they are shown for ten minutes more, then their
    /// places may go to new names. A name that comes back before that finds its counters as they were.
    pub fn keep_routes(&self, kept: &[RouteSlot]) {
        let kept = kept.iter().map(|slot| slot.0).collect::<HashSet<_>>();
        self.names().routes.keep(Instant::now(), |slot, _| kept.contains(&slot));
    }

    /// Says which upstreams there are after a reload, as [`Signals::keep_routes`]; the endpoints of those that leave
    /// leave with them.
    pub fn keep_upstreams(&self, kept: &[UpstreamSlot]) {
        let (now, kept) = (Instant::now(), kept.iter().copied().collect::<HashSet<_>>());
        let mut names = self.names();
        names.upstreams.keep(now, |slot, _| kept.contains(&UpstreamSlot(slot)));
        names.endpoints.keep(now, |_, (upstream, _)| kept.contains(upstream));
    }

    /// Says which endpoints the upstream has after a reload or a name lookup, as [`Signals::keep_routes`]; those of
    /// other upstreams stay as they are.
    pub fn keep_endpoints(&self, upstream: UpstreamSlot, kept: &[EndpointSlot]) {
        let kept = kept.iter().map(|slot| slot.0).collect::<HashSet<_>>();
        self.names().endpoints.keep(Instant::now(), |slot, (of, _)| *of != upstream || kept.contains(&slot));
    }

    /// The configuration was loaded anew, or was meant to be.
    pub fn reloaded(&self, result: Reload) {
        self.reloads[result as usize].fetch_add(1, Relaxed);
        self.is_last_reload_good.store(result != Reload::Refused, Relaxed);
        if result == Reload::Applied {
            self.configured_ms.store(unix_ms(SystemTime::now()), Relaxed);
        }
    }

    /// When the process began to count.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    pub(crate) fn names(&self) -> MutexGuard<'_, Names> {
        // Nothing in here panics half way; a name register is no reason to take the process down.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Names of everything that is counted by name.
pub(crate) struct Names {
    pub(crate) routes: Register<Arc<str>>,
    pub(crate) upstreams: Register<Arc<str>>,
    pub(crate) limits: Register<(Arc<str>, Arc<str>)>,
    pub(crate) endpoints: Register<(UpstreamSlot, Arc<str>)>,
}

impl Names {
    fn new() -> Self {
        let other = || Arc::<str>::from(OTHER);
        Self {
            routes: Register::new(MAX_ROUTES, [other(), NONE.into()]),
            upstreams: Register::new(MAX_UPSTREAMS, [other()]),
            limits: Register::new(MAX_LIMITS, [(other(), other())]),
            endpoints: Register::new(MAX_ENDPOINTS, [(UpstreamSlot::OTHER, other())]),
        }
    }
}

/// Names and their places.
///
/// ```text
///            take                    keep without it             ten minutes, or no place is left
///   (new) ─────────▶ present ──────────────────────▶ leaving ─────────────────────────▶ place of a new name,
///                       ▲                               │                                one generation on
///                       └───────────── take ────────────┘
/// ```
pub(crate) struct Register<K> {
    by_name: HashMap<K, u16>,
    places: Vec<Place<K>>,
    /// Places in the order in which their names left; a name that came back is skipped when its turn comes.
    leaving: VecDeque<(Instant, u16)>,
    /// So many places at the beginning never leave.
    fixed: usize,
    bound: usize,
    /// How often a name found no place.
    pub(crate) turned_away: u64,
}

/// A name that is shown.
pub(crate) struct Shown<'a, K> {
    pub(crate) slot: Slot,
    pub(crate) name: &'a K,
    /// It is no longer part of the configuration.
    pub(crate) has_left: bool,
}

struct Place<K> {
    name: K,
    generation: u16,
    left: Option<Instant>,
}

impl<K: Clone + Eq + core::hash::Hash> Register<K> {
    fn new(bound: usize, fixed: impl IntoIterator<Item = K>) -> Self {
        let (by_name, places, leaving) = (HashMap::new(), Vec::new(), VecDeque::new());
        let mut register = Self { by_name, places, leaving, fixed: 0, bound, turned_away: 0 };
        for name in fixed {
            register.append(name);
        }
        register.fixed = register.places.len();
        register
    }

    fn take(&mut self, name: K, now: Instant) -> Slot {
        if let Some(&index) = self.by_name.get(&name) {
            self.places[usize::from(index)].left = None;
            return self.slot(index);
        }
        if let Some(index) = self.free(now) {
            let place = &mut self.places[usize::from(index)];
            self.by_name.remove(&place.name);
            *place = Place { name: name.clone(), generation: place.generation.wrapping_add(1), left: None };
            self.by_name.insert(name, index);
            return self.slot(index);
        }
        if self.places.len() < self.bound {
            return self.append(name);
        }
        self.turned_away += 1;
        Slot::OTHER
    }

    /// Lets every name leave that `is_kept` does not hold on to; the fixed ones stay.
    fn keep(&mut self, now: Instant, is_kept: impl Fn(Slot, &K) -> bool) {
        // A name that comes and goes leaves a stale entry each time; they must not pile up.
        let places = &self.places;
        self.leaving.retain(|&(left, index)| places[usize::from(index)].left == Some(left));
        for (index, place) in self.places.iter_mut().enumerate().skip(self.fixed) {
            let slot = Slot::new(index as u16, place.generation);
            if place.left.is_none() && !is_kept(slot, &place.name) {
                place.left = Some(now);
                self.leaving.push_back((now, index as u16));
            }
        }
    }

    /// Names to show, with their slots.
    pub(crate) fn shown(&self, now: Instant) -> impl Iterator<Item = Shown<'_, K>> {
        self.places.iter().enumerate().filter_map(move |(index, place)| {
            let is_shown = place.left.is_none_or(|left| now.duration_since(left) < SHOWN_AFTER_LEAVING);
            let slot = Slot::new(index as u16, place.generation);
            is_shown.then(|| Shown { slot, name: &place.name, has_left: place.left.is_some() })
        })
    }

    /// A place whose name left long ago, or left at all when there are no others.
    fn free(&mut self, now: Instant) -> Option<u16> {
        let is_full = self.places.len() >= self.bound;
        while let Some(&(left, index)) = self.leaving.front() {
            let is_stale = self.places[usize::from(index)].left != Some(left);
            if !is_stale && !is_full && now.duration_since(left) < SHOWN_AFTER_LEAVING {
                return None;
            }
            self.leaving.pop_front();
            if !is_stale {
                return Some(index);
            }
        }
        None
    }

    fn append(&mut self, name: K) -> Slot {
        let index = self.places.len() as u16;
        self.by_name.insert(name.clone(), index);
        self.places.push(Place { name, generation: 0, left: None });
        Slot::new(index, 0)
    }

    fn slot(&self, index: u16) -> Slot {
        Slot::new(index, self.places[usize::from(index)].generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Register<Arc<str>> {
        Register::new(4, [Arc::from(OTHER)])
    }

    fn names(register: &Register<Arc<str>>, now: Instant) -> Vec<String> {
        register.shown(now).map(|shown| shown.name.to_string()).collect()
    }

    #[test]
    fn the_same_name_gets_the_same_slot() {
        let signals = Signals::new(1);
        let (a, b) = (signals.upstream("a"), signals.upstream("b"));
        assert_ne!(a, b);
        assert_eq!(signals.upstream("a"), a);
        assert_ne!(signals.endpoint(a, "127.0.0.1:1"), signals.endpoint(b, "127.0.0.1:1"));
        assert_eq!(signals.endpoint(a, "127.0.0.1:1"), signals.endpoint(a, "127.0.0.1:1"));
        assert_eq!((signals.route(OTHER), signals.route(NONE)), (RouteSlot::OTHER, RouteSlot::NONE));
    }

    #[test]
    fn names_past_the_bound_are_other() {
        let (mut register, now) = (small(), Instant::now());
        let slots = ["a", "b", "c"].map(|name| register.take(name.into(), now));
        assert!(slots.iter().all(|slot| *slot != Slot::OTHER));
        assert_eq!(register.take("d".into(), now), Slot::OTHER);
        assert_eq!(register.turned_away, 1);
        assert_eq!(register.take("b".into(), now), slots[1]);
    }

    #[test]
    fn a_name_that_left_is_shown_for_a_while_and_its_place_taken_later() {
        let (mut register, now) = (small(), Instant::now());
        let (a, b) = (register.take("a".into(), now), register.take("b".into(), now));
        register.keep(now, |slot, _| slot == b);
        assert_eq!(names(&register, now), [OTHER, "a", "b"]);
        let later = now + SHOWN_AFTER_LEAVING;
        assert_eq!(names(&register, later), [OTHER, "b"]);
        let c = register.take("c".into(), later);
        assert_eq!((c.index(), c.generation()), (a.index(), a.generation() + 1));
        assert_eq!(names(&register, later), [OTHER, "c", "b"]);
    }

    #[test]
    fn a_name_that_comes_back_finds_its_place() {
        let (mut register, now) = (small(), Instant::now());
        let a = register.take("a".into(), now);
        for _ in 0..100 {
            register.keep(now, |_, _| false);
            assert_eq!(register.take("a".into(), now), a);
        }
        assert!(register.leaving.len() <= 1);
        let later = now + 2 * SHOWN_AFTER_LEAVING;
        assert_ne!(register.take("b".into(), later), a);
        assert_eq!(names(&register, later), [OTHER, "a", "b"]);
    }

    #[test]
    fn a_full_register_takes_the_place_of_the_name_that_left_first() {
        let (mut register, now) = (small(), Instant::now());
        let [a, b, c] = ["a", "b", "c"].map(|name| register.take(name.into(), now));
        register.keep(now, |slot, _| slot != b);
        register.keep(now + Duration::from_secs(1), |slot, _| slot == c);
        assert_eq!(register.take("d".into(), now + Duration::from_secs(2)).index(), b.index());
        assert_eq!(register.take("e".into(), now + Duration::from_secs(2)).index(), a.index());
        assert_eq!(register.take("f".into(), now + Duration::from_secs(2)), Slot::OTHER);
    }

    #[test]
    fn endpoints_leave_with_their_upstream() {
        let signals = Signals::new(1);
        let (a, b) = (signals.upstream("a"), signals.upstream("b"));
        let (first, _) = (signals.endpoint(a, "x"), signals.endpoint(b, "y"));
        signals.keep_upstreams(&[a]);
        let shown = |signals: &Signals, now| {
            signals.names().endpoints.shown(now).map(|shown| shown.name.1.to_string()).collect::<Vec<_>>()
        };
        let later = Instant::now() + SHOWN_AFTER_LEAVING;
        assert_eq!(shown(&signals, later), [OTHER, "x"]);
        let second = signals.endpoint(a, "z");
        signals.keep_endpoints(a, &[second]);
        assert_eq!(shown(&signals, Instant::now() + SHOWN_AFTER_LEAVING), [OTHER, "z"]);
        assert_eq!(signals.endpoint(a, "x"), first);
    }
}
