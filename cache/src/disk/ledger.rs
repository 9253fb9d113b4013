//! What is to be done about the disk, by whom: cores hand over what leaves the memory and ask what is where; one writer
//! asks what to do next, does it, and says how it went.
//!
//! ```text
//!  cores:  keep, replace, purge ──▶ Ledger ◀── next, room, commit …  :writer
//!          find, is_purged     ◀──
//! ```
//!
//! Nobody waits here: what comes faster than it is written is dropped and counted.

use std::collections::VecDeque;
use std::sync::Arc;

use super::index::{Hashes, Index};
use super::note::{MOST_POSITIONS, Note, Standing};
use super::record::{ALIGN, MAX_BODY_BYTES, Position};
use super::segment::{OPENING_BYTES, Opening};
use super::usage::{Dropped, Fault, Usage};
use crate::key::Seed;
use crate::{Entry, Purge, UnixMs, vary};

/// Share of the room that one record may take at most.
const LARGEST_SHARE: u64 = 4;

/// Entries that wait to be written.
const MOST_WAITING: usize = 4096;

/// Bytes that wait to be written, at most.
const WAITING_BYTES: u64 = 32 << 20;

/// Share of the cache's memory that is set aside for what waits, and that the index may take.
const WAITING_SHARE: u64 = 16;
const INDEX_SHARE: u64 = 8;

/// Notes that wait to be written. Past it, everything on disk is given up instead.
const MOST_NOTES: usize = 16 * MOST_POSITIONS;

/// The oldest part of the segments, where what leaves the memory is written anew although it is still there.
const OLD_SHARE: u64 = 4;

/// What is on disk, and what is to become of it.
#[derive(Debug)]
pub struct Ledger {
    pub(super) index: Index,
    seed: Seed,
    limit_bytes: u64,
    memory_bytes: u64,
    /// Whether the last segment is open to be written to.
    is_open: bool,
    /// The next segment's number.
    pub(super) next_number: u32,
    /// Bytes of the segment before it.
    pub(super) before_bytes: u64,
    waiting: VecDeque<Waiting>,
    waiting_bytes: u64,
    current: Option<Waiting>,
    voids: Vec<Position>,
    purges: VecDeque<Standing>,
    /// The writer has a note in hand, which is not written yet.
    is_noting: bool,
    /// The disk has failed: nothing is written before this moment.
    paused_until_ms: UnixMs,
    usage: Usage,
}

#[derive(Debug)]
struct Waiting {
    /// `None`: overtaken.
    entry: Option<Arc<Entry>>,
    hashes: Hashes,
}

/// What the writer has to do.
#[derive(Debug)]
pub enum Task {
    /// Remove this segment's file, once [`Ledger::remove_some`] says that nothing of it is found any more.
    Remove(u32),
    /// Write a note.
    Note(Note),
    /// Write an entry.
    Keep(Arc<Entry>),
}

/// Where the next record goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Here.
    At(Position),
    /// Begin a segment first.
    Begin(Opening),
    /// Remove a segment first.
    Remove(u32),
    /// Nowhere.
    Nowhere(Dropped),
}

/// Where an entry lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lies {
    /// Its record's position.
    pub at: Position,
    /// Bytes of the record.
    pub bytes: u64,
}

impl Ledger {
    /// Nothing yet, for a folder that may take so many bytes, behind a store of so many bytes of memory. The seed is the
    /// store's.
    pub fn new(seed: Seed, limit_bytes: u64, memory_bytes: u64) -> Self {
        Self {
            index: Index::default(),
            seed,
            limit_bytes,
            memory_bytes,
            is_open: false,
            next_number: 1,
            before_bytes: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            current: None,
            voids: Vec::new(),
            purges: VecDeque::new(),
            is_noting: false,
            paused_until_ms: 0,
            usage: Usage::default(),
        }
    }

    /// Changes the bounds.
    pub fn set_limits(&mut self, limit_bytes: u64, memory_bytes: u64) {
        (self.limit_bytes, self.memory_bytes) = (limit_bytes, memory_bytes);
    }

    /// What it counts.
    pub fn usage(&self) -> Usage {
        Usage {
            limit_bytes: self.limit_bytes,
            used_bytes: self.index.used_bytes(),
            entries: self.index.entries,
            segments: self.index.segments.len() as u64,
            index_bytes: self.index.allocated_bytes(),
            waiting_bytes: self.waiting_bytes,
            ..self.usage
        }
    }

    /// Memory that it takes of the cache's: the index, and what is set aside for what waits.
    pub fn memory_bytes(&self) -> u64 {
        self.index.allocated_bytes() + self.most_waiting_bytes()
    }

