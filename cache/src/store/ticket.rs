//! The right and the duty to fill one key, and what writes the body.

use core::fmt;
use core::task::{Context, Poll};
use std::sync::Arc;

use super::Store;
use crate::entry::{Body, Parts, Stored, piece_bytes};
use crate::filling::state::{Outcome, State};
use crate::filling::{Filling, Head, LOST, Progress, Reader};
use crate::freshness::may_stand_in;
use crate::{Bypass, Entry, Storable, UnixMs};

/// The right and the duty to fill one key. Dropped before it is used up it promotes somebody who waits, once; after
/// that all who wait are told that it was [`LOST`].
pub struct Ticket {
    store: Store,
    filling: Arc<Filling>,
    /// Under which others find the filling.
    hash: u64,
    used: bool,
}

/// What becomes of a ticket whose filler was lost.
#[derive(Debug)]
pub(crate) struct Promotion {
    store: Store,
    hash: u64,
}

impl Promotion {
    /// Nobody is there to take it.
    pub(crate) fn lost(self, filling: &Arc<Filling>) {
        self.store.detach(self.hash, filling);
        filling.update(|state, wakers| state.end(Outcome::Failed(LOST), wakers));
    }
}

impl Ticket {
    pub(super) const fn new(store: Store, filling: Arc<Filling>, hash: u64) -> Self {
        Self { store, filling, hash, used: false }
    }

    pub(crate) fn promoted(promotion: Promotion, filling: &Arc<Filling>) -> Self {
        Self::new(promotion.store, Arc::clone(filling), promotion.hash)
    }

    /// What is there, stale: to make the request conditional, and to stand in if the origin fails.
    pub fn stored(&self) -> Option<&Arc<Entry>> {
        self.filling.stored()
    }

    /// What others follow.
    pub const fn filling(&self) -> &Arc<Filling> {
        &self.filling
    }

    /// A seat for the request that the fill is for, which gets the answer even if nobody else may. To be taken before
    /// the head comes. A refresh in the background has none.
    pub fn leader(&self) -> Reader {
        self.filling.lead()
    }

    /// The head has come: everybody reads along, if it is storable and there is room for it; else the leader alone, and
    /// for a while requests for it do not wait for each other, if the reason is one that lasts.
    pub fn begin(mut self, mut head: Head, now: UnixMs) -> Writer {
        self.used = true;
        self.store.count_fill(&self.filling);
        let limit_bytes = self.filling.limits.body_bytes.min(self.store.largest_bytes());
        if head.storable.is_ok() && head.body_bytes.is_some_and(|bytes| bytes > limit_bytes) {
            head.storable = Err(Bypass::TooLarge);
        }
        if let Ok(storable) = &head.storable {
            match self.store.settle_variant(self.hash, &self.filling, storable.vary.as_deref()) {
                Ok(hash) => self.hash = hash,
                Err(why) => head.storable = Err(why),
            }
        }
        if let Err(why) = head.storable {
            self.store.refuse(self.hash, &self.filling, (why, head.status), now);
        }
        let head = Arc::new(head);
        // Nobody else sets it: there is one ticket.
        let _ = self.filling.begun.set(Arc::clone(&head));
        self.filling.update(|state, wakers| state.begin(Arc::clone(&head), wakers));
        Writer {
            store: self.store.clone(),
            filling: Arc::clone(&self.filling),
            hash: self.hash,
            head,
            limit_bytes,
            begun_ms: now,
            finished: false,
        }
    }

    /// A 304 has come: the same body under a new head, on new terms ([`storable::refresh`](crate::storable::refresh)).
    /// If it may not be kept any longer it is for the leader alone.
    ///
    /// # Panics
    /// When nothing is [stored](Ticket::stored): then there is nothing that a 304 could be about.
    pub fn refresh(mut self, storable: Result<Storable, Bypass>, head: &[u8], now: UnixMs) -> Arc<Entry> {
        self.used = true;
        self.store.count_fill(&self.filling);
        let stored = Arc::clone(self.stored().expect("a 304 is about something that is stored"));
        let parts = |storable| Parts {
            key: stored.key(),
            status: stored.status(),
            head,
            body: stored.body().to_body(),
            storable,
            stored_ms: now,
        };
        match storable {
            Ok(storable) => {
                let entry = Entry::new(parts(&storable));
                let entry = self.store.keep_refreshed(self.hash, &self.filling, entry, &stored);
                self.end(Outcome::Entry { entry: Arc::clone(&entry), stale: false, below: false });
                entry
            }
            Err(why) => {
                self.store.refuse(self.hash, &self.filling, (why, stored.status()), now);
                let vary = stored.vary().map(Box::from);
                let old = Storable { terms: stored.terms(), vary, tags: stored.tags().collect() };
                let entry = Entry::new(parts(&old));
                self.filling.update(|state, wakers| {
                    state.send_away(why);
                    state.end(
                        Outcome::Entry { entry: Arc::clone(&entry), stale: false, below: false },
                        wakers,
                    );
                });
                entry
            }
        }
    }

    /// A 304 has come that is about something else ([`condition::freshens`](crate::condition::freshens)): nobody is given
    /// what is stored any more, and somebody who waits asks anew, without a condition.
    pub fn disown(self) {
        self.filling.disown();
        self.store.forget(self.hash, &self.filling);
    }

