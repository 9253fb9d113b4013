//! The slots of an endpoint: how many requests it may have at once, and how many it has.
//!
//! Taking and giving back cost one atomic operation each. A response whose head has come and that goes on is a stream:
//! it stays in flight, but where the limit is adaptive it leaves its slot, for how long a stream lasts says nothing about
//! what the app can take.

use crate::adaptive::Adaptive;
use crate::moment::Moment;
use core::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use core::time::Duration;
use std::sync::{Mutex, PoisonError};

/// How many requests an endpoint may have at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Concurrency {
    /// As many as come.
    #[default]
    Unlimited,
    /// So many, streams and tunnels included.
    Fixed(u32),
    /// As many as are found out to do good; see [`crate::adaptive`].
    Adaptive,
}

/// A request that has waited for its head for so long is not judged any more, if most are faster by far.
const LONG: Duration = Duration::from_secs(2);
/// By so much.
const LONG_FACTOR: u32 = 8;

const UNSET: u8 = 0;
const UNLIMITED: u8 = 1;
const FIXED: u8 = 2;
const ADAPTIVE: u8 = 3;

/// Shared by all cores.
#[derive(Debug)]
pub(crate) struct Slots {
    /// In a slot.
    taken: AtomicU32,
    /// In flight without a slot.
    streams: AtomicU32,
    limit: AtomicU32,
    mode: AtomicU8,
    /// Somebody found no slot since the last answer.
    wanted: AtomicBool,
    /// When the last one was let out of its slot although nobody was answered, in nanoseconds.
    let_by: AtomicU64,
    adaptive: Mutex<Adaptive>,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            taken: AtomicU32::new(0),
            streams: AtomicU32::new(0),
            limit: AtomicU32::new(u32::MAX),
            mode: AtomicU8::new(UNSET),
            wanted: AtomicBool::new(false),
            let_by: AtomicU64::new(0),
            adaptive: Mutex::default(),
        }
    }

    /// Sets how the limit is found, unless it is set and `anew` is not wanted. What was learnt stays.
    pub(crate) fn configure(&self, concurrency: Concurrency, anew: bool) {
        if !anew && self.mode.load(Relaxed) != UNSET {
            return;
        }
        let (mode, limit) = match concurrency {
            Concurrency::Unlimited => (UNLIMITED, u32::MAX),
            Concurrency::Fixed(limit) => (FIXED, limit.max(1)),
            Concurrency::Adaptive => (ADAPTIVE, self.learnt().limit()),
        };
        self.limit.store(limit, Relaxed);
        self.mode.store(mode, Relaxed);
    }

    fn learnt(&self) -> std::sync::MutexGuard<'_, Adaptive> {
        self.adaptive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.taken.load(Relaxed).saturating_add(self.streams.load(Relaxed))
    }

    pub(crate) fn taken(&self) -> u32 {
        self.taken.load(Relaxed)
    }

    /// `None` is no limit.
    pub(crate) fn limit(&self) -> Option<u32> {
        Some(self.limit.load(Relaxed)).filter(|limit| *limit != u32::MAX)
    }

    /// Whether the limit is found out.
    pub(crate) fn is_adaptive(&self) -> bool {
        self.mode.load(Relaxed) == ADAPTIVE
    }

    /// Slots that are left after `kept_share` of them is kept for others.
    fn open_to(&self, kept_share: f64) -> u32 {
        let limit = self.limit.load(Relaxed);
        if kept_share > 0.0 && limit != u32::MAX {
            limit - (f64::from(limit) * kept_share) as u32
        } else {
            limit
        }
    }

    pub(crate) fn has_room(&self, kept_share: f64) -> bool {
        self.taken.load(SeqCst) < self.open_to(kept_share)
    }

    /// Takes a slot if there is one.
    pub(crate) fn enter(&self, kept_share: f64) -> bool {
        let most = self.open_to(kept_share);
        self.taken.fetch_update(SeqCst, Relaxed, |taken| (taken < most).then_some(taken + 1)).is_ok()
    }

    pub(crate) fn leave(&self) {
        self.taken.fetch_sub(1, SeqCst);
    }

    /// Out of the slot, but still in flight. False: the slot is kept, as the limit is not adaptive.
    pub(crate) fn stream(&self) -> bool {
        if !self.is_adaptive() {
            return false;
        }
        self.streams.fetch_add(1, Relaxed);
        self.taken.fetch_sub(1, SeqCst);
        true
    }

    pub(crate) fn stream_ended(&self) {
        self.streams.fetch_sub(1, Relaxed);
    }

    pub(crate) fn note_wanted(&self) {
        if !self.wanted.load(Relaxed) {
            self.wanted.store(true, Relaxed);
        }
    }

    /// A request in a slot was answered. Two cores at once: one of the answers is not looked at.
    pub(crate) fn answered(&self, now: Moment, latency: Duration) {
        if !self.is_adaptive() {
            return;
        }
        let Ok(mut adaptive) = self.adaptive.try_lock() else { return };
        if adaptive.answered(now, latency, self.wanted.load(Relaxed)) {
            self.wanted.store(false, Relaxed);
            self.limit.store(adaptive.limit(), Relaxed);
        }
    }

    /// A request that had left its slot before its head had come was answered.
    pub(crate) fn answered_late(&self, now: Moment, latency: Duration) {
        if self.is_adaptive() {
            self.learnt().note_long(now, latency);
        }
    }

    /// A request waits for its head since `began`: whether it is out of proportion (a long poll), so that it leaves its
    /// slot as a stream does. That is so when others were answered meanwhile, and most are far quicker; when nobody was,
    /// one per [`LONG`] is let out, so that somebody finds out whether the app still answers.
    pub(crate) fn is_long(&self, began: Moment, now: Moment) -> bool {
        let waited = now.since(began);
        if !self.is_adaptive() || waited < LONG {
            return false;
        }
        let (typical, answered) = {
            let adaptive = self.learnt();
            (adaptive.typical(), adaptive.last_answered())
        };
        if answered.is_some_and(|answered| answered > began) {
            return waited > typical.saturating_mul(LONG_FACTOR);
        }
        let last = Moment(self.let_by.load(Relaxed));
        let due = last == Moment::ZERO || now.since(last) >= LONG;
        due && self.let_by.compare_exchange(last.0, now.0, Relaxed, Relaxed).is_ok()
    }

    pub(crate) fn baseline(&self) -> Option<Duration> {
        if self.is_adaptive() { self.learnt().baseline() } else { None }
    }
}
