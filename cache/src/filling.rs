//! A response on its way into the store, and everybody who reads along.
//!
//! One task fills: it has the [`Ticket`] and then the [`Writer`](crate::Writer), and belongs to no client. Readers may
//! be on any core. Each filling has one short mutex, never held together with another one, and wakers are woken
//! outside it.

mod reader;
pub(crate) mod state;

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::task::Waker;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use reader::Reader;
pub(crate) use state::Progress;
use state::State;

use crate::entry::allocated;
use crate::freshness::{self, Use};
use crate::status::Why;
use crate::store::{Budget, Ticket};
use crate::{Ask, Bypass, Entry, Key, Rules, Storable, UnixMs};

/// Bytes that may wait for the slowest reader of a response that is not kept.
pub const WINDOW_BYTES: u64 = 256 * 1024;

/// What [`Begun::Failed`] says when two fillers were lost, one after the other, before a head came.
pub const LOST: u16 = 0;

/// The head of a response that is coming in.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Prebuilt as [`Entry::head`] is.
    pub bytes: Box<[u8]>,
    /// The length of the body, if the origin named it.
    pub body_bytes: Option<u64>,
    /// On what terms it may be kept, or why not: then only the leader gets it.
    pub storable: Result<Storable, Bypass>,
}

/// What came of a fill, as far as the head.
#[derive(Debug)]
pub enum Begun {
    /// It comes in: [`Reader::poll_pieces`]. Whoever followed asks
    /// [`freshness::may_follow`](crate::freshness::may_follow) first, and looks again if not.
    Streaming(Arc<Head>),
    /// It is whole already: a 304 refreshed it, a lower tier had it, or it has come in meanwhile. Or something stale
    /// stands in for an origin that failed.
    Whole {
        /// What to deliver.
        entry: Arc<Entry>,
        /// Whether it stands in.
        stale: bool,
        /// Whether a lower tier had it: no word went to the origin.
        below: bool,
    },
    /// It is for the leader alone: forward the request yourself.
    Unshared(Bypass),
    /// The filler was lost before a head came, and the duty is now this reader's. At most once for each filling.
    Lead(Ticket),
    /// It ended without an answer. The code is the one that the filler gave, or [`LOST`].
    Failed(u16),
}

/// What else is to come of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Something.
    More,
    /// Nothing: it is whole.
    Done,
    /// Nothing, and it is not whole: the client must not take it for such.
    Broken,
}

/// A response on its way into the store.
pub struct Filling {
    pub(crate) key: Box<[u8]>,
    pub(crate) url_len: u32,
    pub(crate) url_hash: u64,
    /// Of the key, without the variant.
    pub(crate) key_hash: u64,
    pub(crate) limits: Limits,
    stored: Option<Arc<Entry>>,
    /// The origin does not know what is stored.
    is_disowned: AtomicBool,
    /// What is stored for the key varies, and nothing of it was for the request that caused the filling, unless it is
    /// `stored`.
    pub(crate) varies: bool,
    /// For whoever looks: it has a head, and this is it.
    pub(crate) begun: OnceLock<Arc<Head>>,
    budget: Arc<Budget>,
    state: Mutex<State>,
}

/// What the rules of the request that caused a filling say about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) body_bytes: u64,
    pub(crate) variants: u32,
    pub(crate) waiters: u32,
    pub(crate) hit_for_miss_ms: u64,
}

impl Limits {
    pub(crate) const fn of(rules: &Rules) -> Self {
        Self {
            body_bytes: rules.body_bytes,
            variants: rules.variants,
            waiters: rules.waiters,
            hit_for_miss_ms: rules.hit_for_miss_ms,
        }
    }
}

impl Filling {
    /// Bytes that a filling of this key takes before its body.
    pub(crate) fn cost_bytes(key: &Key<'_>) -> u64 {
        own_bytes(key.bytes.len())
    }

    /// `budget` has reserved [`Filling::cost_bytes`].
    pub(crate) fn new(
        key: &Key<'_>,
        limits: Limits,
        stored: Option<Arc<Entry>>,
        budget: &Arc<Budget>,
    ) -> Self {
        budget.add_filling(Self::cost_bytes(key));
        Self {
            key: key.bytes.into(),
            url_len: key.url_len,
            url_hash: key.url_hash,
            key_hash: key.hash,
            limits,
            stored,
            is_disowned: AtomicBool::new(false),
            varies: false,
            begun: OnceLock::new(),
            budget: Arc::clone(budget),
            state: Mutex::new(State::default()),
        }
    }

    /// Joins those who wait for it and read along. `None`: there are too many ([`Bypass::Crowded`]).
    pub fn read_along(self: &Arc<Self>) -> Option<Reader> {
        let seat = self.lock().sit_down(self.limits.waiters)?;
        Some(Reader::new(Arc::clone(self), seat))
    }

    /// The seat of whoever the fill is for: always there, and read to even if nothing is kept.
    pub(crate) fn lead(self: &Arc<Self>) -> Reader {
        let seat = self.lock().sit_first();
        Reader::new(Arc::clone(self), seat)
    }

    /// How many read along.
    pub fn readers(&self) -> u32 {
        self.lock().present()
    }

    /// What is stored, stale.
    pub fn stored(&self) -> Option<&Arc<Entry>> {
        self.stored.as_ref().filter(|_| !self.is_disowned.load(Relaxed))
    }

    pub(crate) fn disown(&self) {
        self.is_disowned.store(true, Relaxed);
    }

    /// Why a request that waits for it is not answered with what is stored.
    pub fn why(&self, ask: &Ask<'_>, now: UnixMs) -> Why {
        match &self.stored {
            Some(stored) => match freshness::decide(&stored.terms(), ask, now) {
                Use::Validate(cause) => cause.into(),
                _ => Why::Stale,
            },
            None if self.varies => Why::VaryMiss,
            None => Why::UriMiss,
        }
    }

    /// The key's bytes.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The key's hash, whatever the variant.
    pub const fn key_hash(&self) -> u64 {
        self.key_hash
    }

    pub(crate) fn url(&self) -> &[u8] {
        &self.key[..self.url_len as usize]
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half done that matters: every change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes whom that concerns once the mutex is free.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State, &mut Vec<Waker>) -> T) -> T {
        let mut wakers = Vec::new();
        let made = change(&mut self.lock(), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        made
    }

    /// Gives back what a body had taken.
    pub(crate) fn release(&self, bytes: u64) {
        self.budget.drop_filling(bytes);
        self.budget.release(bytes);
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let bytes = own_bytes(self.key.len()) + state.charged_bytes();
        self.release(bytes);
    }
}

impl fmt::Debug for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filling").field("key", &String::from_utf8_lossy(&self.key)).finish_non_exhaustive()
    }
}

fn own_bytes(key_len: usize) -> u64 {
    allocated(size_of::<Filling>() + 16) + allocated(key_len)
}
