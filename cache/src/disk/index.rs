//! The index of what is on disk: by hash, in order of segments. Bounded by the memory that it may take.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::note::Standing;
use super::record::Position;
use crate::Entry;

/// Bytes of memory that a slot, a hash beside a URL's own, and a note of what was written take at most: tables and lists
/// double. An entry takes one of each but the second; a variant two of each.
const COSTS_BYTES: [u64; 3] = [58, 40, 48];

/// Share of the index that the records of one segment may take.
const CROWDED_SHARE: u64 = 16;

/// Purges that hold for what is loaded. Past it, what stands before the oldest one is gone.
const MOST_STANDING: usize = 1024;

/// Records that are looked at for a list.
const MOST_LOOKED: usize = 100_000;

/// Set in [`Slot::units`] of the hash of a key that varies: the record is the one that was kept last, and tells names.
const NAMES: u32 = 1 << 31;

/// The hashes under which an entry is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hashes {
    pub url: u64,
    pub key: u64,
    /// That of the variant, or of the key.
    pub own: u64,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    hash: u64,
    pub at: Position,
    units: u32,
    /// The sum over its text, which tells whether an entry is the same.
    pub sum: u32,
}

impl Slot {
    pub fn bytes(&self) -> u64 {
        u64::from(self.units & !NAMES) * super::record::ALIGN
    }

    fn is_entry(&self) -> bool {
        self.units & NAMES == 0
    }
}

/// A hash of a URL other than the URL's own.
#[derive(Debug)]
struct Kin {
    url: u64,
    hash: u64,
}

/// What was written into a segment, in order.
#[derive(Debug)]
struct Written {
    unit: u32,
    hash: u64,
    url: u64,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub number: u32,
    pub bytes: u64,
    written: Vec<Written>,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    table: HashTable<Slot>,
    kin: HashTable<Kin>,
    /// The oldest first.
    pub segments: VecDeque<Segment>,
    /// The oldest first, each with the end of what it holds for.
    standing: VecDeque<(Position, Standing)>,
    /// What stands before is gone.
    floor: Option<Position>,
    pub entries: u64,
    /// Lengths of all lists of what was written.
    written: usize,
}

impl Index {
    /// Whether it is as large as it may be.
    pub fn is_full(&self, most_bytes: u64) -> bool {
        let counts = [self.table.len(), self.kin.len(), self.written];
        counts.into_iter().zip(COSTS_BYTES).map(|(count, bytes)| count as u64 * bytes).sum::<u64>()
            >= most_bytes
    }

    /// Whether the last segment has so many small records that it should end, so that not too much goes at once where it
    /// is the index that is full.
    pub fn is_crowded(&self, most_bytes: u64) -> bool {
        let written = self.segments.back().map_or(0, |segment| segment.written.len() as u64);
        written * COSTS_BYTES.iter().sum::<u64>() >= most_bytes / CROWDED_SHARE
    }

    pub fn allocated_bytes(&self) -> u64 {
        let written: usize = self.segments.iter().map(|one| one.written.capacity()).sum();
        let tables = self.table.allocation_size() + self.kin.allocation_size();
        let lists = written * size_of::<Written>() + self.segments.capacity() * size_of::<Segment>();
        (tables + lists) as u64
    }

    pub fn used_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// What is found under a hash: an entry, or for a key that varies the one that tells the names.
    pub fn find(&self, hash: u64) -> Option<&Slot> {
        self.table.find(hash, |slot| slot.hash == hash).filter(|slot| self.is_above_floor(slot.at))
    }

    /// The same, if it is an entry.
    pub fn find_entry(&self, hash: u64) -> Option<&Slot> {
        self.find(hash).filter(|slot| slot.is_entry())
    }

    /// The entries, those written last first. Looks at no more than [`MOST_LOOKED`] records, overtaken ones included.
    pub fn newest(&self) -> impl Iterator<Item = &Slot> {
        let written = self.segments.iter().rev().flat_map(|segment| {
            let at = |unit| Position { segment: segment.number, unit };
            segment.written.iter().rev().map(move |one| (one.hash, at(one.unit)))
        });
        written.take(MOST_LOOKED).filter_map(|(hash, at)| self.find_entry(hash).filter(|slot| slot.at == at))
    }

    fn is_above_floor(&self, at: Position) -> bool {
        self.floor.is_none_or(|floor| at >= floor)
    }

    /// Whether nothing of a segment that ends here can be found.
    pub fn is_below_floor(&self, end: Position) -> bool {
        self.floor.is_some_and(|floor| end <= floor)
    }

    pub fn begin_segment(&mut self, number: u32, bytes: u64) {
        self.segments.push_back(Segment { number, bytes, written: Vec::new() });
    }

    /// Adds what was written last, in place of what was there for the same key and variant.
    pub fn insert(&mut self, hashes: Hashes, at: Position, bytes: u64, sum: u32) {
        let units = (bytes / super::record::ALIGN) as u32;
        self.set(hashes, hashes.own, Slot { hash: hashes.own, at, units, sum });
        if hashes.own != hashes.key {
            self.set(hashes, hashes.key, Slot { hash: hashes.key, at, units: units | NAMES, sum });
        }
    }