    /// The origin has failed. What is stale stands in for everybody who waits, if it may, and is handed out; else
    /// everybody is told `code`. As long as something is stored, the origin is not asked again for a second.
    pub fn fail(mut self, code: u16, now: UnixMs) -> Option<Arc<Entry>> {
        self.used = true;
        self.store.count_fill(&self.filling);
        self.store.back_off(self.hash, &self.filling, now);
        let stands_in = self.stored().filter(|stored| may_stand_in(&stored.terms(), now)).cloned();
        self.end(match &stands_in {
            Some(entry) => Outcome::Entry { entry: Arc::clone(entry), stale: true, below: false },
            None => Outcome::Failed(code),
        });
        stands_in
    }

    /// A lower tier had it, whole.
    ///
    /// # Errors
    /// Gives the ticket back when the entry is for another key: then the tier has mixed something up.
    pub fn answer(mut self, entry: Arc<Entry>) -> Result<Arc<Entry>, Self> {
        if *entry.key() != *self.filling.key {
            return Err(self);
        }
        self.used = true;
        let entry = self.store.keep_loaded(self.hash, &self.filling, entry);
        self.end(Outcome::Entry { entry: Arc::clone(&entry), stale: false, below: true });
        Ok(entry)
    }

    fn end(&self, outcome: Outcome) {
        self.filling.update(|state, wakers| state.end(outcome, wakers));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        let promotion = Promotion { store: self.store.clone(), hash: self.hash };
        if let Err(promotion) = self.filling.update(|state, wakers| state.promote(promotion, wakers)) {
            promotion.lost(&self.filling);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("filling", &self.filling).finish_non_exhaustive()
    }
}

/// Nobody reads a response that is not kept any more, so that the rest of it is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gone;

/// What writes the body. Dropped before it is finished the response breaks off for everybody, and nothing is stored.
pub struct Writer {
    store: Store,
    filling: Arc<Filling>,
    hash: u64,
    head: Arc<Head>,
    limit_bytes: u64,
    begun_ms: UnixMs,
    finished: bool,
}

impl Writer {
    /// Waits for the slowest reader of a response that is not kept, so that at most
    /// [`WINDOW_BYTES`](crate::filling::WINDOW_BYTES) wait for it. What is kept waits for nobody.
    ///
    /// # Errors
    /// [`Gone`]: nobody reads it any more.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let mut state = self.filling.lock();
        if state.is_passing() && !state.is_read() {
            return Poll::Ready(Err(Gone));
        }
        if state.is_ready(cx.waker()) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// The next piece. Larger ones are better: each is accounted for with some forty bytes of its own. What grows too
    /// large, or has no room, is no longer kept, and goes on to those who read along.
    pub fn push(&mut self, piece: Arc<[u8]>) {
        if piece.is_empty() {
            return;
        }
        let cost = piece_bytes(piece.len()) + size_of::<Arc<[u8]>>() as u64;
        let (keeping, len) = {
            let state = self.filling.lock();
            (!state.is_passing(), state.len() + piece.len() as u64)
        };
        let too_large = keeping && len > self.limit_bytes;
        if too_large {
            self.stop_keeping(Bypass::TooLarge);
        }
        let roomy = self.store.make_room(self.filling.url_hash, cost);
        if !roomy && keeping && !too_large {
            self.stop_keeping(Bypass::NoRoom);
        }
        let charged = if roomy { cost } else { 0 };
        self.filling.budget().add_filling(charged);
        self.filling.update(|state, wakers| state.push(piece, charged, wakers));
    }

    /// The body has ended: stores it, if it is to be kept and nobody has purged it meanwhile. A body that is not as
    /// long as the origin said has broken off.
    pub fn finish(mut self, now: UnixMs) -> Option<Arc<Entry>> {
        let state = self.filling.lock();
        let (len, keeping) = (state.len(), matches!(state.progress, Progress::Open(_)));
        let pieces: Vec<_> = if keeping { state.pieces().collect() } else { Vec::new() };
        drop(state);
        if self.head.body_bytes.is_some_and(|said| said != len) {
            // Dropping it does the rest.
            return None;
        }
        self.finished = true;
        let (true, Ok(storable)) = (keeping, &self.head.storable) else {
            self.filling.update(State::finish);
            return None;
        };
        let entry = Entry::new(Parts {
            key: &self.filling.key,
            status: self.head.status,
            head: &self.head.bytes,
            body: Body::from_pieces(pieces),
            storable,
            stored_ms: now,
        });
        // Of a small body the entry has a copy: those who still read go on with the pieces, which stay accounted for.
        let charged = match entry.body() {
            Stored::Near(_) => 0,
            Stored::Far(_) => self.filling.lock().charged_bytes(),
        };
        match self.store.keep_filled(self.hash, &self.filling, entry, charged) {
            Ok((entry, kept)) => {
                let charged = self.filling.update(|state, wakers| state.store(Arc::clone(&entry), wakers));
                self.filling.budget().drop_filling(charged);
                kept.then_some(entry)
            }
            Err(why) => {
                self.stop_keeping(why);
                self.filling.update(State::finish);
                None
            }
        }
    }

    fn stop_keeping(&self, why: Bypass) {
        self.store.refuse(self.hash, &self.filling, (why, self.head.status), self.begun_ms);
        let freed = self.filling.update(|state, _| state.pass(why));
        self.filling.release(freed);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if matches!(self.filling.lock().progress, Progress::Open(_)) {
            self.store.abandon(self.hash, &self.filling);
        }
        self.filling.update(State::breaks);
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("filling", &self.filling).finish_non_exhaustive()
    }
}