    fn most_waiting_bytes(&self) -> u64 {
        WAITING_BYTES.min(self.memory_bytes / WAITING_SHARE)
    }

    /// A request was answered from what was found.
    pub fn count_hit(&mut self) {
        self.usage.hits_total += 1;
    }

    /// Something went wrong.
    pub fn count(&mut self, fault: Fault) {
        self.usage.faults_total[fault.index()] += 1;
    }

    fn count_dropped(&mut self, why: Dropped) {
        self.usage.dropped_total[why.index()] += 1;
    }
}

/// What cores do.
impl Ledger {
    /// Where what is found under a hash lies: an entry, or, under the hash of a key that varies, whichever variant was
    /// written last. That one only tells the names: it may be out of date.
    pub fn find(&self, hash: u64) -> Option<Lies> {
        self.index.find(hash).map(|slot| Lies { at: slot.at, bytes: slot.bytes() })
    }

    /// Whether what was loaded from here has been purged since; what has only become stale does so.
    pub fn is_purged(&self, at: Position, entry: &Entry) -> bool {
        self.index.is_purged(at, entry)
    }

    /// What lies here does not add up, is purged, or is of no use: it is not to be found under this hash any more.
    pub fn forget(&mut self, hash: u64, at: Position) {
        if self.index.find(hash).is_some_and(|slot| slot.at == at) {
            self.index.remove_any(hash, at);
        }
    }

    /// Something leaves the memory, or is to. What is not taken takes along what was there for it before.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn keep(&mut self, entry: &Arc<Entry>, now: UnixMs) -> Result<(), Dropped> {
        let hashes = self.hashes(entry.key(), entry.url(), entry.vary());
        let cost = entry.cost_bytes();
        let taken = if entry.body().len_bytes() > MAX_BODY_BYTES.min(self.limit_bytes / LARGEST_SHARE) {
            Err(Dropped::TooLarge)
        } else if now < self.paused_until_ms {
            Err(Dropped::Failing)
        } else if !super::is_useful(&entry.terms(), now) {
            Err(Dropped::Expired)
        } else if self.takes(entry) {
            Ok(())
        } else {
            Err(Dropped::Busy)
        };
        match taken {
            Ok(()) => {
                self.waiting_bytes += cost;
                self.waiting.push_back(Waiting { entry: Some(Arc::clone(entry)), hashes });
            }
            Err(why) => {
                self.count_dropped(why);
                self.replace(hashes.own);
            }
        }
        taken
    }

    /// Where entries lie, those written last first: at most so many.
    pub fn newest(&self, most: usize) -> Vec<Lies> {
        let newest = self.index.newest().take(most);
        newest.map(|slot| Lies { at: slot.at, bytes: slot.bytes() }).collect()
    }

    /// What is kept under this hash is out of date.
    pub fn replace(&mut self, hash: u64) {
        self.overtake(|one, _| one.hashes.own == hash);
        if let Some(at) = self.index.remove(hash) {
            self.void(at);
        }
    }

    /// Takes entries out, or makes them stale. What is loaded from now on does not bring them back. How many are known
    /// to be gone: of other purges than that of a URL nobody knows before it is looked for.
    pub fn purge(&mut self, what: Purge<'_>, soft: bool, now: UnixMs) -> u64 {
        let soft_ms = soft.then_some(now);
        let standing = Standing::of(what, soft_ms);
        if let Some(moment) = soft_ms {
            self.waiting.iter().filter_map(|one| one.entry.as_ref()).for_each(|entry| {
                if what.is_of(entry) {
                    entry.expire(moment);
                }
            });
            // Of what is being written, the terms are written already.
            self.overtake(|one, is_current| is_current && one.is(&standing));
        } else {
            self.overtake(|one, _| one.is(&standing));
        }
        if let (Purge::Url(url), None) = (what, soft_ms) {
            let gone = self.index.remove_url(self.seed.hash(url));
            let count = gone.len() as u64;
            for at in gone {
                self.void(at);
            }
            return count;
        }
        let count = if standing.takes_all() { self.index.entries } else { 0 };
        if self.index.segments.is_empty() {
            return 0;
        }
        self.index.purge(self.end(), standing.clone());
        // The same once more, and not written yet: it is written behind everything that it is about.
        if self.purges.back() != Some(&standing) {
            self.purges.push_back(standing);
        }
        self.bound_notes();
        count
    }

    /// Whether everything that was to be done is done.
    pub fn is_settled(&self) -> bool {
        self.is_noted() && self.waiting.is_empty() && self.current.is_none()
    }

    /// Whether all that was purged is purged on disk as well, so that no crash brings it back. What was purged while it
    /// was being written is not, before it is taken out again.
    pub fn is_noted(&self) -> bool {
        let is_overtaken = self.current.as_ref().is_some_and(|one| one.entry.is_none());
        self.voids.is_empty() && self.purges.is_empty() && !self.is_noting && !is_overtaken
    }

    /// Whether there is room for an entry to wait.
    pub fn takes(&self, entry: &Entry) -> bool {
        self.waiting.len() < MOST_WAITING
            && (self.waiting_bytes == 0
                || self.waiting_bytes + entry.cost_bytes() <= self.most_waiting_bytes())
    }

    pub(super) fn hashes(&self, key: &[u8], url: &[u8], spec: Option<&[u8]>) -> Hashes {
        let url_hash = self.seed.hash(url);
        let key_hash = if key.len() == url.len() { url_hash } else { self.seed.hash(key) };
        let own = spec.map_or(key_hash, |spec| vary::hash_of(spec, key_hash, &self.seed));
        Hashes { url: url_hash, key: key_hash, own }
    }

    /// Whatever waits and `is` true for is not to be written; of what is being written nothing is to be found.
    fn overtake(&mut self, is: impl Fn(&Waiting, bool) -> bool) {
        let current = self.current.iter_mut().map(|one| (one, true));
        let waiting = self.waiting.iter_mut().map(|one| (one, false));
        for (one, is_current) in current.chain(waiting) {
            if one.entry.is_some() && is(one, is_current) {
                let cost = one.entry.take().map_or(0, |entry| entry.cost_bytes());
                self.waiting_bytes -= if is_current { 0 } else { cost };
                self.usage.dropped_total[Dropped::Overtaken.index()] += 1;
            }
        }
    }

    fn void(&mut self, at: Position) {
        self.voids.push(at);
        self.bound_notes();
    }

    /// Where the disk takes no notes, everything on it is given up.
    fn bound_notes(&mut self) {
        if self.voids.len() + self.purges.len() > MOST_NOTES {
            self.voids.clear();
            self.purges.clear();
            let all = Standing::of(Purge::All, None);
            self.index.purge(self.end(), all.clone());
            self.purges.push_back(all);
        }
    }

    /// Behind everything that is there.
    fn end(&self) -> Position {
        self.index.segments.back().map_or(Position { segment: 0, unit: 0 }, |segment| Position {
            segment: segment.number,
            unit: (segment.bytes / ALIGN) as u32,
        })
    }
}

