//! Buckets of all keys of all limits, in memory that is set aside once and never grows.
//!
//! ```text
//!   hash of limit and key ─▶ shard (a lock of its own) ─▶ two sets of eight ─▶ tag and moment
//! ```
//!
//! A key may stand in any of sixteen places. One that is new takes a free place, or that of a bucket which is full
//! again, the one longest ago first: forgetting it changes nothing. Where all sixteen are still in use, the one
//! that is full again soonest goes, be it the new one itself, and leaves its mark in the [`Overflow`]. So a flood of
//! keys cannot push out the bucket of somebody who has used up his quota: that one is the last to go, and what it leaves
//! behind is as strict as it was.

use core::hash::{BuildHasher as _, Hasher as _};
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::quality::FixedState;

use super::flight::{Flight, Flights};
use super::overflow::Overflow;
use super::rule::{Pace, Rule};
use super::top::Top;
use crate::balance::mix;
use crate::moment::Moment;

/// Limits that one request can be checked against.
pub const CHECKS_MAX: usize = 16;

/// Parts of the store, each behind a lock of its own.
const SHARDS: usize = 64;

/// Places of a set: two cache lines, one of tags and one of moments.
const PLACES: usize = 8;

/// Words of a set.
const SET_WORDS: usize = 2 * PLACES;

/// One part in so many of the memory is left for what overflows: one MiB of 64, which is what some sixty limits take.
const OVERFLOW_PART: u64 = 64;

/// Bits of a tag that say whose it is: of which limit, and whether it counts requests or bytes.
const ID_BITS: u32 = 16;

/// A key as the store knows it: the hash of a limit and of the bytes, with a seed that nobody outside knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Key(pub(crate) u64);

impl Key {
    /// The number, to tell keys apart.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What a limit is made of. At least one of the three says something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Requests by time.
    pub rule: Option<Rule>,
    /// Requests in flight; 0 is no limit.
    pub concurrency: u32,
    /// Bytes by time.
    pub pace: Option<Pace>,
    /// Only counts.
    pub dry_run: bool,
}

/// One limit.
#[derive(Debug)]
pub struct Limit {
    settings: Settings,
    /// Ids of its two kinds of buckets; odd ones count bytes.
    id: u16,
    hash: FixedState,
    marks: Arc<Marks>,
}

/// What buckets that had to leave left behind, by kind.
#[derive(Debug, Default)]
struct Marks {
    requests: Overflow,
    bytes: Overflow,
}

/// One limit that a request is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// Which limit.
    pub limit: &'a Limit,
    /// By which key.
    pub key: Key,
    /// What the request costs there.
    pub cost: u64,
}

/// What a request's checks came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Admitted, or refused: then no bucket was changed.
    pub verdict: Result<(), Refused>,
    /// By a bit each: limits that only count and would have refused.
    pub dry: u16,
    /// The check whose bucket holds the least, and what it holds.
    pub tightest: Option<(usize, Left)>,
}

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Index of the check; of several, the one that takes the longest.
    pub by: usize,
    /// The same request would be admitted by this limit after this time, and not before.
    pub wait: Duration,
}

/// What a bucket holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// Requests.
    pub requests: u64,
    /// Time until it is full.
    pub full_in: Duration,
}

/// Bytes that may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    /// So many now. What is not sent of them has to be given back.
    Bytes(u64),
    /// None before this time has passed.
    Wait(Duration),
}

/// What the store holds and has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Keys that have a place; many of their buckets may be full again.
    pub entries: u64,
    /// Keys that have room.
    pub capacity: u64,
    /// Memory set aside, overheads included. What was never used of it takes none of the machine's.
    pub memory_bytes: u64,
    /// Keys with requests in flight that are counted.
    pub in_flight: u64,
    /// Buckets that had to leave before they were full again.
    pub overflowed: u64,
}

/// The store.
#[derive(Debug)]
pub struct Store {
    shards: Box<[Shard]>,
    sets: usize,
    seed: u64,
    flights: Arc<Flights>,
    /// Who is refused most.
    pub top: Mutex<Top>,
    /// Limits by id, for the marks that their buckets leave.
    limits: Mutex<HashMap<u16, Weak<Marks>>>,
    next_id: AtomicU16,
    next_seed: AtomicU64,
}

#[derive(Debug)]
#[repr(align(128))]
struct Shard(Mutex<Sets>);

/// Sets of one shard.
#[derive(Debug)]
struct Sets {
    words: Box<[u64]>,
    /// Words to skip so that a set begins with a cache line.
    skip: usize,
    entries: u64,
    overflowed: u64,
}

impl Limit {
    /// What it is made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A number that no other limit of the store has.
    pub fn number(&self) -> u64 {
        self.id.into()
    }

