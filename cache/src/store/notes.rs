//! What is remembered for a short while about keys: that an answer was not cacheable, that a refresh failed.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::shard::table_growth;
use crate::UnixMs;

/// How long one request at a time is let through to see whether an answer has become cacheable.
const PROBE_MS: u64 = 1000;

/// How long nobody asks an origin again that has just failed, while there is something stale to serve.
pub(super) const BACK_OFF_MS: u64 = 1000;

/// What is remembered about one key or variant. The bytes of the key are not: a marker that two share costs a pass.
#[derive(Clone, Copy, Debug)]
struct Note {
    hash: u64,
    /// Hit-for-miss.
    uncacheable_until_ms: UnixMs,
    probe_at_ms: UnixMs,
    /// The origin is not asked again before.
    back_off_until_ms: UnixMs,
}

/// Notes, the oldest of which make room for new ones.
#[derive(Debug, Default)]
pub(super) struct Notes {
    table: HashTable<Note>,
    order: VecDeque<u64>,
    most: usize,
}

impl Notes {
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// The answer was not cacheable, and will not be for a while. No request waits for another one's until then, but
    /// for one a second that goes ahead to see whether that has changed.
    pub fn mark(&mut self, hash: u64, now: UnixMs, for_ms: u64) {
        let note = self.at(hash);
        note.uncacheable_until_ms = now.saturating_add(for_ms);
        note.probe_at_ms = now.saturating_add(PROBE_MS);
    }

    /// The answer was cacheable.
    pub fn unmark(&mut self, hash: u64) {
        if let Ok(note) = self.table.find_entry(hash, |note| note.hash == hash) {
            note.remove();
        }
    }

    /// Whether it is marked. `Some(true)`: and it is time to see whether it still should be.
    pub fn marked(&self, hash: u64, now: UnixMs) -> Option<bool> {
        let note = self.table.find(hash, |note| note.hash == hash)?;
        (now < note.uncacheable_until_ms).then_some(note.probe_at_ms <= now)
    }

    /// Somebody goes to see.
    pub fn probing(&mut self, hash: u64, now: UnixMs) {
        if let Some(note) = self.table.find_mut(hash, |note| note.hash == hash) {
            note.probe_at_ms = now.saturating_add(PROBE_MS);
        }
    }

    /// The origin failed.
    pub fn back_off(&mut self, hash: u64, now: UnixMs) {
        self.at(hash).back_off_until_ms = now.saturating_add(BACK_OFF_MS);
    }

    pub fn is_backing_off(&self, hash: u64, now: UnixMs) -> bool {
        self.table.find(hash, |note| note.hash == hash).is_some_and(|note| now < note.back_off_until_ms)
    }

    /// Keys that are marked, or were until a moment ago.
    pub fn len(&self) -> u64 {
        self.table.len() as u64
    }

    fn at(&mut self, hash: u64) -> &mut Note {
        if self.table.find(hash, |note| note.hash == hash).is_none() {
            while self.order.len() >= self.most {
                let oldest = self.order.pop_front().expect("there is room for one at least");
                self.unmark(oldest);
            }
            self.order.push_back(hash);
            let note = Note { hash, uncacheable_until_ms: 0, probe_at_ms: 0, back_off_until_ms: 0 };
            self.table.insert_unique(hash, note, |note| note.hash);
        }
        self.table.find_mut(hash, |note| note.hash == hash).expect("it was put there")
    }

    /// Bytes that they grow by when one is added.
    pub fn growth(&self) -> usize {
        let order = if self.order.len() < self.order.capacity() {
            0
        } else {
            self.order.capacity().max(4) * size_of::<u64>()
        };
        order + table_growth(&self.table)
    }

    pub fn allocated_bytes(&self) -> u64 {
        (self.table.allocation_size() + self.order.capacity() * size_of::<u64>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_expires() {
        let mut notes = Notes::new(8);
        notes.mark(7, 1000, 5000);
        assert_eq!(notes.marked(7, 1500), Some(false));
        assert_eq!(notes.marked(7, 5999), Some(true));
        assert_eq!(notes.marked(7, 6000), None);
        assert_eq!(notes.marked(8, 1500), None);
    }

    #[test]
    fn one_request_a_second_goes_to_see() {
        let mut notes = Notes::new(8);
        notes.mark(7, 0, 120_000);
        assert_eq!(notes.marked(7, 1000), Some(true));
        notes.probing(7, 1000);
        assert_eq!(notes.marked(7, 1999), Some(false));
        assert_eq!(notes.marked(7, 2000), Some(true));
    }

    #[test]
    fn there_are_no_more_than_there_may_be() {
        let mut notes = Notes::new(3);
        (0..10).for_each(|hash| notes.mark(hash, 0, 1000));
        assert_eq!(notes.len(), 3);
        assert_eq!((0..10).filter(|&hash| notes.marked(hash, 1).is_some()).collect::<Vec<_>>(), [7, 8, 9]);
        (0..100).for_each(|_| {
            notes.unmark(9);
            notes.mark(9, 0, 1000);
        });
        assert!(notes.order.len() <= 3 && notes.len() <= 3);
        assert!(notes.marked(9, 1).is_some());
    }
}