impl Waiting {
    fn is(&self, standing: &Standing) -> bool {
        self.entry.as_ref().is_some_and(|entry| standing.is_of(entry))
    }
}

/// What the writer does.
impl Ledger {
    /// The next thing to do, if there is any.
    pub fn next(&mut self, now: UnixMs) -> Option<Task> {
        if now < self.paused_until_ms {
            return None;
        }
        if let Some(number) = self.superfluous() {
            return Some(Task::Remove(number));
        }
        if !self.voids.is_empty() {
            self.is_noting = true;
            let from = self.voids.len().saturating_sub(MOST_POSITIONS);
            return Some(Task::Note(Note::Void(self.voids.split_off(from))));
        }
        if let Some(standing) = self.purges.pop_front() {
            self.is_noting = true;
            return Some(Task::Note(Note::Purge(standing)));
        }
        while let Some(waiting) = self.waiting.pop_front() {
            let Some(entry) = &waiting.entry else { continue };
            let entry = Arc::clone(entry);
            self.waiting_bytes -= entry.cost_bytes();
            self.current = Some(waiting);
            return Some(Task::Keep(entry));
        }
        None
    }

    /// Whether there is something to do now.
    pub fn has_work(&self, now: UnixMs) -> bool {
        now >= self.paused_until_ms
            && (!self.is_noted() || !self.waiting.is_empty() || self.superfluous().is_some())
    }

    /// When it is worth asking again, if the disk has failed.
    pub const fn paused_until_ms(&self) -> UnixMs {
        self.paused_until_ms
    }

    /// Whether what is on disk for the current entry is the same, and not about to go.
    pub fn is_known(&self, text_sum: u32) -> bool {
        let Some(current) = &self.current else { return false };
        let Some(slot) = self.index.find_entry(current.hashes.own).filter(|slot| slot.sum == text_sum) else {
            return false;
        };
        let segments = &self.index.segments;
        let old = segments.len() as u64 / OLD_SHARE;
        segments.get(old as usize).is_some_and(|segment| slot.at.segment >= segment.number)
    }