    /// The key that these bytes are.
    #[inline]
    pub fn key(&self, bytes: &[u8]) -> Key {
        let mut hasher = self.hash.build_hasher();
        hasher.write(bytes);
        Key(hasher.finish())
    }

    /// The same keys with what they have left, under other settings. A bucket keeps the moment at which it is full again:
    /// where rate and burst change by the same share, so does what is left of it.
    pub fn with(&self, settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, id: self.id, hash: self.hash.clone(), marks: Arc::clone(&self.marks) })
    }
}

impl Marks {
    fn of(&self, id: u16) -> &Overflow {
        if id & 1 == 0 { &self.requests } else { &self.bytes }
    }
}

impl Store {
    /// A store that takes so much memory, of which a part is left for buckets that have to leave; without any, every key begins where the overflow says. `seed` has to be
    /// unknown to those who choose keys.
    pub fn new(memory_bytes: u64, seed: u64) -> Self {
        let set_bytes = (SET_WORDS * size_of::<u64>()) as u64;
        let beside = (SHARDS * size_of::<Shard>()) as u64 + memory_bytes / OVERFLOW_PART;
        let sets = (memory_bytes.saturating_sub(beside) / SHARDS as u64 / set_bytes).max(1) as usize;
        Self {
            shards: (0..SHARDS).map(|_| Shard(Mutex::new(Sets::new(sets)))).collect(),
            sets,
            seed,
            flights: Arc::default(),
            top: Mutex::default(),
            limits: Mutex::default(),
            next_id: AtomicU16::new(0),
            next_seed: AtomicU64::new(0),
        }
    }

    /// A limit without keys. It is forgotten when it is dropped.
    pub fn limit(&self, settings: Settings) -> Arc<Limit> {
        let number = self.next_seed.fetch_add(1, Relaxed);
        self.limit_with(settings, mix(self.seed ^ mix(number)))
    }