    fn set(&mut self, hashes: Hashes, hash: u64, slot: Slot) {
        let is_entry = slot.is_entry();
        if let Some(known) = self.table.find_mut(hash, |one| one.hash == hash) {
            self.entries -= u64::from(known.is_entry());
            *known = slot;
        } else {
            self.table.insert_unique(hash, slot, |one| one.hash);
            if hash != hashes.url {
                self.kin.insert_unique(hashes.url, Kin { url: hashes.url, hash }, |one| one.url);
            }
        }
        self.entries += u64::from(is_entry);
        if let Some(segment) = self.segments.back_mut() {
            self.written += 1;
            segment.written.push(Written { unit: slot.at.unit, hash, url: hashes.url });
        }
    }

    /// Takes out the entry under a hash. Where it was.
    pub fn remove(&mut self, hash: u64) -> Option<Position> {
        let at = self.find_entry(hash)?.at;
        self.remove_any(hash, at);
        Some(at)
    }

    /// Takes out what is under a hash and lies at `at`, be it an entry or not.
    pub fn remove_any(&mut self, hash: u64, at: Position) {
        let written = self.written_at(at).unwrap_or_default();
        let url = written.iter().find(|one| one.hash == hash).map_or(hash, |one| one.url);
        self.take(hash, url);
    }

    /// Takes out the entry at a position, if it is still found there.
    pub fn remove_at(&mut self, at: Position) {
        let Some(written) = self.written_at(at) else { return };
        let found = written.iter().find(|one| {
            let slot = self.table.find(one.hash, |slot| slot.hash == one.hash);
            slot.is_some_and(|slot| slot.at == at && slot.is_entry())
        });
        if let Some(&Written { hash, url, .. }) = found {
            self.take(hash, url);
        }
    }

    /// Takes out everything of a URL. Where entries were.
    pub fn remove_url(&mut self, url: u64) -> Vec<Position> {
        let kin = self.kin.iter_hash(url).filter(|kin| kin.url == url).map(|kin| kin.hash);
        let hashes: Vec<u64> = kin.chain([url]).collect();
        let mut gone = Vec::new();
        for hash in hashes {
            let Some(slot) = self.table.find(hash, |slot| slot.hash == hash) else { continue };
            if slot.is_entry() && self.is_above_floor(slot.at) {
                gone.push(slot.at);
            }
            self.take(hash, url);
        }
        gone
    }

    /// Takes out some of what was written into the oldest segment. Whether there is more.
    pub fn remove_some(&mut self, most: usize) -> bool {
        let Some(segment) = self.segments.front_mut() else { return false };
        let number = segment.number;
        let from = segment.written.len().saturating_sub(most);
        let gone = segment.written.split_off(from);
        self.written -= gone.len();
        for Written { hash, url, .. } in gone {
            if self.table.find(hash, |slot| slot.hash == hash).is_some_and(|slot| slot.at.segment == number) {
                self.take(hash, url);
            }
        }
        from > 0
    }

    /// The oldest segment is gone.
    pub fn forget_segment(&mut self) {
        while self.remove_some(usize::MAX) {}
        self.segments.pop_front();
        let Some(first) = self.segments.front() else { return };
        let start = Position { segment: first.number, unit: 0 };
        self.standing.retain(|(end, _)| *end > start);
    }

    /// Forgets everything: the numbers of the segments that are of no use any more.
    pub fn clear(&mut self) -> Vec<u32> {
        self.table.clear();
        self.kin.clear();
        self.standing.clear();
        (self.floor, self.entries, self.written) = (None, 0, 0);
        self.segments.drain(..).map(|segment| segment.number).collect()
    }

    /// A purge holds for everything before `end`.
    pub fn purge(&mut self, end: Position, standing: Standing) {
        if standing.takes_all() {
            self.table.clear();
            self.kin.clear();
            self.standing.clear();
            self.segments.iter_mut().for_each(|segment| segment.written = Vec::new());
            (self.floor, self.entries, self.written) = (Some(end), 0, 0);
            return;
        }
        if let Some((known, last)) = self.standing.back_mut()
            && *last == standing
        {
            *known = end;
            return;
        }
        if self.standing.len() >= MOST_STANDING
            && let Some((oldest, _)) = self.standing.pop_front()
        {
            // What is below leaves the tables with its segments.
            self.floor = self.floor.max(Some(oldest));
        }
        self.standing.push_back((end, standing));
    }

    /// Whether what was loaded from here has been purged since. Where it was only to become stale, it does.
    pub fn is_purged(&self, at: Position, entry: &Entry) -> bool {
        if !self.is_above_floor(at) {
            return true;
        }
        let mut meant = self.standing.iter().filter(|(end, purge)| at < *end && purge.is_of(entry));
        meant.any(|(_, purge)| match purge.soft_ms() {
            Some(moment) => {
                entry.expire(moment);
                false
            }
            None => true,
        })
    }

    fn written_at(&self, at: Position) -> Option<&[Written]> {
        let first = self.segments.front()?.number;
        let segment = self.segments.get(at.segment.checked_sub(first)? as usize)?;
        let start = segment.written.partition_point(|one| one.unit < at.unit);
        let found = &segment.written[start..];
        Some(&found[..found.partition_point(|one| one.unit == at.unit)])
    }

    fn take(&mut self, hash: u64, url: u64) {
        if let Ok(found) = self.table.find_entry(hash, |slot| slot.hash == hash) {
            let (slot, _) = found.remove();
            self.entries -= u64::from(slot.is_entry());
        }
        if hash != url
            && let Ok(found) = self.kin.find_entry(url, |kin| kin.url == url && kin.hash == hash)
        {
            found.remove();
        }
    }
}