    /// Where a record of so many bytes goes. Reserves the place, once there is one.
    pub fn room(&mut self, bytes: u64, is_note: bool) -> Room {
        if bytes > self.limit_bytes / LARGEST_SHARE + OPENING_BYTES as u64 {
            return Room::Nowhere(Dropped::TooLarge);
        }
        let index_bytes = self.memory_bytes / INDEX_SHARE;
        let is_full = !is_note && self.index.is_full(index_bytes);
        let needs = bytes + OPENING_BYTES as u64;
        if (is_full || self.index.used_bytes() + needs > self.limit_bytes)
            && let Some(first) = self.index.segments.front()
        {
            return Room::Remove(first.number);
        }
        let segment_bytes = (self.limit_bytes / 64).clamp(1 << 20, 256 << 20);
        let takes_more = self.is_open && !self.index.is_crowded(index_bytes);
        if let Some(tail) = self.index.segments.back_mut().filter(|_| takes_more)
            && (tail.bytes + bytes <= segment_bytes || tail.bytes == OPENING_BYTES as u64)
        {
            let at = Position { segment: tail.number, unit: (tail.bytes / ALIGN) as u32 };
            tail.bytes += bytes;
            return Room::At(at);
        }
        self.seal();
        Room::Begin(Opening { number: self.next_number, before_bytes: self.before_bytes })
    }

    /// The segment has been begun.
    pub fn begun(&mut self) {
        self.index.begin_segment(self.next_number, OPENING_BYTES as u64);
        self.next_number += 1;
        self.is_open = true;
    }

    /// The current entry has been written. Whether it is to be found there.
    pub fn commit(&mut self, lies: Lies, text_sum: u32) -> bool {
        let Some(Waiting { entry, hashes }) = self.current.take() else { return false };
        self.usage.written_total += 1;
        if entry.is_none() {
            self.void(lies.at);
            return false;
        }
        self.index.insert(hashes, lies.at, lies.bytes, text_sum);
        true
    }

    /// The current entry is not written.
    pub fn drop_current(&mut self, why: Option<Dropped>) {
        let Some(Waiting { entry, hashes }) = self.current.take() else { return };
        if let Some(why) = why {
            self.count_dropped(why);
            // What is there is older, if it was not overtaken as well.
            if entry.is_some() {
                self.replace(hashes.own);
            }
        }
    }

    /// The place that was reserved last is not used: nothing has been written there, or what has been is cut off again.
    pub fn take_back(&mut self, lies: Lies) {
        if let Some(tail) = self.index.segments.back_mut()
            && tail.number == lies.at.segment
        {
            tail.bytes = lies.at.offset_bytes();
        }
    }

    /// Nothing more is written to the last segment, such as after a part of a record that cannot be cut off.
    pub fn seal(&mut self) {
        if std::mem::take(&mut self.is_open)
            && let Some(tail) = self.index.segments.back()
        {
            self.before_bytes = tail.bytes;
        }
    }

    /// A note is written.
    pub fn noted(&mut self) {
        self.is_noting = false;
    }

    /// A note could not be written.
    pub fn return_note(&mut self, note: Note) {
        self.is_noting = false;
        match note {
            Note::Void(mut positions) => self.voids.append(&mut positions),
            Note::Purge(standing) => self.purges.push_front(standing),
        }
    }

    /// The disk has failed.
    pub fn pause(&mut self, fault: Fault, until_ms: UnixMs) {
        self.count(fault);
        self.paused_until_ms = until_ms;
    }

    /// It has not, after all.
    pub fn resume(&mut self) {
        self.paused_until_ms = 0;
    }

    /// The oldest segment.
    pub fn oldest(&self) -> Option<u32> {
        self.index.segments.front().map(|segment| segment.number)
    }

    /// Takes some of what is in the oldest segment out of the index; whether there is more, to be taken out after others
    /// had their turn.
    pub fn remove_some(&mut self, number: u32, most: usize) -> bool {
        self.index.segments.front().is_some_and(|first| first.number == number)
            && self.index.remove_some(most)
    }

    /// The oldest segment's file is gone.
    pub fn removed(&mut self, number: u32) {
        if self.index.segments.len() == 1 {
            self.seal();
        }
        if self.index.segments.front().is_some_and(|first| first.number == number) {
            self.index.forget_segment();
            // Nobody asks for what was there any more.
            self.voids.retain(|at| at.segment > number);
        }
    }

    /// The oldest segment, if it has to go without anything coming in: the bound was lowered, or nothing in it is found.
    fn superfluous(&self) -> Option<u32> {
        let first = self.index.segments.front()?;
        let is_last = self.index.segments.len() == 1;
        let end = Position { segment: first.number, unit: u32::MAX };
        let is_over = self.index.used_bytes() > self.limit_bytes;
        (is_over || (!is_last && self.index.is_below_floor(end))).then_some(first.number)
    }
}