    /// A limit whose keys are those of another instance that was given the same seed.
    pub fn limit_with(&self, settings: Settings, seed: u64) -> Arc<Limit> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.retain(|_, marks| marks.strong_count() > 0);
        // Ids are even, and 0 is nobody's. There are far fewer limits than ids; if it ever were otherwise, two limits
        // would share the marks of what they forget, and nothing else.
        let mut id = 0;
        for _ in 0..=u16::MAX / 2 {
            id = self.next_id.fetch_add(2, Relaxed).wrapping_add(2);
            if id != 0 && !limits.contains_key(&id) {
                break;
            }
        }
        let id = id.max(2);
        let marks = Arc::default();
        limits.insert(id, Arc::downgrade(&marks));
        Arc::new(Limit { settings, id, hash: FixedState::with_seed(seed), marks })
    }

    /// Checks a request against limits, at most [`CHECKS_MAX`]: all of them admit it and are charged, or none is.
    #[inline]
    pub fn check(&self, now: Moment, checks: &[Check<'_>], wants_left: bool) -> Outcome {
        match checks {
            [check] => self.check_one(now.0, check, wants_left),
            checks => self.check_all(now.0, checks, wants_left),
        }
    }

    fn check_one(&self, now: u64, check: &Check<'_>, wants_left: bool) -> Outcome {
        let mut outcome = Outcome { verdict: Ok(()), dry: 0, tightest: None };
        let Some(rule) = check.limit.settings.rule else { return outcome };
        let tag = check.tag();
        let mut shard = self.shard(check.key);
        let place = shard.find(self.sets, check.key, tag);
        let full_at = shard.full_at(place, check, now);
        let kept = match rule.judge(full_at, now, check.cost) {
            Ok(next) => next,
            Err(wait) => {
                outcome.refuse(0, check, wait);
                rule.possible(full_at, now)
            }
        };
        if wants_left {
            outcome.tightest = Some((0, left(rule, kept, now)));
        }
        if kept != full_at || (place.is_none() && kept > now) {
            self.put(&mut shard, place, check, kept, now);
        }
        outcome
    }

    fn check_all(&self, now: u64, checks: &[Check<'_>], wants_left: bool) -> Outcome {
        let checks = &checks[..checks.len().min(CHECKS_MAX)];
        let mut outcome = Outcome { verdict: Ok(()), dry: 0, tightest: None };
        // In the order of their shards, so that no two threads wait for each other.
        let mut order = [0_usize; CHECKS_MAX];
        for (at, place) in order.iter_mut().enumerate() {
            *place = at;
        }
        let order = &mut order[..checks.len()];
        order.sort_unstable_by_key(|&at| shard_of(checks[at].key));
        let mut shards: [Option<MutexGuard<'_, Sets>>; CHECKS_MAX] = [const { None }; CHECKS_MAX];
        let mut holder = [0_usize; CHECKS_MAX];
        for (place, &at) in order.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| order[before]);
            let same = before.filter(|&before| shard_of(checks[before].key) == shard_of(checks[at].key));
            holder[at] = same.map_or(at, |before| holder[before]);
            if same.is_none() {
                shards[at] = Some(self.shard(checks[at].key));
            }
        }
        let mut next = [None; CHECKS_MAX];
        for (at, check) in checks.iter().enumerate() {
            let (Some(rule), Some(shard)) = (check.limit.settings.rule, &shards[holder[at]]) else {
                continue;
            };
            let full_at = shard.full_at(shard.find(self.sets, check.key, check.tag()), check, now);
            match rule.judge(full_at, now, check.cost) {
                Ok(moved) => next[at] = Some(moved),
                Err(wait) => outcome.refuse(at, check, wait),
            }
            if wants_left && !check.limit.settings.dry_run {
                let left = left(rule, next[at].unwrap_or(full_at), now);
                let is_tighter = outcome.tightest.is_none_or(|(_, least)| left.requests < least.requests);
                outcome.tightest = if is_tighter { Some((at, left)) } else { outcome.tightest };
            }
        }
        let admitted = outcome.verdict.is_ok();
        for (at, check) in checks.iter().enumerate() {
            let Some(shard) = shards[holder[at]].as_mut() else { continue };
            let Some(rule) = check.limit.settings.rule else { continue };
            let place = shard.find(self.sets, check.key, check.tag());
            let full_at = shard.full_at(place, check, now);
            let kept = next[at].filter(|_| admitted).unwrap_or_else(|| rule.possible(full_at, now));
            if kept != full_at || (place.is_none() && kept > now) {
                self.put(shard, place, check, kept, now);
            }
        }
        outcome
    }

    /// What a request would find: nothing is changed.
    pub fn peek(&self, now: Moment, check: &Check<'_>) -> (Option<Left>, Result<(), Duration>) {
        let Some(rule) = check.limit.settings.rule else { return (None, Ok(())) };
        let shard = self.shard(check.key);
        let full_at = shard.full_at(shard.find(self.sets, check.key, check.tag()), check, now.0);
        let verdict = rule.judge(full_at, now.0, check.cost).map(drop).map_err(Duration::from_nanos);
        (Some(left(rule, full_at, now.0)), verdict)
    }

    /// Charges a key for what others have admitted.
    pub fn charge(&self, now: Moment, check: &Check<'_>) {
        let Some(rule) = check.limit.settings.rule else { return };
        let mut shard = self.shard(check.key);
        let place = shard.find(self.sets, check.key, check.tag());
        let full_at = shard.full_at(place, check, now.0);
        self.put(&mut shard, place, check, rule.charge(full_at, now.0, check.cost), now.0);
    }

    /// A place for a request among those of its key that are in flight. `None`: there are as many as may be.
    pub fn enter(&self, limit: &Limit, key: Key) -> Option<Flight> {
        self.flights.enter(key, limit.settings.concurrency)
    }

    /// Requests of a key that are in flight.
    pub fn in_flight(&self, key: Key) -> u32 {
        self.flights.held(key)
    }

    /// Asks for bytes to be sent.
    pub fn grant(&self, now: Moment, limit: &Limit, key: Key, wanted: u64) -> Grant {
        let Some(pace) = limit.settings.pace else { return Grant::Bytes(wanted) };
        let check = Check { limit, key, cost: 0 };
        let mut shard = self.shard(key);
        let place = shard.find(self.sets, key, check.byte_tag());
        let full_at = shard.moment(place, limit, check.byte_tag(), now.0);
        match pace.judge(full_at, now.0, wanted) {
            Ok((next, bytes)) => {
                self.put_tag(&mut shard, place, check.key, check.byte_tag(), limit, next, now.0);
                Grant::Bytes(bytes)
            }
            Err(wait) => Grant::Wait(Duration::from_nanos(wait)),
        }
    }

    /// Gives bytes back that were granted a moment ago and are not sent.
    pub fn give_back(&self, limit: &Limit, key: Key, bytes: u64) {
        let Some(pace) = limit.settings.pace else { return };
        let check = Check { limit, key, cost: 0 };
        let mut shard = self.shard(key);
        if let Some(place) = shard.find(self.sets, key, check.byte_tag()) {
            let moment = &mut shard.words[place + PLACES];
            *moment = moment.saturating_sub(pace.takes_ns(bytes));
        }
    }

    /// What the store holds and has done.
    pub fn usage(&self) -> Usage {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let overflows = limits.values().filter_map(Weak::upgrade);
        let overflow_bytes = overflows.map(|marks| marks.requests.bytes() + marks.bytes.bytes()).sum();
        drop(limits);
        let mut usage = Usage {
            capacity: (SHARDS * self.sets * PLACES) as u64,
            in_flight: self.flights.keys(),
            memory_bytes: overflow_bytes,
            ..Usage::default()
        };
        for shard in &self.shards {
            let shard = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            usage.entries += shard.entries;
            usage.overflowed += shard.overflowed;
            usage.memory_bytes += size_of::<Shard>() as u64 + size_of_val(&*shard.words) as u64;
        }
        usage
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Sets> {
        self.shards[shard_of(key)].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, sets: &mut Sets, place: Option<usize>, check: &Check<'_>, full_at: u64, now: u64) {
        self.put_tag(sets, place, check.key, check.tag(), check.limit, full_at, now);
    }

    #[allow(clippy::too_many_arguments)]
    fn put_tag(
        &self,
        sets: &mut Sets,
        place: Option<usize>,
        key: Key,
        tag: u64,
        limit: &Limit,
        full_at: u64,
        now: u64,
    ) {
        if let Some(place) = place {
            sets.words[place + PLACES] = full_at;
            return;
        }
        let (place, moment) = sets.soonest(self.sets, key);
        let held = sets.words[place];
        sets.entries += u64::from(held == 0);
        if moment > now && full_at <= moment {
            // Nobody is worth less than the new one.
            sets.overflowed += 1;
            limit.marks.of(id_of(tag)).put(tag, full_at);
            return;
        }
        if moment > now {
            sets.overflowed += 1;
            self.mark(held, limit, moment);
        }
        sets.words[place] = tag;
        sets.words[place + PLACES] = full_at;
    }

    /// A bucket has to leave before it is full again.
    fn mark(&self, tag: u64, at_hand: &Limit, full_at: u64) {
        let id = id_of(tag);
        if id & !1 == at_hand.id {
            return at_hand.marks.of(id).put(tag, full_at);
        }
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(marks) = limits.get(&(id & !1)).and_then(Weak::upgrade) {
            marks.of(id).put(tag, full_at);
        }
    }
}

impl Check<'_> {
    fn tag(&self) -> u64 {
        self.key.0 >> ID_BITS << ID_BITS | u64::from(self.limit.id)
    }

    fn byte_tag(&self) -> u64 {
        self.tag() | 1
    }
}

impl Outcome {
    fn refuse(&mut self, at: usize, check: &Check<'_>, wait_ns: u64) {
        if check.limit.settings.dry_run {
            self.dry |= 1 << at;
            return;
        }
        let wait = Duration::from_nanos(wait_ns);
        if !self.verdict.is_err_and(|refused| refused.wait >= wait) {
            self.verdict = Err(Refused { by: at, wait });
        }
    }
}

impl Sets {
    fn new(sets: usize) -> Self {
        // One allocation of zeros: the system gives the memory when it is first used.
        let words = vec![0_u64; (sets + 1) * SET_WORDS].into_boxed_slice();
        let skip = words.as_ptr().align_offset(64).min(SET_WORDS);
        Self { words, skip, entries: 0, overflowed: 0 }
    }

    /// Where the two sets of a key begin.
    #[inline]
    fn sets(&self, sets: usize, key: Key) -> [usize; 2] {
        let at = |word: u64| self.skip + ((u64::from(word as u32) * sets as u64) >> 32) as usize * SET_WORDS;
        [at(key.0 >> 6), at(mix(key.0))]
    }

    /// Where the tag stands.
    #[inline]
    fn find(&self, sets: usize, key: Key, tag: u64) -> Option<usize> {
        self.sets(sets, key).into_iter().find_map(|set| {
            let tags = &self.words[set..set + PLACES];
            tags.iter().position(|held| *held == tag).map(|at| set + at)
        })
    }

    /// The place whose bucket is full again soonest, or longest ago.
    fn soonest(&self, sets: usize, key: Key) -> (usize, u64) {
        let places = self.sets(sets, key).into_iter().flat_map(|set| set..set + PLACES);
        let moments = places.map(|place| (place, self.words[place + PLACES]));
        moments.min_by_key(|(_, moment)| *moment).unwrap_or((self.skip, 0))
    }

    #[inline]
    fn full_at(&self, place: Option<usize>, check: &Check<'_>, now: u64) -> u64 {
        self.moment(place, check.limit, check.tag(), now)
    }

    #[inline]
    fn moment(&self, place: Option<usize>, limit: &Limit, tag: u64, now: u64) -> u64 {
        match place {
            Some(place) => self.words[place + PLACES],
            None => limit.marks.of(id_of(tag)).begins_at(tag, now),
        }
    }
}

const fn shard_of(key: Key) -> usize {
    key.0 as usize % SHARDS
}

const fn id_of(tag: u64) -> u16 {
    tag as u16
}

fn left(rule: Rule, full_at: u64, now: u64) -> Left {
    let full_in = Duration::from_nanos(rule.possible(full_at, now).saturating_sub(now));
    Left { requests: rule.left(full_at, now), full_in }
}

#[cfg(test)]
mod tests;
